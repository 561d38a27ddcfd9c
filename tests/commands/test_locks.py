"""The lock of an admin's machine is whole, for every Python, and has what the tests run with. No network."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import REPOSITORY

LOCK = REPOSITORY / "bootstrap/azureml_databricks/admin/requirements.txt"
TESTED = REPOSITORY / "tests/commands/requirements.txt"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


@cache
def entries(lock: Path) -> dict[str, set[str]]:
    """Return, for each line of a lock, the hashes that it accepts."""
    text = lock.read_text().replace("\\\n", "")
    lines = [line.split("--hash=") for line in text.splitlines()]
    return {line[0].strip(): {it.strip() for it in line[1:]} for line in lines}


@cache
def locked(lock: Path, python: str) -> dict[str, Requirement]:
    """Return what a lock installs on a Python, by name."""
    all_of_it = [Requirement(line) for line in entries(lock)]
    return {
        canonicalize_name(it.name): it
        for it in all_of_it
        if it.marker is None or it.marker.evaluate(_environment(python))
    }


def needed(python: str) -> set[str]:
    """Return all that the extra `admin` needs, by what the installed packages say of themselves."""
    seen = set[tuple[str, str]]()
    pending = [("azureml-databricks", "admin")]
    while pending:
        asked = pending.pop()
        if asked in seen:
            continue
        seen.add(asked)
        name, extra = asked
        for it in map(Requirement, _required(name)):
            if it.marker is None or it.marker.evaluate({**_environment(python), "extra": extra}):
                pending += [(canonicalize_name(it.name), of_it) for of_it in ("", *it.extras)]
    return {name for name, _ in seen} - {"azureml-databricks"}


def _required(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:  # another Python's
        return []


def _environment(python: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_system": "Linux",
        "sys_platform": "linux",
    }


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_has_all_that_an_admin_needs_and_what_builds_the_package(python: str) -> None:
    assert locked(LOCK, python).keys() == needed(python) | {"setuptools"}


def test_what_is_locked_for_admins_is_what_the_tests_run_with() -> None:
    tested = {_pin(line): hashes for line, hashes in entries(TESTED).items()}
    for line, hashes in entries(LOCK).items():
        if not line.startswith("setuptools=="):
            assert tested.get(_pin(line)) == hashes, line


def test_every_line_of_it_names_one_version_and_its_hashes() -> None:
    for line, hashes in entries(LOCK).items():
        assert re.match(r"[a-z0-9-]+(\[[a-z,-]+\])?==\S+", line)
        assert hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", it) for it in hashes)


def _pin(line: str) -> str:
    it = Requirement(line)
    return f"{canonicalize_name(it.name)}{it.specifier}"
