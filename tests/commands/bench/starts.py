"""What every Python's start costs, beside one on a node without us."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

from tests.commands.bench.place import Place
from tests.commands.bench.rows import BARE, Row
from tests.commands.measure import instructions_at_start
from tests.emulated.cluster import start
from tests.emulated.node import Node

_BASE = "/usr/bin/python3.11"
_CLUSTER = "/databricks/python3/bin/python"
_NOTEBOOKS = {"PYTHONPATH": "/databricks/spark/python:/databricks/python_shell"}
_STARTS = {
    "start of the base Python": (_BASE, {}),
    "start of the base Python, with a notebook's PYTHONPATH": (_BASE, _NOTEBOOKS),
    "start of the cluster's Python": (_CLUSTER, {}),
    "start of the cluster's Python, with a notebook's PYTHONPATH": (_CLUSTER, _NOTEBOOKS),
}
_MEMORY = "print(int(open('/proc/self/smaps_rollup').read().partition('Rss:')[2].split()[0]))"


def rows(place: Place) -> Iterator[Row]:
    """Count before and after the init script runs."""
    node = place.ours.node
    before = _counted(node)
    start(node)
    for (what, unit, ours), (_, _, bare) in zip(_counted(node), before, strict=True):
        yield Row(what, BARE, ours, bare, unit)


def _counted(node: Node) -> list[tuple[str, str, int]]:
    figures = [
        (f"{what}, in instructions", "{:,.0f}", instructions_at_start(node, python, env=env))
        for what, (python, env) in _STARTS.items()
    ]
    memory = min(int(node.run([node.inside(_CLUSTER), "-c", _MEMORY]).stdout) for _ in range(5))
    figures.append(("memory of an idle interpreter", "{:,.0f} KB", memory))
    if shutil.which("strace"):
        done = node.run(["strace", "-c", "-f", node.inside(_BASE), "-c", "pass"])
        (calls,) = re.findall(r"(\d+)(?:\s+\d+)?\s+total", done.stderr)
        figures.append(("start of the base Python, in system calls", "{:,.0f}", int(calls)))
    return figures
