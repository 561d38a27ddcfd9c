"""Runs a notebook on a node as Databricks does: IPython's kernel, in the notebook's environment."""

from __future__ import annotations

import atexit
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_code_cell, new_notebook

if TYPE_CHECKING:
    from tests.emulated.node.node import Node

FOLDER = "/databricks/driver"
_PYTHONPATH = "/databricks/spark/python", "/databricks/python_shell"
"""What a notebook's kernel has on `PYTHONPATH`:

Source: facts: seen, the `sys.path` that notebooks print, https://github.com/twsl/dbx-patch
"""
# What a cell shows that asks for it: tests/emulated/spark/db_shell/dbutils.py.
_EXIT = "application/vnd.databricks.notebook-exit"
_RESTART = "application/vnd.databricks.restart-python"
# For what only a hang takes.
_PATIENCE_SECONDS = 600
IPYKERNEL = "-m", "ipykernel_launcher"
"""A notebook's kernel is IPython's:

Source: https://learn.microsoft.com/azure/databricks/notebooks/ipython-kernel
"""


class KernelError(Exception):
    """A notebook's kernel did not start, or died."""


class _OneKernel(KernelSpecManager):
    """Knows how to start one kernel, and no other."""

    def __init__(self, argv: Sequence[str]) -> None:
        super().__init__()
        self._spec = KernelSpec(argv=argv, language="python")

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return self._spec


class _Kernel(AsyncKernelManager):
    def write_connection_file(self, **kwargs: Any) -> None:
        super().write_connection_file(**kwargs)
        # The kernel may run as another user than the one who writes this.
        Path(self.connection_file).chmod(0o644)


class _Client(NotebookClient):
    """Runs cells as a notebook's page does: it restarts Python, and ends, where a cell asks for it."""

    _ended = False

    async def async_execute_cell(
        self, cell: nbformat.NotebookNode, cell_index: int, *arguments: Any, **options: Any
    ) -> nbformat.NotebookNode:
        if self._ended or cell.cell_type != "code":
            return cell
        await super().async_execute_cell(cell, cell_index, *arguments, **options)
        shown = {kind for output in cell.outputs for kind in output.get("data", {})}
        self._ended = _EXIT in shown
        if _RESTART in shown:
            assert isinstance(self.km, AsyncKernelManager)
            assert isinstance(self.kc, AsyncKernelClient)
            await self.km.restart_kernel(now=True)
            await self.kc.wait_for_ready(timeout=self.startup_timeout)
        return cell


def read(cells: Path | Sequence[str]) -> nbformat.NotebookNode:
    """Return the notebook in a file, or the one made of these cells."""
    if isinstance(cells, Path):
        notebook = nbformat.read(cells, as_version=4)  # type: ignore[no-untyped-call]
    else:
        notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])  # type: ignore[no-untyped-call]
    assert isinstance(notebook, nbformat.NotebookNode)
    return notebook


def run(
    node: Node,
    notebook: nbformat.NotebookNode,
    *,
    launcher: Sequence[str],
    environment: str,
    env: Mapping[str, str],
    cwd: str,
    user: str | None,
    timeout: float,
    allow_errors: bool,
) -> nbformat.NotebookNode:
    """Run `notebook`; parameters as of `Node.run_notebook`."""
    connection = f"/tmp/kernel-{uuid.uuid4()}.json"
    argv = [
        node.inside(f"{environment}/bin/python"),
        *(*launcher, "-f", node.inside(connection)),
    ]
    kernel = _Kernel(
        kernel_spec_manager=_OneKernel(node.command(argv, user=user, cwd=cwd)),
        connection_file=str(node.path(connection)),
    )
    client = _Client(
        notebook,
        km=kernel,
        timeout=timeout,
        startup_timeout=_PATIENCE_SECONDS,
        iopub_timeout=_PATIENCE_SECONDS,
        allow_errors=allow_errors,
        allow_error_names=["NotebookExit"],
    )
    variables = {
        **node.variables(user),
        "PYTHONPATH": ":".join(map(node.inside, _PYTHONPATH)),
        **env,
    }
    with tempfile.TemporaryFile("w+") as output:
        try:
            return client.execute(env=variables, stdout=output, stderr=output, cleanup_kc=True)
        except (DeadKernelError, RuntimeError) as error:
            # nbclient leaves this behind where the kernel did not start, and it then fails at exit.
            atexit.unregister(client._cleanup_kernel)
            output.seek(0)
            raise KernelError(f"{error}\n{output.read()}") from error
