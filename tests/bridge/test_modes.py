"""Runs in one place and models in the other: `mode = "registry"` and `mode = "tracking"`.

Databricks' side is MLflow's own server here, of the same version.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.mlflow_versions.suite import own_server
from tests.matrices.on_azure import printed

RUNS = "/api/2.0/mlflow/runs/"
MODELS = "/api/2.0/mlflow/model-versions/"

TRAIN = """
    import json, mlflow, numpy, sys
    from sklearn.linear_model import LogisticRegression
    mlflow.set_experiment("modes")
    of_version = "-of-mlflow-" + mlflow.__version__.replace(".", "-")
    names = [way + of_version for way in ("at-once", "by-run", "by-model")]
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    named = "name" if mlflow.__version__ >= "3" else "artifact_path"
    with mlflow.start_run() as run:
        logged = mlflow.sklearn.log_model(
            model, registered_model_name=names[0], pip_requirements=["scikit-learn"], **{named: "model"}
        )
    mlflow.register_model(f"runs:/{run.info.run_id}/model", names[1])
    mlflow.register_model(logged.model_uri, names[2])
    client = mlflow.MlflowClient()
    versions = [client.get_model_version(name, "1") for name in names]
    probe = numpy.array([[0.0], [1.0]])
    print(json.dumps({
        "run_id": run.info.run_id,
        "sources": [version.source.partition(":")[0] for version in versions],
        "run_ids": [version.run_id for version in versions],
        "tags": [version.tags for version in versions],
        "loaded": [
            mlflow.pyfunc.load_model(f"models:/{version.name}/1").predict(probe).tolist()
            for version in versions
        ],
    }))
    """


@pytest.fixture(scope="module", params=[pytest.param("2.21.3", marks=pytest.mark.thorough), "3.17.2"])
def version(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def databricks(version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with own_server(version, tmp_path_factory.mktemp("databricks")) as variables:
        yield variables["MLFLOW_TRACKING_URI"]


def test_models_of_databricks_runs_go_to_azure_ml_and_say_where_they_came_from(
    version: str, databricks: str, azure: EmulatedAzure
) -> None:
    # Given runs that stay with Databricks, when a model is registered in each way
    found = printed(version, azure, TRAIN, AZUREML_MODE="registry", MLFLOW_TRACKING_URI=databricks)

    # Then its files are in Azure ML, it loads from there, and its version says which run it is of
    assert found["loaded"] == [[0, 1]] * 3
    assert found["sources"] == ["azureml"] * 3
    for tags in found["tags"]:
        assert tags["azureml_databricks.source_run_id"] == found["run_id"]
        assert tags["azureml_databricks.source_tracking_uri"] == databricks
        assert tags["azureml_databricks.source"]
    # and no run of it is in Azure ML
    assert azure.journal.of("*.api.azureml.ms", RUNS) == []


def test_runs_go_to_azure_ml_and_models_stay_with_databricks(
    version: str, azure: EmulatedAzure, tmp_path: Path
) -> None:
    # A server of MLflow 3 would look for logged models in itself; Databricks' registry does not.
    registry = f"sqlite:///{tmp_path}/registry.db"

    found = printed(version, azure, TRAIN, AZUREML_MODE="tracking", MLFLOW_REGISTRY_URI=registry)

    assert found["loaded"] == [[0, 1]] * 3
    assert found["run_ids"] == [found["run_id"]] * 3
    assert azure.journal.of("*.api.azureml.ms", RUNS)
    assert azure.journal.of("*.api.azureml.ms", MODELS) == []
