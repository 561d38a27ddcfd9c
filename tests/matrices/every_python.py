"""The tests that need no node, on every supported Python: what an admin's machine runs."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import uv

from azureml_databricks.admin.bundle import interpreter
from tests import REPOSITORY

_VERSIONS = ("3.10", "3.11", "3.12", "3.13")
_TESTS = ["tests/node/test_settings.py", "tests/admin/test_bundle.py"]


def main() -> None:
    """Run them from a wheel, each Python in an environment of its own, and stop at the first failure."""
    with tempfile.TemporaryDirectory() as scratch:
        dist = Path(scratch, "dist")
        _uv("build", "--quiet", "--wheel", "--out-dir", dist)
        wheel = next(dist.glob("*.whl"))
        for version in _VERSIONS:
            print(f"==> Python {version}", flush=True)
            environment = Path(scratch, version)
            python = environment / "bin/python"
            _uv("venv", "--quiet", "--python", interpreter.find(version), environment)
            install: list[str | Path] = ["pip", "install", "--quiet", "--python", python]
            _uv(*install, "--requirements", "tests/commands/requirements.txt")
            _uv(*install, "--no-deps", wheel)
            tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *_TESTS]
            subprocess.run([python, *tests], check=True, cwd=REPOSITORY)


def _uv(*arguments: str | Path) -> None:
    subprocess.run([uv.find_uv_bin(), *arguments], check=True, cwd=REPOSITORY)


if __name__ == "__main__":
    main()
