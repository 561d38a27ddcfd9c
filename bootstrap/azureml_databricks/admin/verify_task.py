"""What `verify` runs on a cluster under the policy: plain MLflow, as a data scientist writes it.

It is uploaded with each release and imports nothing of ours. Its last line has the results, as JSON.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

import mlflow
import mlflow.pyfunc
from mlflow.tracking import MlflowClient

EXPERIMENT = "azureml-databricks-verify"
NAME = f"azureml-databricks-verify-{os.environ.get('DB_CLUSTER_ID', '')}-{time.time_ns()}"


class Echo(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Returns what it is given."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return the input."""
        return model_input


def points_at_azure() -> str:
    """Look where runs go."""
    uri = mlflow.get_tracking_uri()
    if not uri.startswith("azureml://"):
        raise RuntimeError(f"MLflow's tracking URI is {uri}: the init script did not do its work")
    return uri.rpartition("/")[2]


def logs_a_run() -> str:
    """Log a run with a metric, and read it back."""
    mlflow.set_experiment(EXPERIMENT)
    with mlflow.start_run(run_name=NAME) as run:
        mlflow.log_metric("answer", 42)
    if MlflowClient().get_run(run.info.run_id).data.metrics != {"answer": 42.0}:
        raise RuntimeError("the metric that was logged is not there")
    return str(run.info.run_id)


def registers_a_model() -> str:
    """Log a small model, and register it."""
    with mlflow.start_run(run_name=NAME):
        mlflow.pyfunc.log_model("model", python_model=Echo(), registered_model_name=NAME)
    return f"{NAME} 1"


def loads_the_model() -> str:
    """Load it from the registry, and use it."""
    import pandas as pd  # type: ignore[import-untyped]

    said = mlflow.pyfunc.load_model(f"models:/{NAME}/1").predict(pd.DataFrame({"x": [1]}))
    return f"it returned {said.to_numpy().tolist()}"


def cleans_up() -> str:
    """Delete what the others have made."""
    client = MlflowClient()
    client.delete_registered_model(NAME)
    experiment = mlflow.set_experiment(EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id], f"attributes.run_name = '{NAME}'")
    for run in runs:
        client.delete_run(run.info.run_id)
    return f"{len(runs)} runs and the model are deleted"


def _result(check: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"check": check.__name__.replace("_", " "), "passed": True, "detail": check()}
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is a result
        detail = (str(error).strip() or repr(error)).splitlines()[0]
        return {"check": check.__name__.replace("_", " "), "passed": False, "detail": detail}


if __name__ == "__main__":
    checks = (points_at_azure, logs_a_run, registers_a_model, loads_the_model, cleans_up)
    print("\nazureml-databricks verify:", json.dumps([_result(check) for check in checks]))
