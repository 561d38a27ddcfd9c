"""What a deployment changes: one change is one thing made, brought up to date or removed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Action = Literal["create", "update", "delete"]


@dataclass(frozen=True)
class Difference:
    """A field that is not as it should be.

    Attributes:
        field: such as `spark_version`.
        found: what it is, None where it is not there.
        wanted: what it should be, None where it should not be there.
    """

    field: str
    found: Any
    wanted: Any


@dataclass(frozen=True)
class Change:
    """One thing to do.

    Attributes:
        action: what is done.
        kind: to what, such as `policy`.
        name: which one.
        act: does it, and returns what the record is to know of the thing; it may be done twice.
        differences: of an update, what it changes; of others, what a reader wants to know.
        is_ours: whether what is created is removed one day.
        prepare: does what can be done before the workspace is touched.
        instead: the command by which somebody else does it, who may; empty where nobody else is meant.
    """

    action: Action
    kind: str
    name: str
    act: Callable[[], Mapping[str, Any] | None] = field(repr=False)  # it may hold a secret
    differences: tuple[Difference, ...] = ()
    is_ours: bool = True
    prepare: Callable[[], None] | None = None
    instead: str = ""


@dataclass(frozen=True)
class Kept:
    """Something of ours that is not wanted any more and stays all the same.

    Attributes:
        kind: such as `release`.
        name: which one.
        why: such as `cluster etl points at it`.
    """

    kind: str
    name: str
    why: str


@dataclass(frozen=True)
class Unready:
    """Something that will not work as it is, and that a deployment does not mend.

    Attributes:
        kind: such as `cluster`.
        name: which one.
        why: what is so.
        advice: what to do.
    """

    kind: str
    name: str
    why: str
    advice: str


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        changes: in their order.
        kept: what is not wanted any more and stays, as something needs it.
        unready: what does not work all the same.
    """

    changes: list[Change] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    unready: list[Unready] = field(default_factory=list)

    @property
    def document(self) -> dict[str, Sequence[Any]]:
        """What `--json` has of it."""
        return {"changes": self.changes, "kept": self.kept, "unready": self.unready}


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[Difference]:
    """Return the fields in which two objects differ."""
    return [
        Difference(field, found.get(field), wanted.get(field))
        for field in dict.fromkeys((*wanted, *found))
        if found.get(field) != wanted.get(field)
    ]


def shown(value: Any) -> str:
    """Return a value as an admin reads it; of a policy's rules, those that are common without JSON."""
    if isinstance(value, dict) and value.keys() <= {"type", "value", "hidden"}:
        words = [
            str(value.get("type")),
            str(value.get("value", "")),
            "(hidden)" if value.get("hidden") else "",
        ]
        return " ".join(filter(None, words))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
