"""Commands of ours that an admin is told to run, each with the `--file` that they gave."""

from __future__ import annotations

import shlex
from contextvars import ContextVar
from pathlib import Path

FILE = "azureml-databricks.toml"
_file: ContextVar[str] = ContextVar("_file", default=FILE)


def is_about(file: Path) -> None:
    """Note which file the command that runs is about."""
    _file.set(str(file))


def ours(command: str) -> str:
    """Return a command as it is to be run.

    Args:
        command: such as `deploy --enforce`.
    """
    file = _file.get()
    return f"azureml-databricks {command}" + ("" if file == FILE else f" --file {shlex.quote(file)}")
