"""Models: what is logged is loaded again, by each of its addresses, here and elsewhere."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import numpy
import pandas
import pytest
from mlflow import MlflowClient
from mlflow.models import ModelSignature, infer_signature
from mlflow.pyfunc import PythonModel
from mlflow.types.schema import ColSpec, Schema
from sklearn.linear_model import LogisticRegression

if TYPE_CHECKING:
    from tests.matrices.stories.conftest import Elsewhere

pytestmark = pytest.mark.feature("Models")

# Given, since MLflow would load the model in a process of its own to find them: it takes seconds.
NEEDS = ["scikit-learn"]
NUMBER = ModelSignature(Schema([ColSpec("double", "x")]), Schema([ColSpec("double", "x")]))
POINTS = numpy.array([[0.0], [1.0]])


class Adder(PythonModel):
    """Adds the number in its artifact."""

    def load_context(self, context: mlflow.pyfunc.PythonModelContext) -> None:
        self._number = float(Path(context.artifacts["number"]).read_text())

    def predict(
        self, context: mlflow.pyfunc.PythonModelContext, model_input: pandas.DataFrame, params: object = None
    ) -> pandas.DataFrame:
        return model_input + self._number


def test_a_model_is_loaded_by_its_run(classifier: LogisticRegression) -> None:
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(classifier, "model", pip_requirements=NEEDS)

    uri = f"runs:/{run.info.run_id}/model"
    assert mlflow.pyfunc.load_model(uri).predict(POINTS).tolist() == [0, 1]
    assert mlflow.sklearn.load_model(uri).coef_ == classifier.coef_


def test_a_model_is_loaded_by_the_uri_that_logging_gave(classifier: LogisticRegression) -> None:
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(classifier, artifact_path="model", pip_requirements=NEEDS)

    assert mlflow.pyfunc.load_model(logged.model_uri).predict(POINTS).tolist() == [0, 1]


@pytest.mark.since("3.0")
def test_a_model_is_logged_by_name(classifier: LogisticRegression) -> None:
    with mlflow.start_run() as run:
        logged = mlflow.sklearn.log_model(classifier, name="churn model", pip_requirements=NEEDS)

    assert mlflow.sklearn.load_model(logged.model_uri).coef_ == classifier.coef_
    assert mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/churn model").coef_ == classifier.coef_


def test_a_model_is_loaded_in_another_process(classifier: LogisticRegression, elsewhere: Elsewhere) -> None:
    with mlflow.start_run() as run:
        logged = mlflow.sklearn.log_model(classifier, "model", pip_requirements=NEEDS)

    code = """
        predicted = [mlflow.pyfunc.load_model(uri).predict([[0.0], [1.0]]).tolist() for uri in uris]
        print(json.dumps(predicted))
    """
    uris = [logged.model_uri, f"runs:/{run.info.run_id}/model"]
    assert elsewhere(code, uris=uris) == [[0, 1], [0, 1]]


@pytest.mark.until("3.0")
def test_a_model_is_loaded_by_its_artifact_uri(classifier: LogisticRegression) -> None:
    with mlflow.start_run():
        mlflow.sklearn.log_model(classifier, "model", pip_requirements=NEEDS)
        uri = mlflow.get_artifact_uri("model")

    assert mlflow.sklearn.load_model(uri).coef_ == classifier.coef_


def test_what_mlflow_finds_that_a_model_needs_is_kept(classifier: LogisticRegression) -> None:
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(classifier, "model")

    needs = mlflow.pyfunc.get_model_dependencies(f"runs:/{run.info.run_id}/model")
    assert any(line.startswith("scikit-learn==") for line in Path(needs).read_text().splitlines())


def test_signature_and_example_are_kept(classifier: LogisticRegression) -> None:
    example = pandas.DataFrame({"age": [0.0]})
    signature = infer_signature(example, numpy.array([0]))
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(
            classifier, "model", signature=signature, input_example=example, pip_requirements=NEEDS
        )

    info = mlflow.models.get_model_info(f"runs:/{run.info.run_id}/model")
    assert info.signature == signature
    assert info.run_id == run.info.run_id
    assert "sklearn" in info.flavors
    loaded = mlflow.pyfunc.load_model(info.model_uri)
    assert loaded.metadata.load_input_example(loaded_path(info.model_uri)).equals(example)


def loaded_path(uri: str) -> str:
    return str(mlflow.artifacts.download_artifacts(uri))


def test_metadata_is_kept(classifier: LogisticRegression) -> None:
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(
            classifier, "model", metadata={"team": "churn"}, pip_requirements=NEEDS
        )

    assert mlflow.models.get_model_info(logged.model_uri).metadata == {"team": "churn"}


def test_a_python_model_has_its_artifacts(tmp_path: Path) -> None:
    (tmp_path / "number.txt").write_text("2")
    with mlflow.start_run() as run:
        mlflow.pyfunc.log_model(
            "adder",
            python_model=Adder(),
            artifacts={"number": str(tmp_path / "number.txt")},
            signature=NUMBER,
            pip_requirements=[],
        )

    loaded = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/adder")
    assert loaded.predict(pandas.DataFrame({"x": [1.0]})).to_dict("list") == {"x": [3.0]}


@pytest.mark.since("2.13")
def test_a_python_model_brings_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: Elsewhere
) -> None:
    # Given a module of the user's that another process does not have
    (tmp_path / "library/halves").mkdir(parents=True)
    (tmp_path / "library/halves/__init__.py").write_text(
        "from mlflow.pyfunc import PythonModel\n"
        "class Halver(PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return model_input / 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "library")
    halves = importlib.import_module("halves")
    with mlflow.start_run():
        logged = mlflow.pyfunc.log_model(
            "halver",
            python_model=halves.Halver(),
            code_paths=[str(tmp_path / "library/halves")],
            signature=NUMBER,
            pip_requirements=[],
        )

    code = """
        import pandas
        predicted = mlflow.pyfunc.load_model(uri).predict(pandas.DataFrame({"x": [3.0]}))
        print(json.dumps(predicted.to_dict("list")))
    """
    assert elsewhere(code, uri=logged.model_uri) == {"x": [1.5]}


def test_a_function_is_a_model() -> None:
    with mlflow.start_run():
        logged = mlflow.pyfunc.log_model(
            "double", python_model=double, input_example=[1], pip_requirements=[]
        )

    assert list(mlflow.pyfunc.load_model(logged.model_uri).predict([2, 3])) == [4, 6]


def double(model_input: list[int]) -> list[int]:
    return [2 * number for number in model_input]


def test_a_model_without_a_run_makes_one(client: MlflowClient, classifier: LogisticRegression) -> None:
    logged = mlflow.sklearn.log_model(classifier, "model", pip_requirements=NEEDS)

    assert mlflow.sklearn.load_model(logged.model_uri).coef_ == classifier.coef_


def test_two_models_of_a_run_are_kept_apart(classifier: LogisticRegression) -> None:
    other = LogisticRegression().fit([[0.0], [1.0]], [1, 0])
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(classifier, "model", pip_requirements=NEEDS)
        mlflow.sklearn.log_model(other, "model2", pip_requirements=NEEDS)

    for name, predicted in (("model", [0, 1]), ("model2", [1, 0])):
        loaded = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/{name}")
        assert loaded.predict(POINTS).tolist() == predicted


def test_of_two_models_of_one_name_the_second_is_loaded(classifier: LogisticRegression) -> None:
    other = LogisticRegression().fit([[0.0], [1.0]], [1, 0])
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(classifier, "model", pip_requirements=NEEDS)
        second = mlflow.sklearn.log_model(other, "model", pip_requirements=NEEDS)

    assert mlflow.pyfunc.load_model(second.model_uri).predict(POINTS).tolist() == [1, 0]
    loaded = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    assert loaded.predict(POINTS).tolist() == [1, 0]


def test_a_models_files_are_downloaded(classifier: LogisticRegression) -> None:
    with mlflow.start_run() as run:
        logged = mlflow.sklearn.log_model(classifier, "model", pip_requirements=NEEDS)

    for uri in (logged.model_uri, f"runs:/{run.info.run_id}/model"):
        names = {path.name for path in Path(mlflow.artifacts.download_artifacts(uri)).iterdir()}
        assert {"MLmodel", "requirements.txt"} <= names
        assert names & {"model.pkl", "model.skops"}


def test_an_evaluated_model_logs_its_metrics(classifier: LogisticRegression) -> None:
    frame = pandas.DataFrame({"x": [0.0, 1.0, 0.0, 1.0], "y": [0, 1, 0, 1]})
    with mlflow.start_run() as run:
        logged = mlflow.sklearn.log_model(classifier, "model", pip_requirements=NEEDS)
        mlflow.models.evaluate(
            logged.model_uri,
            frame,
            targets="y",
            model_type="classifier",
            evaluators="default",
            evaluator_config={"log_model_explainability": False},
        )

    assert mlflow.get_run(run.info.run_id).data.metrics["accuracy_score"] == 1


# Registering ---------------------------------------------------------------------------------------


def predicts(uri: str) -> bool:
    return bool(mlflow.pyfunc.load_model(uri).predict(POINTS).tolist() == [0, 1])


def test_a_model_is_registered_as_it_is_logged(
    client: MlflowClient, classifier: LogisticRegression, name: str
) -> None:
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(classifier, "model", registered_model_name=name, pip_requirements=NEEDS)

    assert predicts(f"models:/{name}/1")
    assert client.get_model_version(name, "1").run_id == run.info.run_id


def test_the_second_model_of_a_name_is_version_2(
    client: MlflowClient, classifier: LogisticRegression, name: str
) -> None:
    for _ in range(2):
        with mlflow.start_run():
            mlflow.sklearn.log_model(classifier, "model", registered_model_name=name, pip_requirements=NEEDS)

    versions = client.search_model_versions(f"name = '{name}'")
    assert sorted(int(each.version) for each in versions) == [1, 2]


def test_a_model_is_registered_by_its_runs_uri(
    classifier: LogisticRegression, name: str, elsewhere: Elsewhere
) -> None:
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(classifier, "model", pip_requirements=NEEDS)

    version = mlflow.register_model(f"runs:/{run.info.run_id}/model", name, tags={"stage": "draft"})

    assert (version.name, int(version.version)) == (name, 1)
    assert version.run_id == run.info.run_id
    assert version.tags["stage"] == "draft"
    assert predicts(f"models:/{name}/1")
    code = "print(json.dumps(mlflow.pyfunc.load_model(uri).predict([[0.0], [1.0]]).tolist()))"
    assert elsewhere(code, uri=f"models:/{name}/1") == [0, 1]


def test_a_model_is_registered_by_the_uri_that_logging_gave(
    classifier: LogisticRegression, name: str
) -> None:
    with mlflow.start_run() as run:
        logged = mlflow.sklearn.log_model(classifier, "model", pip_requirements=NEEDS)

    version = mlflow.register_model(logged.model_uri, name)

    assert version.run_id == run.info.run_id
    assert predicts(f"models:/{name}/1")


@pytest.mark.since("3.0")
def test_a_model_is_registered_by_its_id(
    client: MlflowClient, classifier: LogisticRegression, name: str
) -> None:
    with mlflow.start_run() as run:
        logged = mlflow.sklearn.log_model(classifier, name="model", pip_requirements=NEEDS)

    mlflow.register_model(f"models:/{logged.model_id}", name)

    assert client.get_model_version(name, "1").run_id == run.info.run_id
    assert predicts(f"models:/{name}/1")


def test_a_registered_model_is_registered_under_another_name(
    client: MlflowClient, classifier: LogisticRegression, name: str
) -> None:
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(classifier, "model", registered_model_name=name, pip_requirements=NEEDS)

    copy = client.copy_model_version(f"models:/{name}/1", f"{name}-2")

    assert (copy.name, int(copy.version), copy.run_id) == (f"{name}-2", 1, run.info.run_id)
    assert predicts(f"models:/{name}-2/1")


@pytest.mark.until("3.0")
def test_a_model_is_registered_by_its_artifact_uri(classifier: LogisticRegression, name: str) -> None:
    with mlflow.start_run():
        mlflow.sklearn.log_model(classifier, "model", pip_requirements=NEEDS)
        uri = mlflow.get_artifact_uri("model")

    mlflow.register_model(uri, name)

    assert predicts(f"models:/{name}/1")


def test_a_model_is_saved_to_a_folder_and_logged_from_there(
    classifier: LogisticRegression, name: str, tmp_path: Path
) -> None:
    mlflow.sklearn.save_model(classifier, str(tmp_path / "saved"), pip_requirements=NEEDS)
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(tmp_path / "saved"), "model")

    mlflow.register_model(f"runs:/{run.info.run_id}/model", name)

    assert predicts(f"runs:/{run.info.run_id}/model")
    assert predicts(f"models:/{name}/1")
