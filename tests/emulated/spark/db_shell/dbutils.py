"""The part of `dbutils` that starts and ends Python processes: `notebook.run`, `.exit`, `restartPython`.

Source: https://docs.databricks.com/aws/en/dev-tools/databricks-utils
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.display import display
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager

from .magics import read_cells

# By these outputs whoever runs the notebook learns of it.
EXIT = "application/vnd.databricks.notebook-exit"
RESTART = "application/vnd.databricks.restart-python"
_NO_LIMIT = 86_400


class NotebookExit(Exception):  # noqa: N818 - Databricks' name
    """What ends a notebook's cell at `dbutils.notebook.exit`."""


class WorkflowException(Exception):  # noqa: N818 - Databricks' name
    """A notebook that `dbutils.notebook.run` ran has failed."""


class DBUtils:
    """What a notebook knows as `dbutils`."""

    def __init__(self, kernel: Sequence[str]) -> None:
        """Make it; `kernel` is the command of such a kernel, without the connection's file."""
        self.notebook = _Notebook(kernel)
        self.library = SimpleNamespace(restartPython=_restart_python)
        # MLflow takes it while it is imported, and asks it when somebody logs to Databricks.
        self.entry_point = SimpleNamespace(getDbutils=lambda: SimpleNamespace(notebook=SimpleNamespace))


class _Notebook:
    def __init__(self, kernel: Sequence[str]) -> None:
        self._kernel = kernel

    def exit(self, value: str) -> None:
        """End this notebook."""
        get_ipython().set_custom_exc((NotebookExit,), _say_nothing)
        display({EXIT: value, "text/plain": f"Notebook exited: {value}"}, raw=True)
        raise NotebookExit(value)

    def run(self, path: str, timeout_seconds: int = 0) -> str:
        """Run another notebook in a Python of its own, and return what it gave to `exit`.

        Args:
            path: the notebook's, without `.ipynb`.
            timeout_seconds: for all of it; 0 is no limit.

        Raises:
            FileNotFoundError: there is none.
            WorkflowException: a cell raised.
            TimeoutError: it took longer.
        """
        cells = read_cells(path)
        manager = KernelManager(kernel_spec_manager=_OneKernel(self._kernel))
        manager.start_kernel(env=_variables_of_start())
        client = manager.blocking_client()
        try:
            client.start_channels()
            client.wait_for_ready(timeout=600)
            return _run(client, cells, time.monotonic() + (timeout_seconds or _NO_LIMIT))
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


class _OneKernel(KernelSpecManager):
    def __init__(self, kernel: Sequence[str]) -> None:
        super().__init__()
        self._spec = KernelSpec(argv=[*kernel, "-f", "{connection_file}"], language="python")

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return self._spec


def _run(client: Any, cells: Sequence[str], deadline: float) -> str:
    exits: list[str] = []

    def look(message: dict[str, Any]) -> None:
        if EXIT in (data := message["content"].get("data", {})):
            exits.append(data[EXIT])

    for cell in cells:
        left = max(deadline - time.monotonic(), 0)
        reply = client.execute_interactive(cell, timeout=left, output_hook=look)["content"]
        if exits:
            return exits[0]
        if reply["status"] == "error":
            raise WorkflowException(f"{reply['ename']}: {reply['evalue']}")
    return ""


def _variables_of_start() -> dict[str, str]:
    # Databricks' JVM starts the other Python: it has nothing of what this one has set since.
    pairs = Path("/proc/self/environ").read_bytes().decode().rstrip("\0").split("\0")
    return dict(pair.split("=", 1) for pair in pairs)


def _restart_python() -> None:
    display({RESTART: "", "text/plain": "Restarting Python"}, raw=True)


def _say_nothing(*_: object, **__: object) -> None:
    """Show no traceback: the notebook has ended as it wanted."""
