"""Tracers that put a sitecustomize of their own before all others, as they are published: all of it runs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv

from tests.emulated.cluster import cluster_node, start
from tests.emulated.node import Node
from tests.emulated.workspace import GIVEN, TRACKING_URI

# They are fetched; tests/matrices/faults/test_beside_others.py has stand-ins for them.
pytestmark = pytest.mark.thorough

LOCK = Path(__file__).with_name("tracers.txt")
TRACERS = "/databricks/tracers"
LOOK = """
import json, os, sys
print(json.dumps([os.environ["MLFLOW_TRACKING_URI"], "{theirs}" in sys.modules]))
"""
# What their commands `ddtrace-run` and `opentelemetry-instrument` run.
DDTRACE = "import sys; from ddtrace.commands.ddtrace_run import main; sys.argv[0] = 'ddtrace-run'; main()"
OPENTELEMETRY = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
# Nobody is there to send to.
QUIET = {
    "DD_TRACE_ENABLED": "false",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    **{f"OTEL_{what}_EXPORTER": "none" for what in ("TRACES", "METRICS", "LOGS")},
}


@pytest.fixture(scope="module")
def node(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node with the tracers, in a folder of their own."""
    folder = tmp_path_factory.mktemp("tracers") / "packages"
    with cluster_node(bundle, GIVEN) as node:
        # fmt: off
        subprocess.run(
            [
                uv.find_uv_bin(), "pip", "install", "--quiet", "--target", folder, "--no-deps",
                "--python", node.replica.interpreter.executable, "--require-hashes", "--requirements", LOCK,
            ],
            check=True,
        )
        # fmt: on
        node.copy_in(folder, TRACERS)
        start(node)
        yield node


@pytest.mark.parametrize("python", ["/databricks/python3/bin/python", "/usr/bin/python3.11"])
@pytest.mark.parametrize(
    ("command", "theirs"),
    [(DDTRACE, "ddtrace"), (OPENTELEMETRY, "opentelemetry.instrumentation.auto_instrumentation")],
    ids=["ddtrace-run", "opentelemetry-instrument"],
)
def test_a_tracer_runs_and_so_do_we(node: Node, python: str, command: str, theirs: str) -> None:
    program = node.inside(python)

    done = node.run(
        [program, "-c", command, program, "-c", LOOK.format(theirs=theirs)],
        env={"PYTHONPATH": node.inside(TRACERS), **QUIET},
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [TRACKING_URI, True]
