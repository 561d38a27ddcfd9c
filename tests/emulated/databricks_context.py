"""What only Databricks has: the context by which MLflow knows the notebook or job it runs in."""

from __future__ import annotations

from tests.emulated.node import Node


def put(node: Node, **context: object) -> dict[str, str]:
    """Put the runtime's context module on the node, and return the variables that make processes find it.

    Args:
        node: where to.
        context: what MLflow asks of it (`mlflow.utils.databricks_utils`): `isInNotebook`, `notebookPath`,
            `notebookId`, `isInJob`, `jobId`.
    """
    package = node.path("/databricks") / "context/dbruntime"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    (package / "databricks_repl_context.py").write_text(
        f"from types import SimpleNamespace\ndef get_context(): return SimpleNamespace(**{context!r})\n"
    )
    return {"PYTHONPATH": f"{node.inside('/databricks/context')}:{node.inside('/databricks/python_shell')}"}
