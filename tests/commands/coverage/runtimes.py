"""The lists of runtimes, as their first lines describe them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.emulated.node import Replica, Runtime
from tests.emulated.node.runtime import LISTS

_SOURCE = re.compile(r"^# Source: (.+)$", re.MULTILINE)


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield of each runtime its version, what its replicas have, and the list's source."""
    for file in sorted(LISTS.glob("*.txt")):
        version, dash, _ = file.stem.partition("-")
        source = _SOURCE.search(file.read_text())
        replica = Replica(Runtime.load(version), ml=bool(dash))
        mlflow = replica.packages.get("mlflow-skinny", "none")
        what = f"Python {replica.runtime.python}, {len(replica.packages)} packages, MLflow {mlflow}"
        yield f"{version}{' ML' if dash else ''}", what, source[1] if source else ""
