"""What a measurement comes to: a figure of ours, and another beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

# What there is to be beside.
BARE = "without us"
PLUGIN = "azureml-mlflow alone"
MANUAL = "the manual way"
IN_THE_BACKGROUND = f"{PLUGIN}, in the background"
SMALLER = "the smaller size"


@dataclass(frozen=True)
class Row:
    """A figure of ours beside another.

    Attributes:
        what: was measured.
        beside: what the other is of.
        ours: with azureml-databricks.
        other: the other.
        unit: how to print both.
        times: how many times the other's size ours is, where both are of us at two sizes; else 0.
        in_readme: whether the README shows it; it does not where a figure explains another.
    """

    what: str
    beside: str
    ours: float
    other: float
    unit: str = "{:,.0f}"
    times: float = 0
    in_readme: bool = True

    @property
    def ratio(self) -> str:
        """How many times the other it is; of nothing beside something, both."""
        if self.ours and self.other:
            return f"{self.ours / self.other:.2f} : 1"
        return f"{self.ours:.0f} : {self.other:.0f}"


def say(what: str) -> None:
    """Say what is measured now."""
    print(f"==> {what}", flush=True)


def show(title: str, rows: Sequence[Row]) -> None:
    """Print them."""
    table = Table("", "ours", "beside", "the other", "ratio", title=title, title_justify="left")
    for row in rows:
        table.add_row(row.what, row.unit.format(row.ours), row.beside, row.unit.format(row.other), row.ratio)
    Console(width=120).print(table)
