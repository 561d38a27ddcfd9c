"""Runs in Azure ML and models in Unity Catalog: registry `databricks-uc`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.emulated.databricks import EmulatedDatabricks
from tests.matrices.on_azure import printed, run

BEGIN = """
    import json, mlflow, numpy
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression
    mlflow.set_registry_uri("databricks-uc")
    mlflow.set_experiment("churn")
    inputs = numpy.array([[0.0], [1.0]])
    model = LogisticRegression().fit(inputs, [0, 1])
    signature = infer_signature(inputs, model.predict(inputs))
    client = mlflow.MlflowClient()
    with mlflow.start_run() as begun:
        logged = mlflow.sklearn.log_model(model, "model", signature=signature)
    """
END = """
    mlflow.MlflowClient().set_registered_model_alias("models.prod.churn", "champion", "1")
    print(json.dumps([
        mlflow.pyfunc.load_model(uri).predict(inputs).tolist()
        for uri in ("models:/models.prod.churn/1", "models:/models.prod.churn@champion")
    ]))
    """
WAYS = {
    "at once": """
    with mlflow.start_run():
        mlflow.sklearn.log_model(model, "model", signature=signature, registered_model_name="models.prod.churn")
    """,
    "by model": "mlflow.register_model(logged.model_uri, 'models.prod.churn')",
    "by run": "mlflow.register_model(f'runs:/{begun.info.run_id}/model', 'models.prod.churn')",
}


@pytest.fixture
def catalog(databricks: EmulatedDatabricks) -> dict[str, str]:
    """The variables of a process in a workspace that has the schema `models.prod`."""
    databricks.make_volume("models.prod.files")
    return databricks.environment


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("version", ["3.0.1", "3.12.0"])
def test_a_model_of_an_azure_ml_run_is_registered_in_unity_catalog(
    azure: EmulatedAzure, catalog: dict[str, str], version: str, way: str
) -> None:
    loaded: Any = printed(version, azure, f"{BEGIN}\n    {WAYS[way].strip()}\n{END}", **catalog)

    assert loaded == [[0, 1], [0, 1]]
