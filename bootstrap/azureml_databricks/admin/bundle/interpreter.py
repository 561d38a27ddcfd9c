"""Pythons of other versions than the running one: byte code is of one minor version."""

from __future__ import annotations

import os
from pathlib import Path

from azureml_databricks.admin.bundle import uv_program


class InterpreterError(Exception):
    """Why there is no such Python and what to do, in one line."""


def find(version: str) -> Path:
    """Return an interpreter of a minor version, such as `3.11`: this machine's, or one that uv brings.

    Raises:
        InterpreterError: there is none, and uv cannot fetch one.
    """
    # uv searches PATH, where pyenv has those versions only that are switched on.
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    places = [*map(str, pyenv.glob(f"versions/{version}.*/bin")), os.environ["PATH"]]
    path = os.pathsep.join(places)
    for command in ("find --no-project --system", "install", "find --no-project --managed-python"):
        done = uv_program.run("python", *command.split(), version, PATH=path)
        if done.returncode == 0 and done.stdout:
            return Path(done.stdout.strip())
        if command == "install" and done.returncode:
            break
    raise InterpreterError(
        f"there is no Python {version} here, and uv cannot fetch one "
        f"({uv_program.refusal(done.stderr)}): "
        "install it, or set UV_PYTHON_INSTALL_MIRROR"
    )
