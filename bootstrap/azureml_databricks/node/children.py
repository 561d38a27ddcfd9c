"""What a notebook's or job's process tells the processes that it starts, by one variable.

They have no context of Databricks's, which knows notebook, job and person:
https://github.com/Azure/azure-sdk-for-python/issues/38705. It is no variable of MLflow's: a user may have set
those, and MLflow raises where an experiment's name and id are not of one experiment.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from typing import Any

VARIABLE = "AZUREML_DATABRICKS_STARTED_BY"

# Which notebook or job it is, and who runs it: the names of our tags -> Databricks' own.
_PLACE = {
    "workspace_url": "workspaceUrl",
    "user": "user",
    "notebook_path": "notebookPath",
    "job_id": "jobId",
    "job_run_id": "idInJob",
}


def tell(about: str, known: dict[str, str]) -> None:
    """Tell the processes that start from now on, which tell it to their own.

    Args:
        about: "place" or "experiment".
        known: what there is to know, beside what was known before; its names are the asker's.
    """
    os.environ[VARIABLE] = json.dumps({**_all(), about: {**told(about), **known}})


def told(about: str) -> dict[str, str]:
    """Return what this process knows from the one that started it, or told itself; empty for nothing."""
    found = _all().get(about)
    return found if isinstance(found, dict) else {}


def tell_place() -> None:
    """Tell which notebook or job this process is of, as far as Databricks' context has it."""
    context = import_module("dbruntime.databricks_repl_context").get_context()
    known = {name: getattr(context, of_databricks, None) for name, of_databricks in _PLACE.items()}
    if found := {name: str(text) for name, text in known.items() if text}:
        tell("place", found)


def _all() -> dict[str, Any]:
    try:
        found = json.loads(os.environ.get(VARIABLE, ""))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
