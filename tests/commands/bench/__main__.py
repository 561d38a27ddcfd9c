"""Measure all of it and print it; with README=1, write what the README shows of it."""

from __future__ import annotations

import os
import time

from tests.commands import readme_table
from tests.commands.bench import files, first_run, growth, init_script, large_workspace, starts
from tests.commands.bench.place import prepared
from tests.commands.bench.rows import Row, show

# In this order: the first one runs the init script for all others.
_PARTS = {
    "a Python's start": starts.rows,
    "a node's start": init_script.rows,
    "a process": first_run.rows,
    "artifacts and models": files.rows,
    "growth": growth.rows,
    "a large workspace": large_workspace.rows,
}


def main() -> None:
    """Do it."""
    begun = time.monotonic()
    told: list[Row] = []
    with prepared() as place:
        for title, part in _PARTS.items():
            rows = list(part(place))
            show(title, rows)
            told += rows
    print(f"All of it took {(time.monotonic() - begun) / 60:.0f} minutes.")
    if os.environ.get("README"):
        # Ratios hold on other machines too.
        ratios = [(row.what, row.beside, row.ratio) for row in told if row.in_readme]
        readme_table.write("cost", ("", "beside", "azureml-databricks : the other"), ratios)


if __name__ == "__main__":
    main()
