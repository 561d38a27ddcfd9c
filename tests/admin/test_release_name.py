"""A release's name: one version has one, wherever it was installed from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests import REPOSITORY

_NAME = """
from azureml_databricks.admin.objects.release import Release
print(Release("/Volumes/sales/ml/azureml", ("15.4",), (), {"onError": "fail"}).name)
"""
# What a wheel is built from.
_SOURCES = ("bootstrap", "init_scripts", "pyproject.toml", "setup.cfg", "README.md", "LICENSE")


def name(package: Path) -> str:
    """The name that a Python gives to a release with the package from a folder."""
    env = {**os.environ, "PYTHONPATH": str(package)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", _NAME], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_wheel_and_a_clone_of_one_commit_name_the_same_release(tmp_path: Path) -> None:
    # Given a clone
    clone = tmp_path / "clone"
    clone.mkdir()
    no_traces = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for path in (REPOSITORY / source for source in _SOURCES):
        if path.is_dir():
            shutil.copytree(path, clone / path.name, symlinks=True, ignore=no_traces)
        else:
            shutil.copy2(path, clone)

    # When a wheel is built from it, and unpacked
    uv = str(Path(sys.executable).with_name("uv"))
    build = [uv, "build", "--wheel", "--quiet", "--python", sys.executable]
    subprocess.run([*build, "--out-dir", str(tmp_path / "dist"), str(clone)], check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")

    # Then two admins with one each do not undo each other
    assert name(tmp_path / "installed") == name(clone / "bootstrap")
