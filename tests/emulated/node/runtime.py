"""What a Databricks runtime ships, read from its lists in `tests/emulated/runtimes`; DBR_VERSION tells which.

Source: the list's own line `# Source: ...`
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LISTS = Path(__file__).parents[1] / "runtimes"
_HEADER = re.compile(r"^# (?P<key>[^:\n]+): (?P<value>\S+)$", re.MULTILINE)
_PACKAGE = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>\S+)"
    r"(  # ((?P<left_out>left out): .+|replaced by (?P<replaced>[\w.]+): .+))?$",
    re.MULTILINE,
)
# What a list may not name, and every cluster has.
_ALWAYS = {"pip": "25.0.1"}
"""pip, of which the vendor's lists say nothing:

Source: assumed: 17.3's, https://github.com/databricks/containers
"""


@dataclass(frozen=True)
class Runtime:
    """A runtime as its two lists have it.

    Attributes:
        version: that of its lists, such as "15.4" or "18".
        release: as in `/databricks/DBR_VERSION`, such as "15.4" or "18.0".
        python: its minor version, such as "3.11".
        packages: versions by name, all that a replica of the standard variant has.
        ml_packages: the same of the ML variant.
    """

    version: str
    release: str
    python: str
    packages: Mapping[str, str]
    ml_packages: Mapping[str, str]

    @classmethod
    def load(cls, version: str) -> Runtime:
        """Read `tests/emulated/runtimes/<version>.txt` and its ML variant's list.

        From 18 on a list is a major version's: "18.9" is 18's list, on a node that says 18.9.

        Raises:
            FileNotFoundError: there is no such list.
            KeyError: its header lacks a line.
        """
        listed = version if _list(version).exists() else version.partition(".")[0]
        header = dict(_HEADER.findall(_list(listed).read_text()))
        release = version if listed != version else header.get("release", version)
        return cls(listed, release, header["python"], _packages(listed), _packages(f"{listed}-ml"))


def shipped(name: str) -> dict[str, str]:
    """Return versions by normalised name of all that a list names, whether a replica has it or not.

    Args:
        name: the list's, such as "15.4" or "15.4-ml".
    """
    return {normalised(each["name"]): each["version"] for each in _PACKAGE.finditer(_list(name).read_text())}


def normalised(name: str) -> str:
    """Return a package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _packages(name: str) -> dict[str, str]:
    listed = {
        normalised(each["name"]): each["replaced"] or each["version"]
        for each in _PACKAGE.finditer(_list(name).read_text())
        if not each["left_out"]
    }
    return {**_ALWAYS, **listed}


def _list(name: str) -> Path:
    return LISTS / f"{name}.txt"
