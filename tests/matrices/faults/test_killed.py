"""The init script and the uninstall, killed after each of their changes of a file, and run again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.emulated.cluster import SCRIPT, cluster_node, left, start, tracking_uri, uninstall
from tests.emulated.node import Node
from tests.emulated.workspace import GIVEN, TRACKING_URI
from tests.matrices.faults import traced
from tests.matrices.faults.table import Became

BASE = "/usr/bin/python3.11"
COMMAND = ["/usr/local/bin/azureml-databricks", "node", "uninstall"]
# What writes thousands of files does the same thousands of times: the first, the middle and the last count.
MANY = 8


@pytest.fixture
def node(bundle: Path) -> Iterator[Node]:
    with cluster_node(bundle, GIVEN) as node:
        yield node


def run_traced(node: Node, argv: Sequence[str], log: Path, until: int = 0) -> int:
    """Run a command that is killed after `until` changes, with all that it has started."""
    program = [sys.executable, traced.__file__, str(until), str(log)]
    done = subprocess.run(
        [*program, *node.command(argv, user=None, cwd="/")],
        env=node.variables(None),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode


def moments(log: Path, sample: int | None) -> list[int]:
    """Return after how many changes to kill, of those that a whole run has made."""
    places: dict[str, list[int]] = {}
    for place, change in enumerate(log.read_text().splitlines(), 1):
        places.setdefault(change, []).append(place)
    several = (
        [found[0], found[len(found) // 2], found[-1]] if len(found) > MANY else found
        for found in places.values()
    )
    chosen = sorted(place for found in several for place in found)
    return chosen[:: max(1, len(chosen) // sample)] if sample else chosen


@pytest.fixture
def sample(request: pytest.FixtureRequest) -> int | None:
    """How many kills to try; None for all."""
    return None if request.config.getoption("--thorough") else 8


def test_the_script_killed_after_any_change_and_run_again(
    node: Node, tmp_path: Path, became: Became, sample: int | None
) -> None:
    # Given what the script changes, one change after the other
    script, log = ["bash", node.inside(SCRIPT)], tmp_path / "log"
    assert run_traced(node, script, log) == 0
    uninstall(node)

    for moment in moments(log, sample):
        # When it is killed, with all that it has started
        assert run_traced(node, script, log, moment) == 137

        # Then every Python starts, with us or without
        for python in (BASE, "/databricks/python3/bin/python"):
            assert tracking_uri(node, python) in ("databricks", TRACKING_URI), moment

        # And the next run mends all, and can be taken out to the byte
        start(node)
        assert tracking_uri(node) == tracking_uri(node, BASE) == TRACKING_URI, moment
        assert not list(node.path("/databricks/azureml-databricks").glob("unpacking.*")), moment
        uninstall(node)
        assert left(node) == {}, moment
        became("kept working")


def test_an_uninstall_killed_after_any_change_and_run_again(
    node: Node, tmp_path: Path, became: Became, sample: int | None
) -> None:
    # Given what it changes
    log = tmp_path / "log"
    start(node)
    assert run_traced(node, COMMAND, log) == 0

    for moment in moments(log, sample):
        # When it is killed
        start(node)
        assert run_traced(node, COMMAND, log, moment) == 137

        # Then every Python starts, with us or without
        for python in (BASE, "/databricks/python3/bin/python"):
            assert tracking_uri(node, python) in ("databricks", TRACKING_URI), moment

        # And the script and the uninstall, or the latter alone, leave nothing
        if node.path(COMMAND[0]).exists():
            done = node.run(COMMAND)
            assert done.stderr == "", moment
        if left(node):
            start(node)
            uninstall(node)
        assert left(node) == {}, moment
        became("plain MLflow")
