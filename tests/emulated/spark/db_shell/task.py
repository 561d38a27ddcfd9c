"""A job's task in a Python on the driver: `script FILE ARGUMENT...` or `wheel PACKAGE ENTRY ARGUMENT...`.

Source: https://docs.databricks.com/aws/en/jobs/python-wheel
"""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from typing import Any

from .session import prepare


def main() -> None:
    """Run the task that the arguments name; `--ml` before them on ML runtimes."""
    ml = sys.argv[1] == "--ml"
    kind, what, *arguments = sys.argv[2 if ml else 1 :]
    prepare(ml=ml)
    if kind == "script":
        sys.argv = [what, *arguments]
        runpy.run_path(what, run_name="__main__")
    else:
        entry, *sys.argv[1:] = arguments
        _entry_point(what, entry)()


def _entry_point(package: str, name: str) -> Callable[[], Any]:
    """Return the entry point that the package's metadata has, or else its function of that name."""
    for each in distribution(package).entry_points:
        if each.name == name:
            found: Callable[[], Any] = each.load()
            return found
    function: Callable[[], Any] = getattr(importlib.import_module(package), name)
    return function


if __name__ == "__main__":
    main()
