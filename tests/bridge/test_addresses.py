"""Addresses that others made of what is in Azure ML, and the host by which it is reached."""

from __future__ import annotations

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed

API = "westeurope.api.azureml.ms"
VERSION = "3.17.2"

LOG = """
    import json, mlflow, time
    client = mlflow.MlflowClient()
    experiment = f"addresses-{time.time_ns()}"
    run_id = client.create_run(client.create_experiment(experiment)).info.run_id
    client.log_text(run_id, "hello", "notes/x.txt")
    """


def scope(azure: EmulatedAzure) -> str:
    """Return the workspace as the portal writes it."""
    workspace = azure.workspace
    return (
        f"subscriptions/{workspace.subscription_id}/resourcegroups/{workspace.resource_group}"
        f"/workspaces/{workspace.name}"
    )


@pytest.mark.parametrize(
    "address",
    [
        "azureml://experiments/{experiment}/runs/{run_id}/artifacts/notes/x.txt",
        "azureml://jobs/{run_id}/outputs/artifacts/paths/notes/x.txt",
        "azureml://datastores/workspaceartifactstore/paths/ExperimentRun/dcid.{run_id}/notes/x.txt",
        "azureml://SCOPE/datastores/workspaceartifactstore/paths/ExperimentRun/dcid.{run_id}/notes/x.txt",
    ],
)
def test_what_others_call_an_artifact_of_a_run_is_read(azure: EmulatedAzure, address: str) -> None:
    written = address.replace("SCOPE", scope(azure))

    assert (
        printed(VERSION, azure, f"{LOG}print(json.dumps(mlflow.artifacts.load_text(f{written!r})))")
        == "hello"
    )


def refusal(azure: EmulatedAzure, address: str) -> str:
    code = f"""
    import json, mlflow
    try:
        mlflow.artifacts.load_text({address!r})
    except mlflow.MlflowException as error:
        print(json.dumps(error.message))
    """
    told: str = printed(VERSION, azure, code)
    return told


def test_another_datastore_is_told_in_one_line(azure: EmulatedAzure) -> None:
    address = f"azureml://{scope(azure)}/datastores/workspaceblobstore/paths/LocalUpload/abc/model"

    assert refusal(azure, f"{address}/MLmodel").startswith(f"'{address}")
    assert "in datastore 'workspaceblobstore', which Azure ML's MLflow does not read; download it" in refusal(
        azure, f"{address}/MLmodel"
    )


def test_another_workspace_is_told_in_one_line(azure: EmulatedAzure) -> None:
    elsewhere = scope(azure).replace("/forecasting", "/elsewhere")
    address = f"azureml://{elsewhere}/datastores/workspaceartifactstore/paths/ExperimentRun/dcid.x/a.txt"

    assert "is of workspace 'elsewhere', and this process is connected to 'forecasting'" in refusal(
        azure, address
    )


def test_the_run_of_a_job_is_read_and_written_by_its_name(azure: EmulatedAzure) -> None:
    experiment, run_id = printed(VERSION, azure, f"{LOG}print(json.dumps([experiment, run_id]))")
    azure.ids.know_as_job(run_id, "calm_cart_7x1", experiment)
    code = """
    import json, mlflow
    client = mlflow.MlflowClient()
    client.log_text("calm_cart_7x1", "hello", "y.txt")
    with mlflow.start_run("calm_cart_7x1") as run:
        mlflow.log_metric("loss", 1.0)
    read = mlflow.artifacts.load_text("runs:/calm_cart_7x1/y.txt")
    print(json.dumps([read, run.info.run_id, client.get_run("calm_cart_7x1").data.metrics]))
    """

    assert printed(VERSION, azure, code) == ["hello", "calm_cart_7x1", {"loss": 1.0}]


def test_with_a_private_link_the_tracking_uris_host_is_the_one_that_is_asked(azure: EmulatedAzure) -> None:
    # Given a workspace that is reached by its own host alone, whose runs' addresses have the region's
    private = azure.workspace.workspace_id + ".workspace." + API
    uri = azure.workspace.tracking_uri.replace(API, private)
    code = f"""{LOG}
    addresses = [client.get_run(run_id).info.artifact_uri, f"runs:/{{run_id}}"]
    print(json.dumps([mlflow.artifacts.load_text(address + "/notes/x.txt") for address in addresses]))
    """
    variables = dict.fromkeys(("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "AZUREML_TRACKING_URI"), uri)

    assert printed(VERSION, azure, code, **variables) == ["hello", "hello"]

    assert azure.journal.of(API) == []
    assert azure.journal.of(private, "/artifacts")


def test_the_uri_of_an_azure_ml_registry_leads_to_that(azure: EmulatedAzure) -> None:
    # Given a registry beside the workspace, when a model of a run is registered there in each way
    workspace = azure.workspace
    uri = f"azureml://{API}/mlflow/v2.0{workspace.registry_id}"
    code = """
    import json, mlflow
    from sklearn.linear_model import LogisticRegression
    client = mlflow.MlflowClient()
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(
            model, name="model", registered_model_name="of-all", pip_requirements=["scikit-learn"]
        )
    mlflow.register_model(f"runs:/{run.info.run_id}/model", "of-all", tags={"team": "red"})
    client.set_model_version_tag("of-all", "2", "stage", "tried")
    client.update_model_version("of-all", "2", description="the second")
    client.set_registered_model_alias("of-all", "champion", "2")
    second = client.get_model_version("of-all", "2")
    found = client.search_model_versions("name = 'of-all'")
    loaded = [mlflow.pyfunc.load_model(f"models:/of-all{which}") for which in ("/1", "/2", "@champion")]
    print(json.dumps({
        "models": [each.name for each in client.search_registered_models("name = 'of-all'")],
        "versions": sorted(each.version for each in found),
        "runs": {each.run_id == run.info.run_id for each in found} == {True},
        "second": [second.description, second.tags],
        "champion": client.get_model_version_by_alias("of-all", "champion").version,
        "loaded": [each.predict([[0.0], [1.0]]).tolist() for each in loaded],
    }))
    client.delete_model_version("of-all", "1")
    client.delete_model_version("of-all", "2")
    """

    found = printed(VERSION, azure, code, MLFLOW_REGISTRY_URI=uri)

    # Then they are found, read and loaded as from a workspace's own, and the workspace's own is not asked
    assert found == {
        "models": ["of-all"],
        "versions": ["1", "2"],
        "runs": True,
        "second": ["the second", {"team": "red", "stage": "tried"}],
        "champion": "2",
        "loaded": [[0, 1]] * 3,
    }
    asked = [*azure.journal.of(API, "/registered-models/"), *azure.journal.of(API, "/model-versions/")]
    assert {"model-versions/create", "model-versions/search"} <= {
        "/".join(request.path.rsplit("/", 2)[1:]) for request in asked
    }
    assert all(workspace.registry_id in request.path for request in asked)
