"""What a Databricks runtime ships, read from its list in `tests/emulated/runtimes`; DBR_VERSION tells which.

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


@dataclass(frozen=True)
class Runtime:
    """A runtime as its list has it.

    Attributes:
        version: as in `/databricks/DBR_VERSION`, such as "15.4".
        python: its minor version, such as "3.11".
        ml_mlflow: the version of MLflow that the ML variant has instead of mlflow-skinny.
        packages: versions by name, all that a replica has.
        list_of: the version whose packages they are; another where the runtime's own are not known.
    """

    version: str
    python: str
    ml_mlflow: str
    packages: Mapping[str, str]
    list_of: str

    @classmethod
    def load(cls, version: str) -> Runtime:
        """Read `tests/emulated/runtimes/<version>.txt`.

        Raises:
            FileNotFoundError: there is no such list.
            KeyError: its header lacks a line.
        """
        text = _read(version)
        header = dict(_HEADER.findall(text))
        list_of = header.get("packages of", version)
        return cls(
            version=version,
            python=header["python"],
            ml_mlflow=header["mlflow of the ML variant"],
            packages={
                each["name"]: each["replaced"] or each["version"]
                for each in _PACKAGE.finditer(_read(list_of))
                if not each["left_out"]
            },
            list_of=list_of,
        )


def _read(version: str) -> str:
    return (LISTS / f"{version}.txt").read_text()
