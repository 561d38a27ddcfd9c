"""What a Databricks runtime ships, read from its list in `tests/runtimes`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_LISTS = Path(__file__).parents[1] / "runtimes"
_HEADER = re.compile(r"^# (?P<key>[^:]+): (?P<value>\S+)$", re.MULTILINE)
_PACKAGE = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>\S+)(  # left out: (?P<reason>.+))?$", re.MULTILINE)


@dataclass(frozen=True)
class Runtime:
    """A runtime as its list has it.

    Attributes:
        version: as in `/databricks/DBR_VERSION`, such as "15.4".
        python: its minor version, such as "3.11".
        ml_mlflow: the version of MLflow that the ML variant has instead of mlflow-skinny.
        packages: versions by name, all that the runtime ships.
        left_out: why a replica goes without a package, by name.
    """

    version: str
    python: str
    ml_mlflow: str
    packages: Mapping[str, str]
    left_out: Mapping[str, str]

    @classmethod
    def load(cls, version: str) -> Runtime:
        """Read `tests/runtimes/<version>.txt`.

        Raises:
            FileNotFoundError: there is no such list.
            KeyError: its header lacks a line.
        """
        text = (_LISTS / f"{version}.txt").read_text()
        header = dict(_HEADER.findall(text))
        packages = list(_PACKAGE.finditer(text))
        return cls(
            version=version,
            python=header["python"],
            ml_mlflow=header["mlflow of the ML variant"],
            packages={each["name"]: each["version"] for each in packages},
            left_out={each["name"]: each["reason"] for each in packages if each["reason"]},
        )
