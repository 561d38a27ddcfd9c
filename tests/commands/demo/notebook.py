"""The notebook of a data scientist, on a node: where Databricks says that it is, and what it left behind."""

from __future__ import annotations

import json
from pathlib import Path

from tests.emulated import databricks_context
from tests.emulated.node import Node

# The notebook's name in the workspace, and so the experiment's.
_EXPERIMENT = "wine"
_MODEL = "wine-cultivar"
_RESULTS = Path(__file__).with_name("results.py")


def context(node: Node) -> dict[str, str]:
    """Return the variables that tell MLflow which notebook it is in."""
    path = f"/Users/ada@example.com/{_EXPERIMENT}"
    return databricks_context.put(node, isInNotebook=True, notebookPath=path, notebookId="1", isInJob=False)


def left_in_the_workspace(node: Node) -> dict[str, str]:
    """Return what the pages of the newest run and of the model would show, asked for on the node."""
    node.copy_in(_RESULTS, "/databricks/results.py")
    python, script = node.inside("/databricks/python3/bin/python"), node.inside("/databricks/results.py")
    done = node.run([python, script, _EXPERIMENT, _MODEL])
    assert done.returncode == 0, done.stderr
    shown: dict[str, str] = json.loads(done.stdout)
    return shown
