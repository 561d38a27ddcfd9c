"""The policy's definition: what we fix, on top of what an admin starts from.

The language: https://learn.microsoft.com/azure/databricks/admin/clusters/policy-definition
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file import rules
from azureml_databricks.admin.file.any_text import decoded
from azureml_databricks.admin.file.deployment import ML, Clusters, Deployment, Policy
from azureml_databricks.admin.objects import access_modes
from azureml_databricks.admin.objects.changes import shown
from azureml_databricks.settings import BY_NAME, Settings

Definition = dict[str, Any]
# Whether a policy may say this is written nowhere: who deploys it does without where it is refused.
# https://learn.microsoft.com/azure/databricks/compute/environments-mode
DEPENDENCY_MODE = "dependency_mode"
CLUSTER_LIBRARIES = "DEPENDENCY_MODE_CLUSTER_LIBRARIES"
ENVIRONMENTS = "DEPENDENCY_MODE_ENVIRONMENTS"
_ENVIRONMENTS_SINCE = 19
# Spark 4 has Scala 2.13 only, and 16.4 has images of both:
# https://learn.microsoft.com/azure/databricks/release-notes/runtime/16.4lts
_SCALA = {"14.3": ["2.12"], "15.4": ["2.12"], "16.4": ["2.12", "2.13"]}


def ours(deployment: Deployment, policy: Policy, script: str, base: Mapping[str, Any]) -> Definition:
    """Return what we and the file say, which goes on top of what the admin starts from.

    Args:
        deployment: what the file says.
        policy: which of its policies.
        script: the init script's path.
        base: what the admin starts from; its init scripts keep their places.

    Raises:
        AdminError: two of them want something else of one path.
    """
    clusters = deployment.clusters_of(policy)
    definition: Definition = {
        "spark_version": _spark_version(clusters.runtimes),
        access_modes.PATH: _fixed(access_modes.NAMES[clusters.access_mode], hidden=True),
    }
    if _may_have_environments(clusters):
        definition[DEPENDENCY_MODE] = _fixed(CLUSTER_LIBRARIES, hidden=True)
    kind = "volumes" if script.startswith("/Volumes/") else "workspace"
    free = _free_place({**base, **policy.fixes})
    definition[f"init_scripts.{free}.{kind}.destination"] = _fixed(script)
    if deployment.needs_secrets:
        for setting in Settings.SERVICE_PRINCIPAL:
            key = getattr(deployment.secrets, _snake(setting))
            reference = f"{{{{secrets/{deployment.scope_of(policy)}/{key}}}}}"
            definition[f"spark_env_vars.{BY_NAME[setting].variable}"] = _fixed(reference, hidden=True)
    which = f" of {policy.name}" if len(deployment.policies) > 1 else ""
    _check(policy.fixes, definition, f"{deployment.path} (policy.fixes{which})")
    # They may leave us room, and cannot take the rest back.
    return {**definition, **policy.fixes, **definition}


def composed(base: Definition, ours: Definition, origin: str) -> Definition:
    """Return a whole definition: ours on top of the one that the admin starts from.

    Raises:
        AdminError: it wants something else of a path; all such paths are named.
    """
    _check(base, ours, origin)
    return {**base, **ours}


def check_family(family: Definition, ours: Definition, policy: Policy) -> None:
    """Look whether a policy can start from a family of Databricks', which nobody can change.

    Raises:
        AdminError: the family wants something else of a path; all such paths are named.
    """
    _check(family, ours, f"policy family {policy.family}", _remedies(policy))


def read(path: Path) -> Definition:
    """Return the definition in a JSON file; whoever wrote its path does not get to see any other file.

    Args:
        path: of the file.

    Raises:
        AdminError: it cannot be read, or is none; what is in it is not told.
    """
    origin = f"{path} (policy.definition)"
    if path.exists() and not path.is_file():
        raise AdminError(f"{origin} is no file")
    try:
        definition = json.loads(decoded(path.read_bytes()))
    except OSError as error:
        raise AdminError(f"{origin} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise AdminError(f"{origin} is not JSON{line}") from None
    if not isinstance(definition, dict):
        raise AdminError(f"{origin} is no policy definition: that is an object of paths")
    for number, rule in enumerate(definition.values(), start=1):
        if not isinstance(rule, dict) or "type" not in rule:
            raise AdminError(
                f"{origin} is no policy definition: its path number {number} is not an object, "
                '{"type": "fixed", "value": ...}'
            )
    for name, rule in definition.items():
        if rule["type"] == "regex" and (why := rules.unreadable(str(rule.get("pattern", "")))):
            raise AdminError(f"{origin}: the pattern of {name} is {why}")
    return definition


def _check(
    base: Mapping[str, Any], ours: Mapping[str, Any], origin: str, remedies: Mapping[str, str] | None = None
) -> None:
    """Look whether ours only chooses among what theirs permits.

    Args:
        base: theirs.
        ours: ours.
        origin: of theirs.
        remedies: what to do, by path, where nobody can change theirs; None where it can be changed.
    """
    conflicts = []
    for path, rule in ours.items():
        why = _conflict(base[path], rule) if path in base else None
        if why is not None:
            to_do = "take it out there" if remedies is None else remedies.get(path, _ANOTHER_FAMILY)
            both = f"{shown(base[path])} there, {shown(rule)} here"
            conflicts.append(f"{origin} and this deployment both say {path}: {both}{why}; {to_do}")
    if conflicts:
        raise AdminError("\n".join(conflicts))


_ANOTHER_FAMILY = "name another family (policy.family), or none"


def _remedies(policy: Policy) -> dict[str, str]:
    """Return what to change in the file where a family of Databricks' says something else."""
    own = "policy" if policy.runtimes or policy.access_mode else "clusters"
    return {
        "spark_version": f"name runtimes that it permits ({own}.runtimes), or another family (policy.family)",
        access_modes.PATH: f"set {own}.accessMode to what it permits, or name another family (policy.family)",
    }


def _conflict(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str | None:
    """Return None where there is none; else why, in words that may be empty."""
    try:
        with warnings.catch_warnings():
            # What Python reads today, and in another way than Java.
            warnings.simplefilter("error", FutureWarning)
            return None if _permits(of_today(theirs), of_today(ours)) else ""
    except (re.error, FutureWarning):
        return " (a pattern that Java reads, so that it is not known here what it permits)"
    except TypeError:  # a rule that is none
        return ""


def _permits(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    values = ours.get("values", [ours.get("value")])
    kind = theirs.get("type")
    if kind == "allowlist":
        return all(value in theirs.get("values", []) for value in values)
    if kind == "blocklist":
        return not any(value in theirs.get("values", []) for value in values)
    if kind == "range":
        least, most = theirs.get("minValue", values[0]), theirs.get("maxValue", values[0])
        return all(least <= value <= most for value in values)
    if kind == "regex":
        pattern = re.compile(theirs.get("pattern", ""))
        return all(any(map(pattern.fullmatch, access_modes.spellings(str(value)))) for value in values)
    if kind == "fixed":
        return bool([theirs.get("value")] == values)
    return bool(kind == "unlimited")


def of_today(rule: Any) -> Any:
    """Return a rule with today's name in the place of an older one for the same access mode."""
    if not isinstance(rule, Mapping):
        return rule
    found = {key: access_modes.of_today(value) for key, value in rule.items()}
    if "values" in found:
        found["values"] = [access_modes.of_today(value) for value in found["values"]]
    return found


def _may_have_environments(clusters: Clusters) -> bool:
    newest = max(int(runtime.removesuffix(ML).partition(".")[0]) for runtime in clusters.runtimes)
    return clusters.access_mode == "standard" and newest >= _ENVIRONMENTS_SINCE


def spark_versions(runtime: str) -> list[str]:
    """Return the keys of a runtime's images, the most usual first."""
    number = runtime.removesuffix(ML)
    kinds = ("-cpu-ml", "-gpu-ml") if runtime.endswith(ML) else ("",)
    return [f"{number}.x{kind}-scala{scala}" for scala in _SCALA.get(number, ["2.13"]) for kind in kinds]


def _spark_version(runtimes: tuple[str, ...]) -> Definition:
    versions = [version for runtime in runtimes for version in spark_versions(runtime)]
    if len(versions) == 1:
        return _fixed(versions[0])
    return {"type": "allowlist", "values": versions, "defaultValue": versions[0]}


def _free_place(definition: Mapping[str, Any]) -> int:
    taken = [int(found[1]) for path in definition if (found := re.match(r"init_scripts\.(\d+)\.", path))]
    return max(taken, default=-1) + 1


def _fixed(value: str, *, hidden: bool = False) -> Definition:
    return {"type": "fixed", "value": value, **({"hidden": True} if hidden else {})}


def _snake(name: str) -> str:
    return re.sub("([A-Z])", r"_\1", name).lower()
