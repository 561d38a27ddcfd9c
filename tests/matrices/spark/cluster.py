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


def printed(notebook: NotebookNode, cell: int = -1) -> Any:
    """Return what a cell printed as JSON, last."""
    outputs = notebook.cells[cell].outputs
    text = "".join(output.text for output in outputs if output.get("name") == "stdout")
    return json.loads(text.strip().splitlines()[-1])


def said(notebook: NotebookNode) -> str:
    """Return all that the cells printed to stderr."""
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    return "".join(output.text for output in outputs if output.get("name") == "stderr")
