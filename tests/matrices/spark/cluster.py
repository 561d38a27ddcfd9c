"""Clusters with our bundle on each node, for tests of what notebooks and executors have."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode

from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import LOCATION, forget_tokens, service_principal, start
from tests.emulated.node import Node
from tests.emulated.node.boot import no_overlay
from tests.emulated.spark import SparkCluster, booted_cluster

JOBS = "/Volumes/main/default/jobs"

# A cell that prints what the Python workers of two executors see, as JSON.
PROBE = """
import json, os, sys
from pyspark.sql.functions import udf
@udf
def seen(number):
    return json.dumps({"uid": os.getuid(), "python": sys.executable, "environment": dict(os.environ)})
rows = spark.range(0, 2, 1, 2).select(seen("id").alias("seen")).collect()
print(json.dumps([json.loads(row.seen) for row in rows]))
"""


@contextmanager
def our_cluster(
    bundle: Path, azure: EmulatedAzure, runtime: str, spark_conf: Mapping[str, str], **how: Any
) -> Iterator[SparkCluster]:
    """Boot a cluster whose Spark conf names the workspace, and nothing else; `how` as of `booted_cluster`."""

    def prepare(node: Node) -> None:
        node.copy_in(bundle, LOCATION)
        start(node)

    if reason := no_overlay():
        pytest.skip(reason)
    conf = {"spark.azureml.trackingUri": azure.workspace.tracking_uri, **spark_conf}
    with booted_cluster(
        runtime,
        spark_env_vars=service_principal(azure),
        spark_conf=conf,
        azure=azure,
        prepare=prepare,
        **how,
    ) as cluster:
        yield cluster


def forget_all_tokens(cluster: SparkCluster) -> None:
    """Let each node log in anew."""
    for node in (cluster.driver, *cluster.workers):
        forget_tokens(node.path("/dev/shm"))


def run(cluster: SparkCluster, *cells: str, **how: Any) -> NotebookNode:
    """Run a notebook of these cells."""
    return cluster.run_notebook([textwrap.dedent(cell) for cell in cells], **how)


def put_script(node: Node, name: str, code: str) -> str:
    """Put a script where jobs find it, and return its path."""
    file = node.path(JOBS) / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(code)
    return f"{JOBS}/{name}"


def text_of(notebook: NotebookNode, cell: int = -1) -> str:
    """Return what a cell printed."""
    outputs = notebook.cells[cell].outputs
    return "".join(output.text for output in outputs if output.get("name") == "stdout").strip()


def printed(notebook: NotebookNode, cell: int = -1) -> Any:
    """Return what a cell printed as JSON, last."""
    return json.loads(text_of(notebook, cell).splitlines()[-1])


def addresses(workers: list[dict[str, Any]]) -> set[str]:
    """Return the nodes of Python workers, of what `PROBE` printed."""
    return {each["environment"]["DB_CONTAINER_IP"] for each in workers}


def said(notebook: NotebookNode) -> str:
    """Return all that the cells printed to stderr."""
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    return "".join(output.text for output in outputs if output.get("name") == "stderr")
