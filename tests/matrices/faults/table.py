"""What all tables of faults have: what may become of a fault, and which of them CI tries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import pytest

# In words of the README.
Outcome = Literal["kept working", "refused in one line", "plain MLflow"]
OUTCOMES: tuple[Outcome, ...] = ("kept working", "refused in one line", "plain MLflow")

# Notes what became of one fault; `conftest.py` has the fixture.
Became = Callable[[Outcome], None]


class Named(Protocol):
    """A row of a table."""

    @property
    def name(self) -> str: ...


def each(rows: Sequence[Named], *, sample: int = 1) -> pytest.MarkDecorator:
    """Return the mark that gives a test each row as `fault`; all but every `sample`th are thorough."""
    marks = [() if place % sample == 0 else pytest.mark.thorough for place, _ in enumerate(rows)]
    params = [pytest.param(row, id=row.name, marks=mark) for row, mark in zip(rows, marks, strict=True)]
    return pytest.mark.parametrize("fault", params)
