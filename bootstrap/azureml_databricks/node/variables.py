"""Which variables a process should have, from its settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from azureml_databricks.node import laid_down
from azureml_databricks.settings import BY_NAME, ENV_PREFIX, Settings, Value
from azureml_databricks.tracking_uri import cloud_of

# What Databricks presets on a fresh cluster; any other value is somebody's choice.
_TRACKING_PRESETS = ("", "databricks")
_REGISTRY_PRESETS = ("", "databricks", "databricks-uc")

_Overrides = dict[str, tuple[str, tuple[str, ...]]]


class Wanted(NamedTuple):
    """The variables to set.

    Attributes:
        exports: name -> text, set where the variable is unset or empty.
        overrides: name -> (text, presets), set where the variable's text is one of the presets.
    """

    exports: dict[str, str]
    overrides: _Overrides


def settings_now() -> Settings:
    """Return the settings of this process as they are now."""
    return Settings(os.environ, _known(), laid_down.FILE_PROBLEM)


def wanted_now() -> Wanted | None:
    """Return the variables that this process should have, None where nothing is configured."""
    return wanted(settings_now(), _known())


def _known() -> dict[str, Value]:
    return {name: Value(*value) for name, value in laid_down.VALUES.items()}


def wanted(settings: Settings, known: Mapping[str, Value]) -> Wanted | None:
    """Return the variables that follow from `settings`: None if nobody asks, no variable if one is wrong."""
    if not settings.asked:
        return None
    if settings.problem:
        return Wanted({}, {})
    workspace = settings.workspace()
    exports = {_variable(name): value.text for name, value in known.items()}
    # Without it the plugin asks management.azure.com which clouds there are.
    exports["AZUREML_CURRENT_CLOUD"] = settings["cloud"] or cloud_of(workspace)
    return Wanted(exports, _overrides(workspace.tracking_uri, settings["mode"]))


def _overrides(uri: str, mode: str) -> _Overrides:
    tracking: _Overrides = {"MLFLOW_TRACKING_URI": (uri, _TRACKING_PRESETS)}
    registry: _Overrides = {"MLFLOW_REGISTRY_URI": (uri, _REGISTRY_PRESETS)}
    if mode == "registry":
        return registry
    if mode == "tracking":
        # Unset, MLflow would take the tracking URI for the registry too.
        return {**tracking, "MLFLOW_REGISTRY_URI": ("databricks-uc", ("",))}
    return {**tracking, **registry}


def _variable(name: str) -> str:
    return name[len(ENV_PREFIX) :] if name.startswith(ENV_PREFIX) else BY_NAME[name].variable
