"""What a node's start takes: the init script, by its steps."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.commands import manual_way
from tests.commands.bench.place import Place
from tests.commands.bench.rows import MANUAL, Row
from tests.emulated.cluster import SCRIPT
from tests.emulated.node import Node

# A step ends with what the script says of it.
_STEPS = {"archive:": "copied and checked", "unpacked": "unpacked"}


def rows(place: Place) -> Iterator[Row]:
    """Time the script on a node that has nothing of ours, and `pip install` of the manual way's libraries."""
    node = place.ours.node
    done = node.run([node.inside("/usr/local/bin/azureml-databricks"), "node", "uninstall"])
    assert done.returncode == 0, done.stderr
    steps = _timed(node)
    pip = _seconds_of_pip(place.plugin.node, place.folder / "libraries")
    total = sum(steps.values())
    yield Row(
        "a node made ready: the init script, `pip install` of the libraries", MANUAL, total, pip, "{:.2f} s"
    )
    for step, seconds in steps.items():
        yield Row(
            f"the archive {step}, of the script", "all of it", seconds, total, "{:.2f} s", in_readme=False
        )


def _timed(node: Node) -> dict[str, float]:
    """Return the seconds that each step takes."""
    steps, begun = {}, time.perf_counter()
    process = node.popen(["bash", node.inside(SCRIPT)])
    assert process.stdout is not None
    for line in process.stdout:
        said = line.removeprefix("azureml-databricks: ")
        for sign, step in _STEPS.items():
            if said.startswith(sign):
                now = time.perf_counter()
                steps[step], begun = now - begun, now
    assert process.wait() == 0
    steps["put into service"] = time.perf_counter() - begun
    return steps


def _seconds_of_pip(node: Node, target: Path) -> float:
    """Install the manual way's libraries as its users do, with pip and from the index."""
    lock = manual_way.lock(node)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-cache-dir"]
    started = time.perf_counter()
    subprocess.run([*command, "--target", target, "--requirement", lock], check=True, capture_output=True)
    return time.perf_counter() - started
