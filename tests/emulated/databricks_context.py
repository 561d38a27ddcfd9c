"""What only Databricks has: the context by which MLflow knows the notebook or job it runs in."""

from __future__ import annotations

from pathlib import Path

from tests.emulated.node import Node

# A process that the notebook starts has none: https://github.com/Azure/azure-sdk-for-python/issues/38705.
# One that it forks has what is in memory. What tests start is at the head of a session, as a kernel is.
_MODULE = """
import os
from types import SimpleNamespace

_OF_THIS_PROCESS = SimpleNamespace(**{context!r}) if os.getsid(0) == os.getpid() else None


def get_context():
    return _OF_THIS_PROCESS
"""


def put(node: Node, **context: object) -> dict[str, str]:
    """Put the runtime's context module on the node, and return the variables that make processes find it.

    Args:
        node: where to.
        context: as of `write`.
    """
    write(node.path("/databricks") / "context", **context)
    return {"PYTHONPATH": f"{node.inside('/databricks/context')}:{node.inside('/databricks/python_shell')}"}


def write(folder: Path, **context: object) -> None:
    """Write the runtime's context module into a folder for `PYTHONPATH`.

    Only a process at the head of its session has the context: none that it starts.

    Args:
        folder: where to.
        context: what MLflow asks of it (`mlflow.utils.databricks_utils`): `isInNotebook`, `notebookPath`,
            `notebookId`, `isInJob`, `jobId`.
    """
    package = folder / "dbruntime"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    module = _MODULE.format(context=context)
    (package / "databricks_repl_context.py").write_text(module)
