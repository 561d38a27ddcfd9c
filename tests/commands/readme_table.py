"""A table of the README that a command writes and CI compares with what it has seen."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests import REPOSITORY

README = REPOSITORY / "README.md"

# None: what was not run this time.
Rows = Sequence[Sequence[str | None]]


def show(head: Sequence[str], rows: Rows) -> None:
    """Print it."""
    table = Table(*head)
    for row in rows:
        table.add_row(*map(_shown, row))
    Console().print(table)


def write(name: str, head: Sequence[str], rows: Rows) -> None:
    """Write it between the README's comments `<!-- NAME: ... -->` and `<!-- end of NAME -->`."""
    README.write_text(
        _place(name).sub(lambda found: found[1] + text(head, rows) + found[3], README.read_text())
    )


def in_readme(name: str) -> str:
    """Return what stands between these comments now."""
    found = _place(name).search(README.read_text())
    assert found, f"README.md has no table {name}"
    return found[2]


def text(head: Sequence[str], rows: Rows) -> str:
    """Return it as the README has it."""
    return "".join(_line(cells) for cells in [head, ["---"] * len(head), *rows])


def _place(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name}: [^\n]*-->\n)(.*)(<!-- end of {name} -->)", re.DOTALL)


def untrue(rows: Rows) -> list[str]:
    """Return those lines that the README does not have, whatever it says of what was not run."""
    lines = [line[2:-2].split(" | ") for line in README.read_text().splitlines() if line.startswith("| ")]
    return [_line(row) for row in rows if not any(_agree(row, line) for line in lines)]


def _agree(row: Sequence[str | None], line: Sequence[str]) -> bool:
    return len(row) == len(line) and all(cell in (None, told) for cell, told in zip(row, line, strict=True))


def _line(cells: Sequence[str | None]) -> str:
    return f"| {' | '.join(map(_shown, cells))} |\n"


def _shown(cell: str | None) -> str:
    return "not run" if cell is None else cell
