"""Registered models and their versions: what a call costs, and what of ours it shows."""

from __future__ import annotations

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed

API = "westeurope.api.azureml.ms"
VERSION = "3.17.2"

REGISTER = """
    import json, mlflow, time
    from mlflow import MlflowClient
    client, name = MlflowClient(), f"registry-{time.time_ns()}"
    with mlflow.start_run() as run:
        model = mlflow.initialize_logged_model(name="model")
    client.create_registered_model(name)
    client.create_model_version(name, model.artifact_location, run.info.run_id, model_id=model.model_id)
    """


def test_no_tag_of_ours_is_seen_and_each_version_knows_its_model(azure: EmulatedAzure) -> None:
    # Given a version that was made of a logged model, when it comes by any call
    code = (
        REGISTER
        + """
    versions = [
        client.transition_model_version_stage(name, "1", "Staging"),
        client.update_model_version(name, "1", "words"),
        client.get_model_version(name, "1"),
        *client.get_latest_versions(name),
        *client.search_model_versions(f"name = '{name}'"),
        *client.get_registered_model(name).latest_versions,
        *client.update_registered_model(name, "words").latest_versions,
        *client.search_registered_models(f"name = '{name}'")[0].latest_versions,
    ]
    print(json.dumps([[each.tags, each.model_id == model.model_id] for each in versions]))
    """
    )

    # Then it is the same
    assert printed(VERSION, azure, code) == [[{}, True]] * 8


def test_a_search_by_any_filter_costs_one_request_however_many_models_there_are(azure: EmulatedAzure) -> None:
    code = (
        REGISTER
        + """
    for number in range(5):
        client.create_registered_model(f"{name}-{number}")
    before = client.search_model_versions(f"run_id = '{run.info.run_id}' AND version_number < 2")
    print(json.dumps([[each.name == name, each.version] for each in before]))
    """
    )

    assert printed(VERSION, azure, code) == [[True, "1"]]
    asked = [request.path.rpartition("/mlflow/")[2] for request in azure.journal.of(API, "/search")]
    assert asked.count("model-versions/search") == 1
    assert asked.count("registered-models/search") == 0


def test_a_run_names_a_model_once_however_often_it_was_used_and_shows_no_tag_of_ours(
    azure: EmulatedAzure,
) -> None:
    code = (
        REGISTER
        + """
    with mlflow.start_run() as user:
        for key in ("one", "two", "three"):
            mlflow.log_metric(key, 1, model_id=model.model_id)
    seen = [mlflow.get_run(user.info.run_id), *client.search_runs([user.info.experiment_id])]
    used = [each.model_id == model.model_id for each in seen[0].inputs.model_inputs]
    print(json.dumps([used, [tag for each in seen for tag in each.data.tags if "azureml_databricks" in tag]]))
    """
    )

    assert printed(VERSION, azure, code) == [[True], []]
