"""A node of each runtime in turn, in service, and what was to be seen on it before."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode

from azureml_databricks.admin.bundle import RUNTIMES
from tests.azure import EmulatedAzure
from tests.cluster import build_bundle, cluster_node, service_principal, start
from tests.node import Node

IMPORTED = Path(__file__).with_name("imported.py").read_text()
PYTHON = "/databricks/python3/bin/python"

# Of 18 and 19 only the ML variant's MLflow is known, and they have no bundle of their own.
_STANDARD = ["14.3", "15.4", "16.4", "17.3"]
ROWS = [*_STANDARD, *(f"{runtime} ML" for runtime in (*_STANDARD, "18", "19"))]


@dataclass(frozen=True)
class Row:
    """A runtime, a node of it in service, and another that has azure-ai-ml besides.

    Attributes:
        runtime: such as `15.4`.
        before: what pip and a notebook said before.
    """

    runtime: str
    node: Node
    with_azure_ai_ml: Node
    before: dict[str, Any]

    @property
    def known(self) -> bool:
        """Whether there is a bundle for it."""
        return self.runtime in RUNTIMES


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory, _azure: EmulatedAzure) -> tuple[Path, Path]:
    """One upload for all runtimes, and another with azure-ai-ml."""
    folder = tmp_path_factory.mktemp("bundles")
    settings = f'trackingUri = "{_azure.workspace.tracking_uri}"'
    plain = build_bundle(folder / "plain", settings, runtimes=_STANDARD)
    more = build_bundle(folder / "more", settings, runtimes=_STANDARD, extras=["azure-ai-ml"])
    return plain, more


@pytest.fixture(
    scope="session", params=[pytest.param(row, marks=pytest.mark.xdist_group(row)) for row in ROWS]
)
def row(request: pytest.FixtureRequest, bundles: tuple[Path, Path], _azure: EmulatedAzure) -> Iterator[Row]:
    runtime, _, ml = request.param.partition(" ")
    policy = service_principal(_azure)
    here: dict[str, Any] = {"azure": _azure, "runtime": runtime, "ml": bool(ml)}
    plain, more = bundles
    with cluster_node(plain, policy, **here) as node, cluster_node(more, policy, **here) as other:
        before = seen(node)
        node.checkpoint()
        start(node)
        start(other)
        yield Row(runtime, node, other, before)


@pytest.fixture(scope="session")
def newer_azure_identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of an azure-identity that no runtime and no bundle has."""
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*command, "azure-identity==1.25.1"], check=True)
    return folder


@pytest.fixture(autouse=True)
def _cell(request: pytest.FixtureRequest, record_property: Any) -> None:
    mark = request.node.get_closest_marker("column")
    record_property("column", mark.args[0])
    record_property("row", request.node.callspec.params["row"])


def seen(node: Node) -> dict[str, Any]:
    """Return what pip and a notebook say of the packages on the node."""
    pip = {
        command: node.run([node.inside(PYTHON), "-m", "pip", "--no-color", command]).stdout
        for command in ("freeze", "check")
    }
    return {**pip, "notebook": json.loads(text_of(node.run_notebook([IMPORTED])))}


def text_of(notebook: NotebookNode, cell: int = -1) -> str:
    """Return what a cell printed."""
    return "".join(
        output["text"] for output in notebook.cells[cell].outputs if output.get("name") == "stdout"
    )
