"""The lists of runtimes, as their first lines describe them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.emulated.node.runtime import LISTS, Runtime

_SOURCE = re.compile(r"^# Source: (.+)$", re.MULTILINE)


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield of each runtime its version, what its replicas have, and the list's source."""
    for file in sorted(LISTS.glob("*.txt")):
        version, source = file.stem, _SOURCE.search(file.read_text())
        runtime = Runtime.load(version)
        of = "" if runtime.list_of == version else f", the list of {runtime.list_of}"
        what = (
            f"Python {runtime.python}, {len(runtime.packages)} packages{of}; "
            f"MLflow {runtime.ml_mlflow} in the ML variant"
        )
        yield version, what, source[1] if source else ""
