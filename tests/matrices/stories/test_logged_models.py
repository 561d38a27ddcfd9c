"""Logged models, which are entities of their own since MLflow 3: with params, tags, metrics and artifacts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import mlflow
import numpy
import pandas
import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from sklearn.linear_model import LogisticRegression

if TYPE_CHECKING:
    from tests.matrices.stories.conftest import Elsewhere

pytestmark = [pytest.mark.feature("Logged models"), pytest.mark.since("3.0")]

# Given, since MLflow would load the model in a process of its own to find them: it takes seconds.
NEEDS = ["scikit-learn"]
POINTS = numpy.array([[0.0], [1.0]])


@pytest.fixture
def model_id(classifier: LogisticRegression) -> str:
    """The id of a model that was logged in a run which has ended."""
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(classifier, name="model", pip_requirements=NEEDS)
    return str(logged.model_id)


def metrics_of(model_id: str) -> dict[str, float]:
    return {metric.key: metric.value for metric in mlflow.get_logged_model(model_id).metrics or []}


# What is logged ------------------------------------------------------------------------------------


def test_a_logged_model_knows_its_run_and_is_ready(
    classifier: LogisticRegression, experiment_id: str
) -> None:
    with mlflow.start_run() as run:
        logged = mlflow.sklearn.log_model(
            classifier, name="model", params={"depth": 3}, tags={"team": "churn"}, pip_requirements=NEEDS
        )

    model = mlflow.get_logged_model(logged.model_id)

    assert model.name == "model"
    assert model.model_id == logged.model_id
    assert model.source_run_id == run.info.run_id
    assert model.experiment_id == experiment_id
    assert str(model.status) == "READY"
    assert model.params == {"depth": "3"}
    assert model.tags["team"] == "churn"
    assert model.model_uri == f"models:/{logged.model_id}" == logged.model_uri
    assert model.last_updated_timestamp >= model.creation_timestamp > 0


def test_params_of_the_run_are_the_models_too(classifier: LogisticRegression) -> None:
    with mlflow.start_run():
        mlflow.log_params({"depth": 3})
        logged = mlflow.sklearn.log_model(classifier, name="model", pip_requirements=NEEDS)

    assert mlflow.get_logged_model(logged.model_id).params["depth"] == "3"


def test_the_last_logged_model_is_known(model_id: str) -> None:
    last = mlflow.last_logged_model()

    assert last is not None
    assert last.model_id == model_id


def test_a_model_is_an_output_of_its_run(client: MlflowClient, classifier: LogisticRegression) -> None:
    with mlflow.start_run() as run:
        logged = mlflow.sklearn.log_model(classifier, name="model", step=2, pip_requirements=NEEDS)

    (output,) = client.get_run(run.info.run_id).outputs.model_outputs

    assert (output.model_id, output.step) == (logged.model_id, 2)


def test_checkpoints_are_models_of_one_run(client: MlflowClient, classifier: LogisticRegression) -> None:
    with mlflow.start_run() as run:
        ids = [
            mlflow.sklearn.log_model(
                classifier, name=f"checkpoint-{step}", step=step, pip_requirements=NEEDS
            ).model_id
            for step in range(3)
        ]

    outputs = client.get_run(run.info.run_id).outputs.model_outputs
    assert {(output.model_id, output.step) for output in outputs} == set(zip(ids, range(3), strict=True))


def test_models_of_one_name_are_two(client: MlflowClient, classifier: LogisticRegression) -> None:
    with mlflow.start_run() as run:
        first, second = (
            mlflow.sklearn.log_model(classifier, name="model", pip_requirements=NEEDS).model_id
            for _ in range(2)
        )

    assert first != second
    assert {output.model_id for output in client.get_run(run.info.run_id).outputs.model_outputs} == {
        first,
        second,
    }


def test_a_model_of_a_nested_run_is_the_nested_runs(classifier: LogisticRegression) -> None:
    with mlflow.start_run() as parent, mlflow.start_run(nested=True) as child:
        logged = mlflow.sklearn.log_model(classifier, name="model", pip_requirements=NEEDS)

    assert mlflow.get_logged_model(logged.model_id).source_run_id == child.info.run_id
    assert not mlflow.get_run(parent.info.run_id).outputs.model_outputs


def test_a_model_without_a_run_has_an_address(classifier: LogisticRegression) -> None:
    logged = mlflow.sklearn.log_model(classifier, name="model", pip_requirements=NEEDS)

    assert mlflow.pyfunc.load_model(f"models:/{logged.model_id}").predict(POINTS).tolist() == [0, 1]


def test_a_model_is_an_input_of_a_run_that_uses_it(client: MlflowClient, model_id: str) -> None:
    with mlflow.start_run() as run:
        mlflow.log_input(model=mlflow.entities.LoggedModelInput(model_id=model_id))

    (used,) = client.get_run(run.info.run_id).inputs.model_inputs

    assert used.model_id == model_id


def test_a_dataset_and_a_model_are_inputs_together(client: MlflowClient, model_id: str) -> None:
    dataset = mlflow.data.from_pandas(pandas.DataFrame({"x": [1.0]}), name="churn")
    with mlflow.start_run() as run:
        used = mlflow.entities.LoggedModelInput(model_id=model_id)
        mlflow.log_input(dataset, context="evaluation", model=used)

    inputs = client.get_run(run.info.run_id).inputs
    assert [each.dataset.name for each in inputs.dataset_inputs] == ["churn"]
    assert [each.model_id for each in inputs.model_inputs] == [model_id]


def test_outputs_are_logged_by_hand(client: MlflowClient, experiment_id: str) -> None:
    model = mlflow.create_external_model(name="agent")
    run_id = client.create_run(experiment_id).info.run_id

    client.log_outputs(run_id, [mlflow.entities.LoggedModelOutput(model.model_id, step=7)])

    (output,) = client.get_run(run_id).outputs.model_outputs
    assert (output.model_id, output.step) == (model.model_id, 7)


# Loading and registering ---------------------------------------------------------------------------


def test_a_model_is_loaded_in_another_process_by_id_and_by_run(model_id: str, elsewhere: Elsewhere) -> None:
    run_id = mlflow.get_logged_model(model_id).source_run_id
    code = """
        uris = [f"models:/{model_id}", f"runs:/{run_id}/model"]
        print(json.dumps([mlflow.sklearn.load_model(uri).predict([[0.0], [1.0]]).tolist() for uri in uris]))
    """

    assert elsewhere(code, model_id=model_id, run_id=run_id) == [[0, 1], [0, 1]]


def test_a_model_is_loaded_by_its_artifact_location(model_id: str) -> None:
    location = mlflow.get_logged_model(model_id).artifact_location

    assert mlflow.sklearn.load_model(location).predict(POINTS).tolist() == [0, 1]


@pytest.mark.parametrize("address", ["models:/{model_id}", "runs:/{run_id}/model"])
def test_a_model_is_registered_in_another_process(
    address: str, client: MlflowClient, model_id: str, name: str, elsewhere: Elsewhere
) -> None:
    run_id = mlflow.get_logged_model(model_id).source_run_id
    uri = address.format(model_id=model_id, run_id=run_id)

    elsewhere("print(json.dumps(int(mlflow.register_model(uri, name).version)))", uri=uri, name=name)

    version = client.get_model_version(name, "1")
    assert version.run_id == run_id
    assert mlflow.pyfunc.load_model(f"models:/{name}/1").predict(POINTS).tolist() == [0, 1]
    versions = json.loads(mlflow.get_logged_model(model_id).tags["mlflow.modelVersions"])
    assert {(each["name"], int(each["version"])) for each in versions} == {(name, 1)}


def test_a_loaded_model_knows_its_id(model_id: str) -> None:
    assert mlflow.pyfunc.load_model(f"models:/{model_id}").model_id == model_id


@pytest.mark.since("3.8")
def test_the_info_of_a_model_has_its_id(model_id: str) -> None:
    assert mlflow.models.get_model_info(f"models:/{model_id}").model_id == model_id


# Artifacts -----------------------------------------------------------------------------------------


def test_a_models_artifacts_are_listed_and_downloaded(client: MlflowClient, model_id: str) -> None:
    listed = {entry.path for entry in client.list_logged_model_artifacts(model_id)}
    by_uri = {entry.path for entry in mlflow.artifacts.list_artifacts(f"models:/{model_id}")}
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{model_id}"))

    assert {"MLmodel", "requirements.txt"} <= listed
    assert listed & {"model.pkl", "model.skops"}
    assert by_uri == listed == {file.name for file in folder.iterdir()} - {"registered_model_meta"}


def test_one_file_of_a_model_is_read(model_id: str) -> None:
    location = mlflow.get_logged_model(model_id).artifact_location

    assert f"model_id: {model_id}" in mlflow.artifacts.load_text(f"{location}/MLmodel")


def test_artifacts_are_logged_to_a_model(client: MlflowClient, tmp_path: Path, experiment_id: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/b.txt").write_text("b")
    (tmp_path / "a.txt").write_text("a")
    model = mlflow.initialize_logged_model(name="model")

    client.log_model_artifact(model.model_id, str(tmp_path / "a.txt"))
    client.log_model_artifacts(model.model_id, str(tmp_path / "folder"))

    entries = client.list_logged_model_artifacts(model.model_id)
    assert {entry.path: entry.is_dir for entry in entries} == {"a.txt": False, "b.txt": False}
    repository = get_artifact_repository(model.artifact_location)
    assert Path(repository.download_artifacts("b.txt")).read_text() == "b"


# Metrics -------------------------------------------------------------------------------------------


def test_metrics_name_their_model(model_id: str) -> None:
    with mlflow.start_run() as run:
        mlflow.log_metric("accuracy", 0.9, step=1, model_id=model_id)
        mlflow.log_metrics({"recall": 0.8, "loss": 0.1}, step=1, model_id=model_id)

    assert metrics_of(model_id) == {"accuracy": 0.9, "recall": 0.8, "loss": 0.1}
    (metric,) = (
        metric for metric in mlflow.get_logged_model(model_id).metrics or [] if metric.key == "accuracy"
    )
    assert (metric.run_id, metric.model_id, metric.step) == (run.info.run_id, model_id, 1)
    assert mlflow.get_run(run.info.run_id).data.metrics["accuracy"] == 0.9


def test_metrics_name_their_dataset(model_id: str) -> None:
    dataset = mlflow.data.from_pandas(pandas.DataFrame({"x": [1.0]}), name="churn")
    with mlflow.start_run():
        mlflow.log_metrics({"accuracy": 0.9}, dataset=dataset, model_id=model_id)

    (metric,) = mlflow.get_logged_model(model_id).metrics or []
    assert (metric.dataset_name, metric.dataset_digest) == (dataset.name, dataset.digest)


def test_metrics_that_the_run_had_are_the_models(classifier: LogisticRegression) -> None:
    with mlflow.start_run():
        mlflow.log_metric("loss", 0.5)
        logged = mlflow.sklearn.log_model(classifier, name="model", pip_requirements=NEEDS)

    assert metrics_of(logged.model_id) == {"loss": 0.5}


def test_metrics_are_the_active_models() -> None:
    model = mlflow.set_active_model(name="agent")
    try:
        with mlflow.start_run():
            mlflow.log_metric("accuracy", 0.9)
        assert mlflow.get_active_model_id() == model.model_id
    finally:
        mlflow.clear_active_model()

    assert mlflow.get_active_model_id() is None
    assert metrics_of(model.model_id) == {"accuracy": 0.9}


def test_an_active_model_is_found_again_by_its_name() -> None:
    try:
        first = mlflow.set_active_model(name="agent")
        mlflow.clear_active_model()
        second = mlflow.set_active_model(name="agent")
    finally:
        mlflow.clear_active_model()

    assert first.model_id == second.model_id


# Models that are made by hand ----------------------------------------------------------------------


@pytest.mark.parametrize("status", ["READY", "FAILED"])
def test_a_model_is_pending_until_it_is_finalized(status: str) -> None:
    model = mlflow.initialize_logged_model(name="model", params={"depth": "3"}, tags={"team": "churn"})
    assert str(model.status) == "PENDING"

    finalized = mlflow.finalize_logged_model(model.model_id, status)

    assert str(finalized.status) == status
    found = mlflow.get_logged_model(model.model_id)
    assert (str(found.status), found.params) == (status, {"depth": "3"})
    assert found.tags["team"] == "churn"


def test_an_external_model_is_ready(experiment_id: str) -> None:
    model = mlflow.create_external_model(name="agent", model_type="agent", params={"temperature": "0"})

    found = mlflow.get_logged_model(model.model_id)

    assert (str(found.status), found.model_type, found.experiment_id) == ("READY", "agent", experiment_id)
    assert found.params["temperature"] == "0"


def test_a_model_of_the_client_is_in_its_experiment(client: MlflowClient, experiment_id: str) -> None:
    model = client.create_logged_model(experiment_id, name="model", tags={"team": "churn"})

    found = client.get_logged_model(model.model_id)

    assert (found.experiment_id, found.tags["team"]) == (experiment_id, "churn")


def test_a_models_tags_are_set_and_deleted(model_id: str) -> None:
    mlflow.set_logged_model_tags(model_id, {"keep": "1", "drop": "1"})
    mlflow.set_logged_model_tags(model_id, {"keep": "2"})
    mlflow.delete_logged_model_tag(model_id, "drop")

    tags = mlflow.get_logged_model(model_id).tags
    assert tags["keep"] == "2"
    assert "drop" not in tags


def test_params_are_logged_to_a_model() -> None:
    model = mlflow.initialize_logged_model(name="model")

    mlflow.log_model_params({"depth": "3", "rate": "0.1"}, model_id=model.model_id)

    assert mlflow.get_logged_model(model.model_id).params == {"depth": "3", "rate": "0.1"}


@pytest.mark.differs_on_azure("deleted_logged_models")
def test_a_deleted_model_is_gone(client: MlflowClient, experiment_id: str, model_id: str) -> None:
    client.delete_logged_model(model_id)

    assert client.search_logged_models([experiment_id]) == []
    with pytest.raises(MlflowException) as error:
        client.get_logged_model(model_id)
    assert error.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_a_model_that_is_not_there_is_told() -> None:
    with pytest.raises(MlflowException) as error:
        mlflow.get_logged_model("m-" + "0" * 32)

    assert error.value.error_code == "RESOURCE_DOES_NOT_EXIST"


# Search --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def where_models_are() -> str:
    """The id of an experiment that has the three models, and nothing else."""
    return str(mlflow.create_experiment(f"three-models-{uuid4().hex[:8]}"))


@pytest.fixture(scope="module")
def three(where_models_are: str) -> list[str]:
    """The ids of three models: depth and loss 0, 1, 2; the first is tagged, the last has failed."""
    ids = []
    for number in range(3):
        model = mlflow.initialize_logged_model(
            name=f"model-{number}", params={"depth": str(number)}, experiment_id=where_models_are
        )
        with mlflow.start_run(experiment_id=where_models_are):
            mlflow.log_metric("loss", number, model_id=model.model_id)
        mlflow.finalize_logged_model(model.model_id, "FAILED" if number == 2 else "READY")
        ids.append(model.model_id)
    mlflow.set_logged_model_tags(ids[0], {"best": "yes"})
    return ids


@pytest.fixture
def three_models(three: list[str], where_models_are: str, experiment_id: str) -> list[str]:
    """The ids of the three models, whose experiment is set in place of the story's own."""
    mlflow.set_experiment(experiment_id=where_models_are)
    return three


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("name = 'model-1'", [1]),
        ("name LIKE 'model-%'", [0, 1, 2]),
        ("params.depth = '2'", [2]),
        ("metrics.loss > 0.5", [1, 2]),
        ("metrics.loss <= 1 AND params.depth = '0'", [0]),
        ("tags.best = 'yes'", [0]),
        ("attributes.name = 'model-1'", [1]),
    ],
)
def test_models_are_found(three_models: list[str], condition: str, expected: list[int]) -> None:
    found = mlflow.search_logged_models(filter_string=condition, output_format="list")

    assert {model.model_id for model in found} == {three_models[number] for number in expected}


@pytest.mark.parametrize(
    ("field", "ascending", "expected"),
    [
        ("metrics.loss", False, [2, 1, 0]),
        ("creation_timestamp", True, [0, 1, 2]),
        ("name", False, [2, 1, 0]),
    ],
)
def test_models_come_in_the_order_asked_for(
    three_models: list[str], field: str, ascending: bool, expected: list[int]
) -> None:
    order = [{"field_name": field, "ascending": ascending}]

    found = mlflow.search_logged_models(order_by=order, output_format="list")

    assert [model.model_id for model in found] == [three_models[number] for number in expected]


def test_models_come_in_pages(client: MlflowClient, where_models_are: str, three_models: list[str]) -> None:
    order = [{"field_name": "creation_timestamp", "ascending": True}]

    first = client.search_logged_models([where_models_are], max_results=2, order_by=order)
    second = client.search_logged_models(
        [where_models_are], max_results=2, order_by=order, page_token=first.token
    )

    assert [model.model_id for model in [*first, *second]] == three_models
    assert not second.token


def test_models_are_a_data_frame(three_models: list[str]) -> None:
    frame = mlflow.search_logged_models()

    assert isinstance(frame, pandas.DataFrame)
    assert set(frame["model_id"]) == set(three_models)
    assert {"name", "status", "source_run_id", "params"} <= set(frame.columns)


def test_models_are_found_by_the_dataset_of_their_metrics(three_models: list[str]) -> None:
    dataset = mlflow.data.from_pandas(pandas.DataFrame({"x": [1.0]}), name="churn")
    with mlflow.start_run():
        mlflow.log_metric("accuracy", 0.9, model_id=three_models[1], dataset=dataset)

    found = mlflow.search_logged_models(
        filter_string="metrics.accuracy > 0.5",
        datasets=[{"dataset_name": dataset.name, "dataset_digest": dataset.digest}],
        output_format="list",
    )

    assert [model.model_id for model in found] == [three_models[1]]


def test_no_models_are_found_in_an_experiment_without(client: MlflowClient, name: str) -> None:
    empty = mlflow.create_experiment(f"{name}-2")

    assert client.search_logged_models([empty]) == []


@pytest.mark.since("3.8")
@pytest.mark.differs_on_azure("found_runs_without_models")
def test_runs_are_found_with_their_models(client: MlflowClient, experiment_id: str, model_id: str) -> None:
    (run,) = client.search_runs([experiment_id])

    assert [output.model_id for output in run.outputs.model_outputs] == [model_id]
