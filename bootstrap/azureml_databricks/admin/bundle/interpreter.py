"""Pythons of other versions than the running one: byte code is of one minor version."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import uv


class InterpreterError(Exception):
    """Why there is no such Python and what to do, in one line."""


def environment_of_uv() -> dict[str, str]:
    """Return this process's variables, with the certificates that all else here trusts in uv's variable, too.

    requests and azure-core read REQUESTS_CA_BUNDLE: https://requests.readthedocs.io/en/latest/user/advanced/;
    uv reads SSL_CERT_FILE: https://docs.astral.sh/uv/reference/environment/.
    """
    trusted = os.environ.get("REQUESTS_CA_BUNDLE", "")
    return {**({"SSL_CERT_FILE": trusted} if trusted else {}), **os.environ}


def find(version: str) -> Path:
    """Return an interpreter of a minor version, such as `3.11`: this machine's, or one that uv brings.

    Raises:
        InterpreterError: there is none, and uv cannot fetch one.
    """
    # uv searches PATH, where pyenv has those versions only that are switched on.
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    places = [*map(str, pyenv.glob(f"versions/{version}.*/bin")), os.environ["PATH"]]
    environment = {**environment_of_uv(), "PATH": os.pathsep.join(places)}
    for command in ("find --no-project --system", "install", "find --no-project --managed-python"):
        done = subprocess.run(
            [uv.find_uv_bin(), "python", *command.split(), version],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 and done.stdout:
            return Path(done.stdout.strip())
    why = done.stderr.strip().rpartition("\n")[2].strip()
    raise InterpreterError(
        f"there is no Python {version} here, and uv cannot fetch one ({why}): "
        "install it, or set UV_PYTHON_INSTALL_MIRROR"
    )
