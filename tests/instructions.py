"""Counts the instructions of an interpreter's start: repeatable, whatever else the machine does."""

from __future__ import annotations

import re

from tests.node import Node


def at_start(node: Node, python: str, *, env: dict[str, str] | None = None) -> int:
    """Return how many instructions `python -c pass` takes on the node, by valgrind's callgrind."""
    command = [node.inside(python), "-c", "pass"]
    # Hashes are random otherwise, and the first start may compile what the second reads.
    fixed = {"PYTHONHASHSEED": "0", **(env or {})}
    node.run(command, env=fixed)
    counted = node.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command], env=fixed
    )
    found = re.search(r"Collected : (\d+)", counted.stderr)
    assert found, counted.stderr
    return int(found[1])
