"""The Python environments that the stories run in: one a version of MLflow, from a lock of its own.

Each holds MLflow, the libraries that its autologging and its flavours work with, and the bridge, installed
as the bundle installs it on a cluster: its entry points stand in for azureml-mlflow's own.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uv

from azureml_databricks.admin.bundle import interpreter
from tests import REPOSITORY

VERSIONS = {
    "2.9.2": "3.10",
    "2.13.1": "3.11",
    "2.19.0": "3.12",
    "2.21.3": "3.12",
    "3.0.1": "3.12",
    "3.8.1": "3.12",
    "3.12.0": "3.12",
    "3.17.2": "3.12",
}
REQUIREMENTS = Path(__file__).parent / "requirements"
# What is imported is compiled then, once; a machine may let Python keep none of it.
KEEPS_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}

_CACHE = REPOSITORY / ".cache" / "mlflow"
_BOOTSTRAP = REPOSITORY / "bootstrap"


def environment(version: str) -> Path:
    """Return the Python of the environment of an MLflow version; it is made now if it never was.

    Raises:
        subprocess.CalledProcessError: uv could not make it; it has said why.
    """
    folder = _CACHE / version
    with _locked(_CACHE / f"{version}.lock"):
        # Written last and removed first: an environment without it is not whole.
        made_of = folder / "made-of"
        recipe = _recipe(version)
        if not made_of.exists() or made_of.read_text() != recipe:
            made_of.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, version)
            made_of.write_text(recipe)
    return folder / "bin/python"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _recipe(version: str) -> str:
    contents = Path(__file__).read_bytes() + _lock(version).read_bytes()
    return f"{hashlib.sha256(contents).hexdigest()} {interpreter.find(VERSIONS[version])} {_BOOTSTRAP}\n"


def _lock(version: str) -> Path:
    return REQUIREMENTS / f"{version}.txt"


def _make(folder: Path, version: str) -> None:
    _uv("venv", "--quiet", "--python", interpreter.find(VERSIONS[version]), folder)
    install = ("pip", "sync", "--quiet", "--require-hashes")
    _uv(*install, "--python", folder / "bin/python", _lock(version))
    (packages,) = folder.glob("lib/python3*/site-packages")
    _install_bridge(packages)


def _install_bridge(packages: Path) -> None:
    (packages / "bootstrap.pth").write_text(f"{_BOOTSTRAP}\n")
    (plugin,) = packages.glob("azureml_mlflow-*.dist-info")
    entry_points = plugin / "entry_points.txt"
    # Not written in place: the file is one with that of uv's cache.
    entry_points.unlink()
    entry_points.symlink_to(_BOOTSTRAP / "azureml_databricks/bridge/entry_points.txt")


def _uv(*arguments: str | Path) -> None:
    subprocess.run([uv.find_uv_bin(), *arguments], check=True)
