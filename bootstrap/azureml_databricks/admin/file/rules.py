"""What [policy.fixes] may say: rules of a policy definition, by the paths of a cluster's attributes.

https://learn.microsoft.com/azure/databricks/admin/clusters/policy-definition
"""

from __future__ import annotations

import difflib
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

_EXAMPLE = 'autotermination_minutes = { type = "fixed", value = 60 }'
# What each type of a rule needs, with an example of it.
_NEEDS: dict[str, tuple[tuple[str, ...], str]] = {
    "fixed": (("value",), _EXAMPLE),
    "forbidden": ((), 'instance_pool_id = { type = "forbidden" }'),
    "allowlist": (("values",), 'node_type_id = { type = "allowlist", values = ["Standard_DS3_v2"] }'),
    "blocklist": (("values",), 'node_type_id = { type = "blocklist", values = ["Standard_NC6s_v3"] }'),
    "regex": (("pattern",), 'node_type_id = { type = "regex", pattern = "Standard_D.*" }'),
    "range": ((), 'num_workers = { type = "range", maxValue = 10 }'),
    "unlimited": ((), '"custom_tags.team" = { type = "unlimited", defaultValue = "ml" }'),
}
_ONE: tuple[type, ...] = (str, int, float, bool)
# Of each key: which types of TOML's it may have.
_KEYS: dict[str, tuple[tuple[type, ...], str]] = {
    "type": ((str,), "a text"),
    "value": (_ONE, "a text, a number, true or false"),
    "values": ((list,), "a list of texts, numbers, true or false"),
    "pattern": ((str,), "a text"),
    "minValue": ((int, float), "a number"),
    "maxValue": ((int, float), "a number"),
    "hidden": ((bool,), "true or false"),
    "isOptional": ((bool,), "true or false"),
    "defaultValue": (_ONE, "a text, a number, true or false"),
}
# What is usual, to tell a slip of the pen by; there may be others, and more with the time.
_ATTRIBUTES = (
    *("autoscale.max_workers", "autoscale.min_workers", "autotermination_minutes", "cluster_log_conf.path"),
    *("cluster_log_conf.type", "cluster_name", "cluster_type", "data_security_mode", "dbus_per_hour"),
    *("dependency_mode", "driver_instance_pool_id", "driver_node_type_id", "enable_elastic_disk"),
    *("enable_local_disk_encryption", "instance_pool_id", "is_single_node", "kind", "node_type_id"),
    *("num_workers", "runtime_engine", "single_user_name", "spark_version", "use_ml_runtime"),
    *("azure_attributes.availability", "azure_attributes.first_on_demand"),
    *("azure_attributes.spot_bid_max_price", "workload_type.clients.jobs"),
    *("workload_type.clients.notebooks", "docker_image.url"),
)
# What Python says of a pattern that Java cannot read either; of Java's own ways Python says other things.
_UNREADABLE = re.compile(
    r"missing \), unterminated subpattern|unbalanced parenthesis|unterminated character set"
    r"|bad character range|min repeat greater than max repeat|bad escape \(end of pattern\)"
)
_MOST = 60
_MAPS = ("custom_tags", "spark_conf", "spark_env_vars", "init_scripts")


def problems(path: str, rule: Any) -> Iterator[str]:
    """Yield what is wrong with a rule, each with an example of a right one.

    Args:
        path: the cluster's attribute.
        rule: as the file has it.
    """
    if not isinstance(rule, Mapping):
        yield f"it is {rule!r}, and no rule: write {_EXAMPLE}"
        return
    if near := _meant(path):
        yield f"there is no such attribute of a cluster; did you mean {near}?"
    kind = rule.get("type")
    if kind is None and any(isinstance(it, Mapping) for it in rule.values()):
        inner = f"{path}.{next(iter(rule))}"
        yield f'it has no type: a path with dots is in quotation marks, "{inner}" = {{ type = "fixed", ... }}'
        return
    if not isinstance(kind, str) or kind not in _NEEDS:
        told = f"its type is {kind!r}" if kind is not None else "it has no type"
        yield f"{told}: use {', '.join(_NEEDS)}, such as {_EXAMPLE}"
        return
    needed, example = _NEEDS[kind]
    yield from (f"it is {kind} and has no {key}: write {example}" for key in needed if key not in rule)
    if kind == "range" and not {"minValue", "maxValue"} & rule.keys():
        yield f"it is a range and has no minValue and no maxValue: write {example}"
    for key, value in rule.items():
        if key not in _KEYS:
            meant = difflib.get_close_matches(key, _KEYS, n=1)
            yield f"{key} is not known: " + (f"did you mean {meant[0]}?" if meant else f"write {example}")
        elif not _is(value, _KEYS[key][0]):
            yield f"{key} is {value!r}: it must be {_KEYS[key][1]}, as in {example}"
        elif value == []:
            yield f"{key} is empty: write {example}"
        elif key == "pattern" and (why := unreadable(value)):
            yield f"pattern is {why}: write {example}"


def _is(value: Any, types: tuple[type, ...]) -> bool:
    if isinstance(value, list):
        return list in types and all(_is(it, _ONE) for it in value)
    # In Python true is a number, too, and infinity is one that JSON does not have.
    return (
        isinstance(value, types)
        and (bool in types or not isinstance(value, bool))
        and not (isinstance(value, float) and not math.isfinite(value))
    )


def unreadable(pattern: str) -> str:
    """Return a pattern that nobody can read, and why; empty where it can be read, perhaps by Java alone."""
    shown = repr(pattern if len(pattern) <= _MOST else f"{pattern[:_MOST]}...")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except (OverflowError, RecursionError):
        return f"{shown}, which cannot be read (it is too large)"
    except re.error as error:
        dangling = error.msg == "nothing to repeat" and _is_at_a_start(pattern, error.pos)
        if dangling or _UNREADABLE.match(error.msg):
            return f"{shown}, which cannot be read ({error})"
    return ""


def _is_at_a_start(pattern: str, position: int | None) -> bool:
    return not position or pattern[position - 1] in "(|"


def _meant(path: str) -> str:
    """Return the attribute that is meant by one that there is not, empty if there may be such a one."""
    if path in _ATTRIBUTES or path.partition(".")[0] in _MAPS:
        return ""
    return next(iter(difflib.get_close_matches(path, [*_ATTRIBUTES, *_MAPS], n=1, cutoff=0.88)), "")
