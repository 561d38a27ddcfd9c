"""A small cluster that a policy permits: what the policy demands and does not say itself, is chosen.

https://learn.microsoft.com/azure/databricks/admin/clusters/policy-definition
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.objects.definition import Definition

# https://learn.microsoft.com/azure/databricks/compute/configure#single-node-compute
SINGLE_NODE: dict[str, Any] = {
    "num_workers": 0,
    "spark_conf.spark.databricks.cluster.profile": "singleNode",
    "spark_conf.spark.master": "local[*]",
    "custom_tags.ResourceClass": "SingleNode",
}
# Attributes whose keys may have dots, and what is none of a cluster's: its kind, and what it costs.
_MAPS = ("spark_conf", "spark_env_vars", "custom_tags")
_VIRTUAL = ("cluster_type", "dbus_per_hour")
_MACHINES = ("instance_pool_id", "node_type_id")
# Without a value, these are permitted.
_MAY_BE_LEFT_OUT = ("fixed", "forbidden", "unlimited", "blocklist")


def spec(
    definition: Definition, chosen: Mapping[str, Any], smallest_type: Callable[[], str]
) -> dict[str, Any]:
    """Return a cluster for a policy whose fixed and default values are applied to it.

    Args:
        definition: all of the policy.
        chosen: what an admin has chosen, by path.
        smallest_type: returns a node type, for a policy that leaves it to the user.

    Raises:
        AdminError: the policy demands something that only an admin can choose.
    """
    asked = {**dict(_demanded(definition, chosen)), **chosen}
    if not any(path in asked or _is_given(definition.get(path)) for path in _MACHINES):
        asked["node_type_id"] = smallest_type()
    if not any(path == "num_workers" or path.startswith("autoscale.") for path in asked):
        asked = {**_workers(definition), **asked}
    return nested(asked)


def parsed(settings: list[str] | tuple[str, ...]) -> dict[str, Any]:
    """Return values by path, of texts `PATH=VALUE`; what is JSON is read as that.

    Raises:
        AdminError: one has no `=`.
    """
    found: dict[str, Any] = {}
    for setting in settings:
        path, separator, text = setting.partition("=")
        if not separator or not path.strip():
            raise AdminError(
                f"--set is {setting!r}: write PATH=VALUE, such as custom_tags.team=ml or num_workers=1"
            )
        is_text = path.partition(".")[0] in _MAPS
        found[path.strip()] = text if is_text else _value(text)
    return found


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what has values at paths, such as `autoscale.min_workers`."""
    found: dict[str, Any] = {}
    for path, value in values.items():
        head, _, rest = path.partition(".")
        *folders, last = (head, rest) if head in _MAPS else path.split(".")
        inside = found
        for folder in folders:
            inside = inside.setdefault(folder, {})
        inside[last] = value
    return found


def _demanded(definition: Definition, chosen: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what has to be there, and is neither said by the policy nor chosen."""
    missing = []
    for path, rule in definition.items():
        is_ours = path in chosen or path in _VIRTUAL or "*" in path
        if (
            is_ours
            or rule.get("type") in _MAY_BE_LEFT_OUT
            or "defaultValue" in rule
            or rule.get("isOptional")
        ):
            continue
        value = _least(rule)
        if value is None:
            missing.append(path)
        elif path != "num_workers" or value:
            yield path, value
    if missing:
        told = " ".join(f"--set {path}=..." for path in missing)
        raise AdminError(f"the policy demands {', '.join(missing)}, and does not say what: give {told}")


def _least(rule: Mapping[str, Any]) -> Any:
    if values := rule.get("values"):
        numbers = [it for it in values if isinstance(it, int)]
        return min(numbers) if len(numbers) == len(values) else values[0]
    if rule.get("type") == "range":
        return rule.get("minValue", min(1, rule.get("maxValue", 1)))
    return None


def _is_given(rule: Mapping[str, Any] | None) -> bool:
    return rule is not None and (rule.get("type") == "fixed" or "defaultValue" in rule)


def _workers(definition: Definition) -> dict[str, Any]:
    """Return one node, or no number where the policy says one, or one worker where it permits no one node."""
    number = definition.get("num_workers", {})
    scales = any(path.startswith("autoscale.") and _is_given(rule) for path, rule in definition.items())
    if scales or (_is_given(number) and number.get("value", number.get("defaultValue"))):
        return {}
    refused = [path for path in SINGLE_NODE if definition.get(path, {}).get("type") == "forbidden"]
    if refused and refused != ["num_workers"]:
        return {"num_workers": 1}
    return {path: value for path, value in SINGLE_NODE.items() if path not in refused}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
