"""Measures, on a node, what the demo and the bench show: each beside the manual way, in the same run."""

from __future__ import annotations

import re
import statistics
import time

from tests.emulated.node import Node

_TRIES = 5


def instructions_at_start(node: Node, python: str, *, env: dict[str, str] | None = None) -> int:
    """Return how many instructions `python -c pass` takes, by valgrind's callgrind.

    Repeatable, whatever else the machine does.
    """
    command = [node.inside(python), "-c", "pass"]
    # Hashes are random otherwise, and the first start may compile what the second reads.
    fixed = {"PYTHONHASHSEED": "0", **(env or {})}
    node.run(command, env=fixed)
    counter = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    counted = node.run([*counter, *command], env=fixed)
    found = re.search(r"Collected : (\d+)", counted.stderr)
    assert found, counted.stderr
    return int(found[1])


def seconds_until_done(node: Node, code: str) -> float:
    """Return the median time from a process's start to the end of `code`, in a notebook's environment."""
    python = f"{node.notebook_environment()}/bin/python"
    times = []
    for _ in range(_TRIES):
        started = time.time()
        done = node.run([node.inside(python), "-c", f"{code}\nimport time; print(time.time())"])
        assert done.returncode == 0, done.stderr
        times.append(float(done.stdout.splitlines()[-1]) - started)
    return statistics.median(times)
