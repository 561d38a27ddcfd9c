"""What `verify` runs on a cluster under the policy: plain MLflow, as a data scientist writes it.

It is uploaded with each release and imports nothing of ours. Its last line has the results, as JSON.
"""

from __future__ import annotations

import json
from typing import Any

import mlflow
import mlflow.pyfunc
from mlflow.tracking import MlflowClient

NAME = "azureml-databricks-verify"


class Echo(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Returns what it is given."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return the input."""
        return model_input


class Checks:
    """The checks: each goes on with what the one before has made."""

    def points_at_azure_ml(self) -> str:
        """Look where runs go."""
        uri = mlflow.get_tracking_uri()
        if not uri.startswith("azureml://"):
            raise RuntimeError(f"MLflow's tracking URI is {uri}: the init script's log says why")
        return f"workspace {uri.rpartition('/')[2]}"

    def logs_a_run(self) -> str:
        """Log a metric, and read it back."""
        mlflow.set_experiment(NAME)
        with mlflow.start_run() as run:
            mlflow.log_metric("answer", 42)
            mlflow.pyfunc.log_model("model", python_model=Echo())
        self.run_id = run.info.run_id
        if MlflowClient().get_run(self.run_id).data.metrics != {"answer": 42.0}:
            raise RuntimeError("the metric that was logged is not there")
        return f"run {self.run_id} in experiment {NAME}"

    def registers_a_model(self) -> str:
        """Register the model that the run has."""
        self.version = mlflow.register_model(f"runs:/{self.run_id}/model", NAME).version
        return f"model {NAME}, version {self.version}"

    def loads_the_model(self) -> str:
        """Load it from the registry, and use it."""
        import pandas as pd  # type: ignore[import-untyped]

        model = mlflow.pyfunc.load_model(f"models:/{NAME}/{self.version}")
        return f"it answers {model.predict(pd.DataFrame({'x': [1]})).to_numpy().tolist()}"

    def cleans_up(self) -> str:
        """Delete the version and the run."""
        MlflowClient().delete_model_version(NAME, self.version)
        MlflowClient().delete_run(self.run_id)
        return "version and run"


def results() -> list[dict[str, Any]]:
    """Return what came of each check; after one that fails, nothing is tried."""
    checks = Checks()
    found: list[dict[str, Any]] = []
    for name, check in (
        ("MLflow points at Azure ML", checks.points_at_azure_ml),
        ("a run is logged", checks.logs_a_run),
        ("a model is registered", checks.registers_a_model),
        ("the model is loaded", checks.loads_the_model),
        ("all of it is deleted", checks.cleans_up),
    ):
        try:
            found.append({"check": name, "passed": True, "detail": check()})
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is a result
            detail = (str(error).strip() or repr(error)).splitlines()[0]
            found.append({"check": name, "passed": False, "detail": detail})
            break
    return found


if __name__ == "__main__":
    print("\nazureml-databricks verify:", json.dumps(results()))
