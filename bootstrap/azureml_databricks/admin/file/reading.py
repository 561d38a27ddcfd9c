"""Reading the file that describes a deployment; what is wrong in it is told by line and key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from azureml_databricks.admin import to_run
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file import rules, settings_file, toml_file
from azureml_databricks.admin.file.deployment import ML, Deployment, Policy
from azureml_databricks.settings import BY_NAME, NEEDED_FOR_LOGIN, TABLE, SettingError
from azureml_databricks.tracking_uri import cloud_of, parse

# A key in the file, and what is wrong with it.
Problem = tuple[tuple[str | int, ...], str]
# What other sections say: setting -> section.
_NOT_A_SETTING_HERE = {
    **dict.fromkeys(
        ("trackingUri", "subscriptionId", "resourceGroup", "workspaceName", "region", "cloud"), "workspace"
    ),
    **dict.fromkeys(("auth", "tenantId", "clientId", "federatedTokenFile", "serviceCredential"), "login"),
}


def read(path: Path) -> Deployment:
    """Return the deployment that a file describes.

    Raises:
        AdminError: it cannot be read, or something in it cannot be; a line a problem.
    """
    try:
        source = toml_file.read(path)
    except AdminError as error:
        hint = f"; `{to_run.ours('init')}` writes one" if not path.exists() else ""
        raise AdminError(f"{error}{hint}") from None
    try:
        deployment = Deployment.model_validate(source.document)
        problems = [*_contradictions(deployment, source.document), *_of_definitions(deployment, path.parent)]
    except ValidationError as error:
        # A list that has a wrong item is said to be too short, too.
        found = [it for it in error.errors() if it["type"] != "too_short" or not it["input"]]
        problems = [_problem(it) for it in found]
    problems += _of_settings(source.document.get("settings"))
    if problems:
        lines = sorted((source.line(_in_file(key, source.document)), text) for key, text in problems)
        raise AdminError("\n".join(f"{path}:{line}: {text}" for line, text in lines))
    deployment._path = path
    return deployment


def _in_file(key: tuple[str | int, ...], document: dict[str, Any]) -> tuple[str | int, ...]:
    """Return a key as the file has it: of one policy alone the table has no number."""
    is_one = key[:1] == ("policy",) and not isinstance(document.get("policy"), list)
    return (*key[:1], *key[2:]) if is_one else key


def _of_settings(table: Any) -> Iterator[Problem]:
    if not isinstance(table, dict):
        return
    for name, value in table.items():
        if section := _NOT_A_SETTING_HERE.get(name):
            yield ("settings", name), f"settings.{name} is not said here: [{section}] says it"
            continue
        if name in BY_NAME and BY_NAME[name].secret:
            yield ("settings", name), f"settings.{name}: {_no_secret()}"
            continue
        if name not in BY_NAME and name != "env":
            yield ("settings", name), f"settings.{name} is not a setting: {_nearest_setting(name)}"
            continue
        # One by one, so that each is found on its own line.
        single = [{name: {key: text}} for key, text in value.items()] if isinstance(value, dict) else []
        for entry in single or [{name: value}]:
            inner = next(iter(entry.values()))
            key = ("settings", name, *(inner if isinstance(inner, dict) else ()))
            try:
                settings_file.texts(entry, "in [settings]")
            except SettingError as error:
                yield key, str(error)


def _no_secret() -> str:
    return f"no secret belongs in here: `{to_run.ours('secrets set')}` puts it into the secret scope"


def _nearest_setting(name: str) -> str:
    """Say which setting is meant, of those that may be here: by its name, or by its variable's."""
    here = [it for it in TABLE if it.name not in _NOT_A_SETTING_HERE and not it.secret]
    names = {**{it.name: it.name for it in here}, **{it.variable: it.name for it in here}}
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return (
        f"did you mean {names[near[0]]}?" if near else f"there are {_listed([it.name for it in here])}, env"
    )


def _contradictions(deployment: Deployment, document: dict[str, Any]) -> Iterator[Problem]:
    yield from _of_names(deployment)
    yield from _of_policies(deployment)
    yield from _of_fixes(deployment)
    yield from _of_login(deployment, document)


def _of_fixes(deployment: Deployment) -> Iterator[Problem]:
    for number, policy in enumerate(deployment.policies):
        for path, rule in policy.fixes.items():
            for problem in rules.problems(path, rule):
                yield ("policy", number, "fixes", path), f"policy.fixes has {path}: {problem}"


def _of_definitions(deployment: Deployment, folder: Path) -> Iterator[Problem]:
    """Look where each definition is, links followed, before it is read and anybody is asked for more."""
    for number, policy in enumerate(deployment.policies):
        file = folder / (policy.definition or "")
        if not file.resolve().is_relative_to(folder.resolve()):
            yield (
                ("policy", number, "definition"),
                f"policy.definition is {policy.definition!r}, which is not below {folder.resolve()}: a "
                "definition is a file beside the one that names it",
            )


def _of_names(deployment: Deployment) -> Iterator[Problem]:
    databricks, workspace = deployment.databricks, deployment.workspace
    if bool(databricks.host) == bool(databricks.profile):
        yield ("databricks",), "databricks needs host or profile, one of them"
    by_name = {
        "name": workspace.name,
        "resourceGroup": workspace.resource_group,
        "subscriptionId": workspace.subscription_id,
    }
    one = (workspace.id, workspace.url, workspace.tracking_uri)
    ways = [bool(any(by_name.values())), *map(bool, one)]
    if sum(ways) != 1:
        yield (
            ("workspace",),
            "workspace needs name, resourceGroup and subscriptionId; or id; or url; or trackingUri: one way",
        )
    elif workspace.tracking_uri and (cloud := cloud_of(parse(workspace.tracking_uri))) != workspace.cloud:
        yield (
            ("workspace",),
            f"workspace.trackingUri is in {cloud}, and workspace.cloud is {workspace.cloud}: say "
            f'cloud = "{cloud}"',
        )
    elif any(by_name.values()) and not all(by_name.values()):
        missing = next(key for key, value in by_name.items() if not value)
        yield (
            ("workspace",),
            f"workspace.{missing} is missing: it takes name, resourceGroup and subscriptionId",
        )


def _of_policies(deployment: Deployment) -> Iterator[Problem]:
    names: dict[str, int] = {}
    # What [clusters] says is wrong once, however many policies have it from there.
    of_clusters: dict[Problem, None] = {}
    for index, policy in enumerate(deployment.policies):
        if names.setdefault(policy.name, index) != index:
            yield (
                ("policy", index, "name"),
                f"policy.name is {policy.name!r} twice: users pick a policy by its name",
            )
        if policy.family and policy.definition:
            yield (
                ("policy", index, "definition"),
                "policy.family and policy.definition are both given: a policy starts from one of them",
            )
        of_clusters.update(dict.fromkeys(_of_clusters(deployment, index, policy)))
    yield from of_clusters


def _of_clusters(deployment: Deployment, index: int, policy: Policy) -> Iterator[Problem]:
    clusters = deployment.clusters_of(policy)
    in_volume = clusters.location.startswith("/Volumes/")
    if clusters.access_mode == "standard" and not in_volume:
        yield (
            ("clusters", "location"),
            f"clusters.location is {clusters.location!r}: in standard access mode an init script is in a "
            "volume, /Volumes/...",
        )
    if clusters.access_mode == "no-isolation" and in_volume:
        yield (
            ("clusters", "location"),
            f"clusters.location is {clusters.location!r}: clusters without isolation read no volume; "
            "give a folder below /Workspace, or another accessMode",
        )
    section: tuple[str | int, ...] = ("policy", index) if policy.runtimes else ("clusters",)
    for number, runtime in enumerate(clusters.runtimes):
        if clusters.access_mode == "standard" and runtime.endswith(ML):
            yield (
                (*section, "runtimes", number),
                f"{section[0]}.runtimes has {runtime}: ML runtimes do not run in standard access mode; "
                'take it out, or set accessMode = "dedicated"',
            )


def _of_login(deployment: Deployment, document: dict[str, Any]) -> Iterator[Problem]:
    login = deployment.login
    auth = f'auth = "{login.auth}"'
    needed = () if deployment.needs_secrets else NEEDED_FOR_LOGIN[login.auth]
    possible = (*needed, "clientId") if login.auth == "managed-identity" else needed
    for key in login.settings:
        if key != "auth" and key not in possible:
            where = "; it is in the secret scope ([secrets])" if deployment.needs_secrets else ""
            yield ("login", key), f"login.{key} has no meaning with {auth}{where}: take it out"
    for key in needed:
        if key not in login.settings:
            yield ("login",), f"login.{key} is missing: {auth} needs it"
    if "secrets" in document and not deployment.needs_secrets:
        yield (
            ("secrets",),
            f"secrets has no meaning with {auth}, which needs none: take it out",
        )
    for number, policy in enumerate(deployment.policies):
        if policy.scope and not deployment.needs_secrets:
            yield (
                ("policy", number, "scope"),
                f"policy.scope has no meaning with {auth}, which needs no secret: take it out",
            )
    if login.auth == "managed-identity" and "standard" in deployment.access_modes:
        yield (
            ("login", "auth"),
            'login.auth is "managed-identity": standard access mode keeps code from the node\'s identity; '
            'use "service-credential", or another accessMode',
        )
    if login.auth == "service-credential" and "no-isolation" in deployment.access_modes:
        yield (
            ("login", "auth"),
            'login.auth is "service-credential": clusters without isolation have no Unity Catalog; '
            "use another accessMode, or another auth",
        )


def _problem(found: ErrorDetails) -> Problem:
    """Say one of pydantic's errors in the words of the file."""
    key: tuple[str | int, ...] = tuple(found["loc"])
    name = ".".join(str(part) for part in key if isinstance(part, str))
    kind = found["type"]
    if kind == "extra_forbidden":
        return key, _unknown(key, name)
    if kind == "missing":
        wanted = " ".join((_field(key).description or "").split()) if key[1:] else f"a table, [{name}]"
        return key, f"{name} is missing: {wanted}"
    # What somebody took for the place of a secret is not shown.
    value = "***" if key[0] in ("login", "secrets") else repr(found["input"])
    if kind == "value_error":
        return key, f"{name} is {value}: {found['ctx']['error']}"
    if kind == "literal_error":
        return key, f"{name} is {found['input']!r}: use {_listed(_choices(key))}"
    wanted = {
        "string_type": "a text, in quotation marks",
        "tuple_type": 'a list, ["...", "..."]',
        "dict_type": "a table",
        "model_type": f"a table: write [{name}], and its keys below",
        "bool_type": "true or false",
        "bool_parsing": "true or false",
        "string_too_short": "a text that is not empty",
        "too_short": "a list that is not empty",
    }.get(kind, found["msg"])
    return key, f"{name} is {value}: it must be {wanted}"


def _unknown(key: tuple[str | int, ...], name: str) -> str:
    if re.search("secret|password", str(key[-1]), re.IGNORECASE):
        return f"{name} is not known, and {_no_secret()}"
    if key[-1] in BY_NAME and key[-1] not in _NOT_A_SETTING_HERE:
        return f"{name} is not known: {key[-1]} is a setting, which belongs below a line [settings]"
    known = [field.alias or field_name for field_name, field in _model(key[:-1]).model_fields.items()]
    near = difflib.get_close_matches(str(key[-1]), known, n=1, cutoff=0.5)
    return f"{name} is not known: " + (f"did you mean {near[0]}?" if near else f"there are {_listed(known)}")


def _model(key: tuple[str | int, ...]) -> type[BaseModel]:
    model: type[BaseModel] = Deployment
    for part in _names(key):
        annotation = _field_of(model, part).annotation
        # Of a list of tables, the table.
        model = annotation if isinstance(annotation, type) else get_args(annotation)[0]
    return model


def _field(key: tuple[str | int, ...]) -> Any:
    section, name = _names(key)[:2]
    return _field_of(_model((section,)), name)


def _field_of(model: type[BaseModel], alias: str) -> Any:
    return next(field for field in model.model_fields.values() if field.alias == alias)


def _names(key: tuple[str | int, ...]) -> list[str]:
    return [part for part in key if isinstance(part, str)]


def _choices(key: tuple[str | int, ...]) -> list[str]:
    annotation = _field(key).annotation
    # One that may be left out is a union with None.
    choices = next((it for it in get_args(annotation) if get_args(it)), annotation)
    return list(get_args(choices))


def _listed(names: list[str]) -> str:
    return ", ".join(names)
