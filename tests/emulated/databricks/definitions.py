"""The language of policy definitions: what a policy makes of a cluster's spec, and what it refuses.

Source: https://learn.microsoft.com/azure/databricks/admin/clusters/policy-definition
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

Definition = Mapping[str, Mapping[str, Any]]
Spec = dict[str, Any]

# Attributes whose keys are the user's, dots and all.
_MAPS = ("spark_conf", "spark_env_vars", "custom_tags")
# What is no attribute of a cluster's spec: its kind, and what it costs.
_VIRTUAL = ("cluster_type", "dbus_per_hour")
_TYPES = ("fixed", "forbidden", "allowlist", "blocklist", "regex", "range", "unlimited")
"""What a policy can say of an attribute:

Source: https://learn.microsoft.com/azure/databricks/admin/clusters/policy-definition
"""


class MalformedDefinitionError(ValueError):
    """A definition that no cluster can be made with."""


def parse(text: str) -> Definition:
    """Return a definition; of a malformed one the service says so only when a cluster is made with it.

    Raises:
        MalformedDefinitionError: it is not one.

    Source: facts: seen, https://github.com/databricks/cli/pull/6492
    """
    definition = json.loads(text or "{}")
    if not isinstance(definition, dict):
        raise MalformedDefinitionError("it is not an object")
    for path, rule in definition.items():
        if not isinstance(rule, dict) or rule.get("type") not in _TYPES:
            raise MalformedDefinitionError(f"{path} has no type that there is")
        if rule["type"] == "fixed" and "value" not in rule:
            raise MalformedDefinitionError(f"{path} is fixed and has no value")
    return definition


def apply(definition: Definition, spec: Spec, *, defaults: bool) -> Spec:
    """Return the spec with the policy's fixed values, and its default values if asked, where it has none."""
    applied = copy.deepcopy(spec)
    for path, rule in definition.items():
        value = (
            rule.get("value") if rule["type"] == "fixed" else rule.get("defaultValue") if defaults else None
        )
        if value is not None and path not in _VIRTUAL and "*" not in path and get(applied, path) is None:
            put(applied, path, value)
    return applied


def enforce(definition: Definition, spec: Spec) -> Spec:
    """Return the spec with what the policy refuses replaced by what it wants, where it says what."""
    enforced = copy.deepcopy(spec)
    for path in violations(definition, spec):
        rule = definition.get(path, {})
        value = rule.get("value", rule.get("defaultValue"))
        if value is not None:
            put(enforced, path, value)
        elif rule.get("type") == "forbidden":
            put(enforced, path, None)
    return apply(definition, enforced, defaults=False)


def violations(definition: Definition, spec: Spec, kind: str = "all-purpose") -> dict[str, str]:
    """Return what the policy refuses: message by path.

    Args:
        definition: the policy's.
        spec: the cluster's, with fixed values applied.
        kind: the type of the cluster, `all-purpose` or `job`.

    Source: https://learn.microsoft.com/azure/databricks/admin/clusters/policy-definition;
    the words are assumed
    """
    found = {}
    for path, rule in definition.items():
        if path == "dbus_per_hour":
            continue
        for exact in _matching(spec, path):
            value = kind if path == "cluster_type" else get(spec, exact)
            refusal = _refusal(rule, value)
            if refusal:
                found[exact] = refusal
    return found


def get(spec: Spec, path: str) -> Any:
    """Return the value at a path, or None."""
    head, _, rest = path.partition(".")
    if head in _MAPS:
        return (spec.get(head) or {}).get(rest)
    found: Any = spec
    for part in path.split("."):
        if isinstance(found, list):
            found = found[int(part)] if part.isdigit() and int(part) < len(found) else None
        else:
            found = (found or {}).get(part)
    return found


def put(spec: Spec, path: str, value: Any) -> None:
    """Set the value at a path; None takes it away."""
    head, _, rest = path.partition(".")
    if head in _MAPS:
        values = spec.setdefault(head, {})
        if value is None:
            values.pop(rest, None)
        else:
            values[rest] = text_of(value)
        return
    *folders, last = path.split(".")
    inside: Any = spec
    for part, following in zip(folders, path.split(".")[1:], strict=True):
        if isinstance(inside, list):
            inside.extend({} for _ in range(int(part) + 1 - len(inside)))
            inside = inside[int(part)]
        else:
            inside = inside.setdefault(part, [] if following.isdigit() else {})
    if value is None:
        inside.pop(last, None)
    else:
        inside[last] = value


def text_of(value: Any) -> str:
    """Return a value as the service writes it in a text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _matching(spec: Spec, path: str) -> Iterator[str]:
    """Yield the paths that one with `*` stands for."""
    before, star, after = path.partition(".*")
    if not star:
        yield path
        return
    for number in range(len(get(spec, before) or [])):
        yield f"{before}.{number}{after}"


def _refusal(rule: Mapping[str, Any], value: Any) -> str:
    kind, shown = rule["type"], text_of(value)
    if kind == "forbidden":
        return "" if value is None else "the value must not be present"
    if value is None:
        needed = kind not in ("unlimited", "blocklist") and not rule.get("isOptional")
        return "the value must be present" if needed else ""
    is_not = f'(is "{shown}")'
    if kind == "fixed" and shown != text_of(rule["value"]):
        return f"the value must be {text_of(rule['value'])} {is_not}"
    if kind == "allowlist" and shown not in map(text_of, rule["values"]):
        return f"the value must be one of {', '.join(map(text_of, rule['values']))} {is_not}"
    if kind == "blocklist" and shown in map(text_of, rule["values"]):
        return f"the value must not be one of {', '.join(map(text_of, rule['values']))} {is_not}"
    if kind == "regex" and not re.fullmatch(rule["pattern"], shown):
        return f"the value must match the pattern {rule['pattern']} {is_not}"
    if kind == "range" and value < rule.get("minValue", value):
        return f"the value must be at least {rule['minValue']} {is_not}"
    if kind == "range" and value > rule.get("maxValue", value):
        return f"the value must be at most {rule['maxValue']} {is_not}"
    return ""
