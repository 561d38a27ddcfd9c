"""The Pythons of this machine, by version: pyenv's, or one that uv finds or brings."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import uv

VERSIONS = ("3.10", "3.11", "3.12", "3.13")


def find(version: str) -> Path:
    """Return an interpreter of that minor version.

    Raises:
        subprocess.CalledProcessError: there is none, and uv cannot fetch one; it has said why.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for executable in sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}")):
        return executable
    find = [uv.find_uv_bin(), "python", "find", "--no-project", "--system", version]
    found = subprocess.run(find, capture_output=True, text=True, check=False)
    if found.returncode:
        subprocess.run([uv.find_uv_bin(), "python", "install", version], check=True)
        found = subprocess.run(find, capture_output=True, text=True, check=True)
    return Path(found.stdout.strip())
