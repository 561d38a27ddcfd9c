"""Compares what came of the same calls on two servers."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MARK = re.compile(r"#.*?\bdiffers(?P<in_2> in 2)?: (?P<why>\w+)")


@dataclass(frozen=True)
class Call:
    """A call, and what came of it on both servers.

    Attributes:
        place: file and line.
        text: as it is written.
        difference: the id of the difference in docs/mlflow.md that it is marked with, empty for none.
        in_2: whether it is one of MLflow 2 only.
        plain: what came of it on MLflow's own server.
        azure: what came of it on the emulated Azure.
    """

    place: str
    text: str
    difference: str
    in_2: bool
    plain: Any
    azure: Any

    @property
    def is_same(self) -> bool:
        """Whether the same came of it."""
        return bool(_compared(self.plain) == _compared(self.azure))

    def is_as_told(self, *, everywhere: bool) -> bool:
        """Whether it is the same, or is marked and differs.

        Args:
            everywhere: whether what is marked has to differ: the newest MLflow's calls do.
        """
        if everywhere:
            return self.is_same != bool(self.difference and not self.in_2)
        return self.is_same or bool(self.difference)

    def __str__(self) -> str:
        """Tell of it, where it is not as told."""
        if self.is_same:
            return f"{self.place}: {self.text}\n  is marked as `{self.difference}`, and is the same now"
        return f"{self.place}: {self.text}\n  plain: {_shown(self.plain)}\n  azure: {_shown(self.azure)}"


def calls(program: Path, plain: Path, azure: Path) -> list[Call]:
    """Return the calls of a program, by what was recorded on both servers."""
    both = zip(json.loads(plain.read_text()), json.loads(azure.read_text()), strict=True)
    return [
        Call(f"{program.name}:{one['line']}", one["text"], *_mark(one["written"]), one, other)
        for one, other in both
    ]


def _mark(written: Sequence[str]) -> tuple[str, bool]:
    found = _MARK.search("\n".join(written))
    return (found["why"], bool(found["in_2"])) if found else ("", False)


def _compared(outcome: Any) -> Any:
    return {name: outcome[name] for name in ("value", "error") if name in outcome}


def _shown(outcome: Any) -> str:
    if "error" in outcome:
        return f"{outcome['error']} {outcome['said']}"
    return json.dumps(outcome["value"])[:2000]
