"""The model registry: names, versions, stages, aliases, tags."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.entities.model_registry import ModelVersion
from sklearn.linear_model import LogisticRegression

pytestmark = pytest.mark.feature("Registry")

# Given, since MLflow would load the model in a process of its own to find them: it takes seconds.
NEEDS = ["scikit-learn"]

Register = Callable[[], ModelVersion]


@pytest.fixture
def register(classifier: LogisticRegression, name: str) -> Register:
    """Log the model in a new run and register it; each call makes a version."""

    def register() -> ModelVersion:
        with mlflow.start_run() as run:
            mlflow.sklearn.log_model(classifier, "model", pip_requirements=NEEDS)
        return mlflow.register_model(f"runs:/{run.info.run_id}/model", name)

    return register


def predicts(uri: str) -> bool:
    return bool(mlflow.pyfunc.load_model(uri).predict([[0.0], [1.0]]).tolist() == [0, 1])


# Registered models ---------------------------------------------------------------------------------


def test_a_registered_model_is_made_and_described(client: MlflowClient, name: str) -> None:
    client.create_registered_model(name, tags={"team": "churn"}, description="who leaves")
    assert client.get_registered_model(name).description == "who leaves"

    client.update_registered_model(name, "who stays")

    found = client.get_registered_model(name)
    assert (found.name, found.description, found.tags) == (name, "who stays", {"team": "churn"})
    assert found.last_updated_timestamp >= found.creation_timestamp > 0


def test_a_name_is_registered_once(client: MlflowClient, name: str) -> None:
    client.create_registered_model(name)

    with pytest.raises(MlflowException) as error:
        client.create_registered_model(name)

    assert error.value.error_code == "RESOURCE_ALREADY_EXISTS"


@pytest.mark.differs_on_azure("names_of_registered_models")
def test_a_name_may_have_spaces_and_parentheses(client: MlflowClient, name: str) -> None:
    client.create_registered_model(f"{name} (the second)")

    assert client.get_registered_model(f"{name} (the second)").name == f"{name} (the second)"


def test_a_registered_models_tags_are_set_and_deleted(client: MlflowClient, name: str) -> None:
    client.create_registered_model(name)
    client.set_registered_model_tag(name, "keep", "1")
    client.set_registered_model_tag(name, "drop", "1")
    client.delete_registered_model_tag(name, "drop")

    assert client.get_registered_model(name).tags == {"keep": "1"}


@pytest.mark.differs_on_azure("renamed_registered_models")
def test_a_registered_model_is_renamed(client: MlflowClient, name: str, register: Register) -> None:
    register()

    client.rename_registered_model(name, f"{name}-renamed")

    assert client.get_registered_model(f"{name}-renamed").name == f"{name}-renamed"
    assert predicts(f"models:/{name}-renamed/1")
    with pytest.raises(MlflowException):
        client.get_registered_model(name)


@pytest.mark.differs_on_azure("deleted_registered_models")
def test_a_deleted_registered_model_is_gone(client: MlflowClient, name: str, register: Register) -> None:
    register()

    client.delete_registered_model(name)

    with pytest.raises(MlflowException) as error:
        client.get_registered_model(name)
    assert error.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert client.search_model_versions(f"name = '{name}'") == []


def test_registered_models_are_found_by_name_and_by_tag(client: MlflowClient, name: str) -> None:
    client.create_registered_model(name, tags={"story": name})
    client.create_registered_model(f"{name}-2")

    def found(condition: str) -> set[str]:
        return {model.name for model in client.search_registered_models(condition)}

    assert found(f"name = '{name}'") == {name}
    assert found(f"name LIKE '{name}%'") == {name, f"{name}-2"}
    assert found(f"tags.story = '{name}'") == {name}


def test_registered_models_come_in_pages_and_in_order(client: MlflowClient, name: str) -> None:
    for number in range(3):
        client.create_registered_model(f"{name}-{number}")
    condition, order = f"name LIKE '{name}%'", ["name DESC"]

    first = client.search_registered_models(condition, max_results=2, order_by=order)
    second = client.search_registered_models(condition, max_results=2, order_by=order, page_token=first.token)

    assert [model.name for model in [*first, *second]] == [f"{name}-2", f"{name}-1", f"{name}-0"]
    assert not second.token


def test_a_registered_model_shows_its_latest_versions(
    client: MlflowClient, name: str, register: Register
) -> None:
    register()
    register()

    assert [int(each.version) for each in client.get_registered_model(name).latest_versions] == [2]
    assert [int(each.version) for each in client.get_latest_versions(name)] == [2]


# Versions ------------------------------------------------------------------------------------------


def test_a_version_knows_where_it_comes_from(client: MlflowClient, name: str, register: Register) -> None:
    made = register()

    found = client.get_model_version(name, made.version)

    assert (int(found.version), found.status, found.current_stage) == (1, "READY", "None")
    assert found.run_id == made.run_id
    assert mlflow.get_run(found.run_id).info.status == "FINISHED"
    assert found.last_updated_timestamp >= found.creation_timestamp > 0


def test_a_version_is_made_by_hand(client: MlflowClient, name: str, classifier: LogisticRegression) -> None:
    client.create_registered_model(name)
    with mlflow.start_run() as run:
        logged = mlflow.sklearn.log_model(classifier, "model", pip_requirements=NEEDS)

    # MLflow's own server wants it of a logged model, from 3.13 on.
    its_id = {"model_id": logged.model_id} if hasattr(logged, "model_id") else {}
    client.create_model_version(
        name,
        logged.model_uri,
        **its_id,
        run_id=run.info.run_id,
        tags={"stage": "draft"},
        run_link="https://example.com/run",
        description="the first",
    )

    found = client.get_model_version(name, "1")
    assert (found.run_id, found.run_link) == (run.info.run_id, "https://example.com/run")
    assert (found.description, found.tags) == ("the first", {"stage": "draft"})
    assert predicts(f"models:/{name}/1")


def test_a_version_is_described(client: MlflowClient, name: str, register: Register) -> None:
    register()

    client.update_model_version(name, "1", "a note")

    assert client.get_model_version(name, "1").description == "a note"


def test_a_versions_tags_are_set_and_deleted(client: MlflowClient, name: str, register: Register) -> None:
    register()
    client.set_model_version_tag(name, "1", "keep", "1")
    client.set_model_version_tag(name, "1", "drop", "1")
    client.delete_model_version_tag(name, "1", "drop")

    tags = client.get_model_version(name, "1").tags
    assert tags["keep"] == "1"
    assert "drop" not in tags


@pytest.mark.parametrize(
    "tags",
    [
        {"rank": "1", "accuracy": "0.75", "exponent": "1e-3", "odd": "nan"},
        {"team:owner": "ada", "a:b:c": "7", ":": ":"},
        {"quoted": '"1"', "twice": '"\\"1\\""', "text": '"red"', "blank": " ", "json": '{"a": 1}'},
    ],
    ids=["numbers", "colons", "quotation marks"],
)
@pytest.mark.since("3.0")  # MLflow's own server of 2.9 takes no colon
def test_a_version_has_any_tag(
    client: MlflowClient, name: str, classifier: LogisticRegression, tags: dict[str, str]
) -> None:
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(classifier, "model", pip_requirements=NEEDS)
    uri = f"runs:/{run.info.run_id}/model"
    mlflow.register_model(uri, name, tags=tags)
    mlflow.register_model(uri, name)
    for key, value in tags.items():
        client.set_model_version_tag(name, "2", key, value)

    for version in ("1", "2"):
        found = client.get_model_version(name, version).tags
        assert {key: found[key] for key in tags} == tags
    (latest,) = client.get_registered_model(name).latest_versions
    assert tags.items() <= latest.tags.items()
    key = next(iter(tags))
    assert len(client.search_model_versions(f"name = '{name}' AND tags.`{key}` = '{tags[key]}'")) == 2
    client.delete_model_version_tag(name, "1", key)
    assert key not in client.get_model_version(name, "1").tags


def test_a_deleted_version_is_gone_and_the_others_stay(
    client: MlflowClient, name: str, register: Register
) -> None:
    register()
    register()

    client.delete_model_version(name, "1")

    assert [int(each.version) for each in client.search_model_versions(f"name = '{name}'")] == [2]
    with pytest.raises(MlflowException):
        client.get_model_version(name, "1")
    assert int(register().version) == 3


def test_versions_are_found_by_name_and_by_run(client: MlflowClient, name: str, register: Register) -> None:
    made = [register() for _ in range(2)]

    for condition in (f"run_id = '{made[0].run_id}'", f"name = '{name}' AND run_id = '{made[0].run_id}'"):
        assert [int(each.version) for each in client.search_model_versions(condition)] == [1]


def test_versions_are_found_by_tag(client: MlflowClient, name: str, register: Register) -> None:
    for _ in range(2):
        register()
    client.set_model_version_tag(name, "2", "story", name)

    found = client.search_model_versions(f"tags.story = '{name}'")

    assert [int(each.version) for each in found] == [2]


def test_versions_come_in_pages_and_in_order(client: MlflowClient, name: str, register: Register) -> None:
    for _ in range(3):
        register()
    condition, order = f"name = '{name}'", ["version_number ASC"]

    first = client.search_model_versions(condition, max_results=2, order_by=order)
    second = client.search_model_versions(condition, max_results=2, order_by=order, page_token=first.token)

    assert [int(each.version) for each in [*first, *second]] == [1, 2, 3]
    assert not second.token


def test_a_versions_files_are_downloaded(client: MlflowClient, name: str, register: Register) -> None:
    register()

    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/1"))
    by_uri = Path(mlflow.artifacts.download_artifacts(client.get_model_version_download_uri(name, "1")))

    for each in (folder, by_uri):
        names = {file.name for file in each.iterdir()}
        assert {"MLmodel", "requirements.txt"} <= names
        assert names & {"model.pkl", "model.skops"}


def test_the_latest_version_is_loaded(name: str, register: Register) -> None:
    register()
    register()

    loaded = mlflow.pyfunc.load_model(f"models:/{name}/latest")

    assert loaded.metadata.run_id == mlflow.MlflowClient().get_model_version(name, "2").run_id


def test_a_version_that_is_not_there_is_told(client: MlflowClient, name: str) -> None:
    client.create_registered_model(name)

    with pytest.raises(MlflowException) as error:
        mlflow.pyfunc.load_model(f"models:/{name}/7")

    assert error.value.error_code == "RESOURCE_DOES_NOT_EXIST"


# Stages and aliases --------------------------------------------------------------------------------


def test_a_version_goes_to_a_stage_and_is_loaded_by_it(
    client: MlflowClient, name: str, register: Register
) -> None:
    register()

    client.transition_model_version_stage(name, "1", "Production")

    assert client.get_model_version(name, "1").current_stage == "Production"
    assert [each.version for each in client.get_latest_versions(name, ["Staging"])] == []
    assert [int(each.version) for each in client.get_latest_versions(name, ["Production"])] == [1]
    assert predicts(f"models:/{name}/Production")


def test_a_version_that_takes_a_stage_archives_the_one_before(
    client: MlflowClient, name: str, register: Register
) -> None:
    register()
    register()
    client.transition_model_version_stage(name, "1", "Production")

    client.transition_model_version_stage(name, "2", "Production", archive_existing_versions=True)

    assert client.get_model_version(name, "1").current_stage == "Archived"
    assert client.get_model_version(name, "2").current_stage == "Production"


def test_a_version_is_loaded_by_its_alias(client: MlflowClient, name: str, register: Register) -> None:
    register()

    client.set_registered_model_alias(name, "champion", "1")

    assert int(client.get_model_version_by_alias(name, "champion").version) == 1
    assert client.get_model_version(name, "1").aliases == ["champion"]
    assert {alias: int(version) for alias, version in client.get_registered_model(name).aliases.items()} == {
        "champion": 1
    }
    assert predicts(f"models:/{name}@champion")


def test_an_alias_moves_and_is_deleted(client: MlflowClient, name: str, register: Register) -> None:
    register()
    register()
    client.set_registered_model_alias(name, "champion", "1")

    client.set_registered_model_alias(name, "champion", "2")
    assert int(client.get_model_version_by_alias(name, "champion").version) == 2

    client.delete_registered_model_alias(name, "champion")
    with pytest.raises(MlflowException):
        client.get_model_version_by_alias(name, "champion")
    assert client.get_registered_model(name).aliases == {}


def test_a_version_is_copied_by_its_alias(client: MlflowClient, name: str, register: Register) -> None:
    made = register()
    client.set_registered_model_alias(name, "champion", "1")

    client.copy_model_version(f"models:/{name}@champion", f"{name}-prod")

    assert client.get_model_version(f"{name}-prod", "1").run_id == made.run_id
    assert predicts(f"models:/{name}-prod/1")
