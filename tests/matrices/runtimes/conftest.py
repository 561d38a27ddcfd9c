"""A node of each runtime in turn, in service, and what was to be seen on it before."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode

from azureml_databricks.admin.bundle.archives import RUNTIMES
from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import build_bundle, cluster_node, policy_variables, start
from tests.emulated.node import Node

IMPORTED = Path(__file__).with_name("imported.py").read_text()
# An azure-identity that no runtime and no bundle has.
ANOTHER = "1.25.1"
PYTHON = "/databricks/python3/bin/python"

# A release of 18 that no list is of and no bundle was tried on: from 18 on, a restarted cluster may have one.
_FUTURE = "18.9"
ROWS = [*RUNTIMES, *(f"{runtime} ML" for runtime in RUNTIMES), _FUTURE]


@dataclass(frozen=True)
class Row:
    """A runtime, a node of it in service, and another that has azure-ai-ml besides.

    Attributes:
        runtime: such as `15.4`, or a release of one, such as `18.9`.
        before: what pip and a notebook said before.
    """

    runtime: str
    node: Node
    with_azure_ai_ml: Node
    before: dict[str, Any]

    @property
    def bundle_of(self) -> str:
        """The runtime whose bundle the node takes."""
        return _bundle_of(self.runtime)

    @property
    def tried(self) -> bool:
        """Whether the bundle was tried on the node's release."""
        return self.node.replica.runtime.release in RUNTIMES[self.bundle_of].tried


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rows", default=",".join(ROWS), help="of the matrix, separated by commas")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "row" in metafunc.fixturenames:
        metafunc.parametrize("row", rows(metafunc.config), indirect=True, scope="session")


def rows(config: pytest.Config) -> list[str]:
    """Return the rows that are asked for."""
    asked: list[str] = config.getoption("rows").split(",")
    if unknown := set(asked) - set(ROWS):
        raise pytest.UsageError(f"--rows: {', '.join(sorted(unknown))}: there are {', '.join(ROWS)}")
    return asked


@pytest.fixture(scope="session")
def uploaded(pytestconfig: pytest.Config) -> list[str]:
    """The runtimes that have a bundle in the upload: those of the rows."""
    asked = {_bundle_of(row.partition(" ")[0]) for row in rows(pytestconfig)}
    return [runtime for runtime in RUNTIMES if runtime in asked]


def _bundle_of(runtime: str) -> str:
    return runtime if runtime in RUNTIMES else runtime.partition(".")[0]


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory, uploaded: list[str]) -> tuple[Path, Path]:
    """One upload for all runtimes, and another with azure-ai-ml; made once for all processes of the run."""
    folder = tmp_path_factory.getbasetemp().parent / "bundles"
    folder.mkdir(exist_ok=True)
    plain, more = folder / "plain", folder / "more"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not more.exists():
            build_bundle(plain, runtimes=uploaded)
            build_bundle(more, runtimes=uploaded, extras=["azure-ai-ml"])
    return plain, more


@pytest.fixture(scope="session")
def row(request: pytest.FixtureRequest, bundles: tuple[Path, Path], _azure: EmulatedAzure) -> Iterator[Row]:
    runtime, _, ml = request.param.partition(" ")
    policy = policy_variables(_azure)
    here: dict[str, Any] = {"azure": _azure, "runtime": runtime, "ml": bool(ml)}
    plain, more = bundles
    with cluster_node(plain, policy, **here) as node, cluster_node(more, policy, **here) as other:
        before = seen(node)
        node.checkpoint()
        start(node)
        start(other)
        yield Row(runtime, node, other, before)


@pytest.fixture(scope="session")
def another_azure_identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with its wheel, and those of what it needs."""
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    needed = "azure-core==1.36.0", "msal==1.34.0", "msal-extensions==1.3.1", "typing_extensions==4.15.0"
    subprocess.run([*command, f"azure-identity=={ANOTHER}", *needed], check=True)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tell which cell each test is of, and run those of a row in one process: they share its node."""
    for item in items:
        if isinstance(item, pytest.Function) and (mark := item.get_closest_marker("column")):
            row = item.callspec.params["row"]
            item.user_properties += [("row", row), ("column", mark.args[0])]
            item.add_marker(pytest.mark.xdist_group(row))


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
