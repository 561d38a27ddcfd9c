"""Archives of the bundle that are built once, for as long as what they are made of is the same.

An archive is the same bytes each time (tests/admin/test_bundle.py), so it is kept under a digest of all that
goes into it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import uv

from azureml_databricks.admin.bundle import archives, init_script, interpreter, uv_program
from tests import REPOSITORY

_CACHE = REPOSITORY / ".cache" / "archives"
_PACKAGE = REPOSITORY / "bootstrap" / "azureml_databricks"
# Before a program is given an admin's variables, which lead to emulated services and nowhere else.
_OF_THIS_MACHINE = dict(os.environ)
_build = archives._archive


def build_once() -> None:
    """Have this process take each archive from the cache, where the first process that needs it puts it."""
    archives._archive = _kept
    uv_program.run = _uv


def _kept(runtime: archives.Runtime, extras: Sequence[str], out: Path) -> archives.Archive:
    # This process's word for its version, which a test may have changed.
    ours = archives.version("azureml-databricks")  # type: ignore[attr-defined]
    folder = _CACHE / _digest() / hashlib.sha256(_compiler(runtime).encode()).hexdigest()[:12] / ours
    folder.mkdir(parents=True, exist_ok=True)
    name = archives.lock_name(runtime.version, extras)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = next(folder.glob(f"*-runtime-{name}.tar.gz"), None)
        path = made or _build(runtime, extras, folder).path
    copy = out / path.name
    shutil.copyfile(path, copy)
    return archives.Archive(runtime, copy, hashlib.sha256(copy.read_bytes()).hexdigest())


def _uv(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command, env = [uv.find_uv_bin(), *arguments], {**_OF_THIS_MACHINE, **variables}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@cache
def _digest() -> str:
    """Return a digest of the package: its code, which also builds the archives, its locks and init script."""
    digest = hashlib.sha256(init_script.template().encode())
    for folder, folders, names in os.walk(_PACKAGE):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for file in (Path(folder, name) for name in sorted(names)):
            digest.update(f"{file.relative_to(_PACKAGE)}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _compiler(runtime: archives.Runtime) -> str:
    python = interpreter.find(runtime.python).resolve()
    return f"{python} {python.stat().st_mtime_ns}"
