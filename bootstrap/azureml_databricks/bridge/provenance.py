"""Tags that say where in Databricks a run came from, in every process of a cluster.

MLflow's own Databricks tags need the notebook's or job's context, and stay as they are; the user is in none.
A process that has no context is of the notebook or job whose process started it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import mlflow
from mlflow.tracking.context.abstract_context import RunContextProvider
from mlflow.utils import databricks_utils
from mlflow.utils._spark_utils import _get_active_spark_session
from mlflow.utils.mlflow_tags import MLFLOW_USER

from azureml_databricks.node import children

# Of all tags of this module but MLflow's own.
PREFIX = "databricks."


class DatabricksProvenance(RunContextProvider):
    """Where this process runs, as far as it can know."""

    def in_context(self) -> bool:
        """Whether runs go to Azure ML, from a Databricks cluster."""
        return "DATABRICKS_RUNTIME_VERSION" in os.environ and mlflow.get_tracking_uri().startswith("azureml:")

    def tags(self) -> dict[str, str]:
        """Return the tags of a run that starts now."""
        of_place = {**children.told("place"), **place()}
        known = {
            **{f"databricks.{name}": text for name, text in of_place.items()},
            "databricks.cluster_id": os.environ.get("DB_CLUSTER_ID") or _of_cluster("clusterId"),
            "databricks.cluster_name": os.environ.get("DB_CLUSTER_NAME") or _of_cluster("clusterName"),
            "databricks.runtime_version": os.environ["DATABRICKS_RUNTIME_VERSION"],
            MLFLOW_USER: of_place.get("user"),  # else the name of the node's account: `root`
        }
        return {tag: value for tag, value in known.items() if value}


def place() -> dict[str, str]:
    """Return which notebook or job this process itself is of, and who runs it, as far as it can know."""
    known = {"workspace_url": _ask(databricks_utils.get_workspace_url), "user": _ask(_user)}
    if databricks_utils.is_in_databricks_notebook():
        known["notebook_path"] = _ask(databricks_utils.get_notebook_path)
    if databricks_utils.is_in_databricks_job():
        known["job_id"] = _ask(databricks_utils.get_job_id)
        known["job_run_id"] = _ask(databricks_utils.get_job_run_id)
    return {name: text for name, text in known.items() if text}


def _of_cluster(tag: str) -> str | None:
    """Return what Databricks puts into the Spark conf of its clusters."""
    session = _get_active_spark_session()
    return session.conf.get(f"spark.databricks.clusterUsageTags.{tag}", None) if session else None


def _user() -> str | None:
    """Return who runs the notebook or job."""
    in_context: Callable[[Callable[[], str]], Callable[[], str]] = (
        databricks_utils._use_repl_context_if_available("user")
    )
    return in_context(lambda: databricks_utils._get_context_tag("user"))()


def _ask(question: Callable[[], object]) -> str | None:
    """Return the answer, None where there is none: without a context some of MLflow's versions raise."""
    try:
        answer = question()
    except Exception:  # noqa: BLE001  # a run must not lack its other tags for one
        return None
    return str(answer) if answer else None
