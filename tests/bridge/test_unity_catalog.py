"""Runs in Azure ML and models in Unity Catalog: registry `databricks-uc`."""

from __future__ import annotations

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.emulated.databricks import EmulatedDatabricks
from tests.matrices.on_azure import printed

REGISTER = """
    import json, mlflow, numpy
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression
    mlflow.set_registry_uri("databricks-uc")
    mlflow.set_experiment("churn")
    inputs = numpy.array([[0.0], [1.0]])
    model = LogisticRegression().fit(inputs, [0, 1])
    signature = infer_signature(inputs, model.predict(inputs))
    names = [f"models.prod.{way}" for way in ("at-once", "by-model", "by-run")]
    with mlflow.start_run() as run:
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=signature,
            registered_model_name=names[0],
            pip_requirements=["scikit-learn"],
        )
    mlflow.register_model(logged.model_uri, names[1])
    mlflow.register_model(f"runs:/{run.info.run_id}/model", names[2])
    client = mlflow.MlflowClient()
    client.set_registered_model_alias(names[0], "champion", "1")
    addresses = [*(f"models:/{name}/1" for name in names), f"models:/{names[0]}@champion"]
    print(json.dumps({
        "run_id": run.info.run_id,
        "run_ids": [client.get_model_version(name, "1").run_id for name in names],
        "loaded": [mlflow.pyfunc.load_model(it).predict(inputs).tolist() for it in addresses],
    }))
    """


@pytest.fixture
def catalog(databricks: EmulatedDatabricks) -> dict[str, str]:
    """The variables of a process in a workspace that has the schema `models.prod`."""
    databricks.make_volume("models.prod.files")
    return databricks.environment


@pytest.mark.parametrize(
    "version", [*(pytest.param(it, marks=pytest.mark.thorough) for it in ("3.0.1", "3.12.0")), "3.17.2"]
)
def test_a_model_of_an_azure_ml_run_is_registered_in_unity_catalog_and_loads_from_there(
    azure: EmulatedAzure, catalog: dict[str, str], version: str
) -> None:
    found = printed(version, azure, REGISTER, **catalog)

    assert found["loaded"] == [[0, 1]] * 4
    assert found["run_ids"] == [found["run_id"]] * 3
    assert azure.journal.of("*.api.azureml.ms", "/api/2.0/mlflow/model-versions/") == []
