"""The settings: each value, where it came from, and whether they name a workspace."""

from __future__ import annotations

from collections.abc import Iterator

from azureml_databricks.checkup.findings import Finding, Part, cause_and_advice
from azureml_databricks.node import laid_down, spark_conf, variables
from azureml_databricks.settings import (
    BY_NAME,
    ENV_PREFIX,
    SPARK_PREFIX,
    TABLE,
    Settings,
    Value,
    is_secret,
)

PART = Part("settings")


def findings() -> Iterator[Finding]:
    """Yield a finding for each setting that is given, and whether they do."""
    settings = variables.settings_now()
    for name, value in settings.values.items():
        if value.text and value.text != BY_NAME[name].default and _can_be(name, value.text):
            yield _given(name, value)
    for name, (text, _, origin) in laid_down.VALUES.items():
        if name.startswith(ENV_PREFIX):
            yield PART.ok(name, f"{_shown(name, text)} ({origin})")
    for name, value in settings.spark.items():
        if name.startswith(ENV_PREFIX):
            yield _given(name, value)
    for complaint in spark_conf.complaints():
        yield PART.note("Spark conf", *cause_and_advice(complaint, "rename that key, or take it out"))
    yield PART.ok("not given", ", ".join(_left(settings)) or "none that has a default")
    yield _workspace(settings)


def _can_be(name: str, text: str) -> bool:
    """Return whether a text is one of the setting's choices; else the workspace's line says so."""
    choices = BY_NAME[name].choices
    return not choices or text in choices


def _given(name: str, value: Value) -> Finding:
    shown = f"{_shown(name, value.text)} ({value.origin})"
    if is_secret(name, value.text) and value.key.startswith(SPARK_PREFIX):
        return PART.note(
            name,
            f"{shown}, which every user of the cluster can read",
            "give it as spark_env_vars, with {{secrets/scope/key}}",
        )
    return PART.ok(name, shown)


def _shown(name: str, text: str) -> str:
    return "***" if is_secret(name, text) else text


def _left(settings: Settings) -> Iterator[str]:
    """Yield the settings that nobody gave, with their defaults."""
    for setting in TABLE:
        if setting.default and settings[setting.name] == setting.default:
            yield f"{setting.name} = {setting.default}"


def _workspace(settings: Settings) -> Finding:
    if settings.problem:
        return PART.wrong("workspace", *cause_and_advice(settings.problem, "correct it where it is set"))
    if settings.asked:
        workspace = settings.workspace()
        return PART.ok(
            "workspace",
            f"{workspace.name} in resource group {workspace.resource_group}, subscription "
            f"{workspace.subscription_id}, at {workspace.host}",
        )
    enabled = settings.values["enabled"]
    if enabled.text == "false":
        return PART.not_tried(
            "workspace",
            f"{enabled.key} is false ({enabled.origin}): this process is as it would be without us",
            f"to switch it on, take {enabled.key} out where it is set",
        )
    return PART.wrong(
        "workspace",
        "none is named, so this process is as it would be without us",
        "attach the policy to this cluster, or set trackingUri in the settings file and deploy it; what only "
        "a notebook's Spark conf says is seen by doctor() in a cell of it",
    )
