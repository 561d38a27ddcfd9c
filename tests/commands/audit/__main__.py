"""`make audit`: ask for known vulnerabilities of what clusters, admins and developers get, by the locks.

It needs the advisory service of pypi.org, or OSV (`PIP_AUDIT_VULNERABILITY_SERVICE=osv`). Where that cannot
be reached it says so and passes. It is no part of CI: that would fail although nobody has changed anything.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomllib

from tests import REPOSITORY

ACCEPTED = Path(__file__).with_name("accepted.toml")
_PACKAGE = REPOSITORY / "bootstrap/azureml_databricks"


class UnreachableError(Exception):
    """Why the advisory service does not answer, in one line."""


@dataclass
class Advisories:
    """What the service said.

    Attributes:
        lines: of each vulnerability what it is and what mends it, by its IDs.
        unknown: the packages that the service does not know.
        asked: how many packages it was asked for.
    """

    lines: dict[tuple[str, ...], str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    asked: int = 0


def main(arguments: Sequence[str]) -> int:
    """Audit the locks, those of the repository unless others are given; print what is wrong.

    Returns:
        1 if there is a vulnerability that nobody has accepted, or an accepted one that is none.
    """
    accepted = tomllib.loads(ACCEPTED.read_text(encoding="utf-8"))["accepted"]
    try:
        advisories = _advisories([Path(it) for it in arguments] or _locks())
    except UnreachableError as error:
        print(f"skipped: {error}")
        return 0
    known = {name for names in advisories.lines for name in names}
    wrong = [line for names, line in advisories.lines.items() if not accepted.keys() & set(names)]
    wrong += [f"{ACCEPTED.name}: {name} is found no more: take it out" for name in accepted.keys() - known]
    wrong += [f"{name} is not known to the service" for name in sorted(advisories.unknown)]
    print(*wrong, f"{advisories.asked} packages asked for; {len(accepted)} accepted", sep="\n")
    return int(bool(wrong))


def _locks() -> list[Path]:
    """Return those of what runs on clusters and of an admin's machine, and of development."""
    development = REPOSITORY / "tests/commands/requirements.txt"
    return [*sorted((_PACKAGE / "locks").glob("*.txt")), _PACKAGE / "admin/requirements.txt", development]


def _advisories(locks: Iterable[Path]) -> Advisories:
    found, unknown = Advisories(), 0
    for lock in locks:
        for package in _audited(lock):
            name = f"{package['name']} {package.get('version', '')}".strip()
            found.asked += 1
            if "skip_reason" in package:
                unknown += 1
                found.unknown.add(package["name"])
            for it in package.get("vulns", ()):
                mended = ", ".join(it["fix_versions"]) or "no version"
                ids = (it["id"], *it["aliases"])
                found.lines[ids] = f"{name} ({lock.name}): {', '.join(ids)}; mended in {mended}"
    if found.unknown and found.asked == unknown:
        raise UnreachableError("the advisory service knows no package at all: is the index a mirror?")
    return found


def _audited(lock: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("pip-audit"), "--format=json", "--progress-spinner=off"),
            # The locks have all that there is: nothing is resolved, and no pip is run.
            *("--require-hashes", "--disable-pip", f"--requirement={lock}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        raise UnreachableError(f"pip-audit had no answer ({done.stderr.strip().rpartition(chr(10))[2]})")
    packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    return packages


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
