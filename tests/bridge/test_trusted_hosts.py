"""The login goes to Azure ML and to nobody else, whatever an address says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from azureml_databricks import tracking_uri
from azureml_databricks.bridge import workspace
from azureml_databricks.settings import Settings, Value
from tests.emulated.azure import EmulatedAzure
from tests.emulated.workspace import TRACKING_URI
from tests.matrices.on_azure import printed, run

VERSION = "3.17.2"
API = "westeurope.api.azureml.ms"
# Hosts that are none of Azure's, some of which look like one.
FOREIGN = (
    "evil.example",
    "westeurope.api.azureml.ms.evil.example",
    "evil-api.azureml.ms",
    "api.azureml.ms",
    "user@evil.example",
    "evil.example:443.api.azureml.ms",
    "evil.example#.api.azureml.ms",
    "evil.example\\.api.azureml.ms",
    "westeurope.api.azureml.ms:443:1",
    "westeurope．api.azureml.ms",  # noqa: RUF001  # a host that becomes another when it is looked up
    "wést.api.azureml.ms",
)


@pytest.mark.parametrize("host", FOREIGN)
def test_a_host_that_is_none_of_azures_is_known_as_that(host: str) -> None:
    assert not tracking_uri.is_azures(host)


@pytest.mark.parametrize(
    "host",
    [
        API,
        "0b1c.workspace.westeurope.api.azureml.ms",
        "usgovarizona.api.ml.azure.us",
        "chinaeast2.api.ml.azure.cn",
        f"{API}:443",
    ],
)
def test_the_clouds_own_hosts_are_trusted_and_private_links_are_among_them(host: str) -> None:
    assert tracking_uri.is_azures(host)


def test_a_setting_that_leads_to_a_foreign_host_is_told_unless_the_admins_file_says_it() -> None:
    foreign = TRACKING_URI.replace(API, "evil.example")
    of_a_process = Settings({"AZUREML_TRACKING_URI": foreign}, {})
    of_the_cluster = Settings(
        {}, {"trackingUri": Value(foreign, "AZUREML_TRACKING_URI", "a variable of the cluster")}
    )
    of_the_file = Settings({}, {"trackingUri": Value(foreign, "trackingUri", "in /Volumes/x.json")})

    for settings in (of_a_process, of_the_cluster):
        assert "host 'evil.example' is none of Azure Machine Learning's" in settings.problem
        assert "or name it in the admin's settings file (trackingUri)" in settings.problem
    assert of_the_file.problem == ""
    assert of_the_file.trusts("evil.example")


def test_names_of_a_workspace_are_ascii() -> None:
    with pytest.raises(tracking_uri.TrackingUriError, match="workspace name 'wѕ'"):  # noqa: RUF001
        tracking_uri.parse(TRACKING_URI.replace("/workspaces/ws", "/workspaces/wѕ"))  # noqa: RUF001


ASK = """
    import json, mlflow
    def told(ask):
        try:
            ask()
        except Exception as error:
            return str(error)
    """


def test_no_address_leads_the_login_to_a_foreign_host(azure: EmulatedAzure) -> None:
    foreign = azure.workspace.tracking_uri.replace(API, "evil.example")
    registry = f"azureml://evil.example/mlflow/v2.0{azure.workspace.registry_id}"
    of_another = foreign.replace(azure.workspace.name, "another")  # ours would be asked by its own host
    run_of = f"{of_another}/experiments/x/runs/y/artifacts/z.txt"
    code = f"""{ASK}
    from mlflow.deployments import get_deploy_client
    print(json.dumps([
        told(lambda: mlflow.artifacts.load_text({run_of!r})),
        told(lambda: mlflow.MlflowClient({foreign!r}).search_experiments()),
        told(lambda: mlflow.MlflowClient(registry_uri={foreign!r}).search_registered_models()),
        told(lambda: mlflow.MlflowClient(registry_uri={registry!r}).search_registered_models()),
        told(lambda: get_deploy_client({foreign!r}).list_deployments()),
        told(lambda: mlflow.register_model({run_of!r}, "planted")),
    ]))
    """

    told = printed(VERSION, azure, code, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")

    said = "host 'evil.example' is none of Azure Machine Learning's, and no login goes there"
    assert [text for text in told if said not in (text or "")] == []
    assert azure.journal.of("*evil.example*") == []


@pytest.mark.parametrize(
    "provider", ["https://cert-westeurope.experiments.azureml.net/", f"https://{API}/", f"https://X.{API}/"]
)
def test_a_registrys_host_is_azures(provider: str) -> None:
    workspace.require_trusted(provider)


@pytest.mark.parametrize(
    "provider",
    [
        "https://evil.example/",
        "https://experiments.azureml.net.evil.example/",
        "https://cert-westeurope.experiments.azureml.net@evil.example/",
        "http://cert-westeurope.experiments.azureml.net/",
    ],
)
def test_the_host_that_a_registrys_discovery_names_is_asked_only_if_it_is_azures(
    azure: EmulatedAzure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, provider: str
) -> None:
    # Given a registry, and an answer of whoever says which host takes its files
    monkeypatch.setattr(azure.registries, "provider", provider)
    (tmp_path / "MLmodel").write_text("flavors: {}")
    registry = f"azureml://{API}/mlflow/v2.0{azure.workspace.registry_id}"
    code = f"""{ASK}
    client = mlflow.MlflowClient(registry_uri={registry!r})
    print(json.dumps(told(lambda: client.create_model_version("shared", {str(tmp_path)!r}))))
    """

    told = printed(VERSION, azure, code)

    # Then another than Azure's is told, and is not asked
    assert azure.journal.of("eastus.api.azureml.ms", "/discovery")
    host = provider.partition("//")[2].rstrip("/")
    assert f"host {host!r} is none of Azure Machine Learning's, and no login goes there" in told
    assert [it.host for it in azure.journal.refused if it.host in provider] == []


def test_other_clouds_endpoints_from_a_variable_get_neither_secret_nor_token(azure: EmulatedAzure) -> None:
    # Given a process whose list of clouds says that the login is elsewhere
    code = f"""{ASK}
    from azureml.mlflow._common._cloud import cloud
    cloud.KNOWN_CLOUDS["AzureCloud"].endpoints.active_directory = "https://login.evil.example"
    print(json.dumps(told(lambda: mlflow.search_experiments())))
    """

    told = printed(VERSION, azure, code, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")

    assert "host 'login.evil.example' is none of Azure's, and no login goes there" in told
    assert azure.journal.of("*evil.example*") == []


def test_a_logged_models_record_counts_only_below_its_own_run(azure: EmulatedAzure) -> None:
    # Given a model, and somebody with a role on the workspace who plants a record that leads elsewhere
    plant = f"""
    import json, mlflow
    from azureml_databricks.bridge import logged_models
    from azureml_databricks.bridge.records import Entry
    mlflow.set_experiment("planted")
    with mlflow.start_run() as run:
        model = mlflow.initialize_logged_model(name="model")
        mlflow.log_text("mine", "model/MLmodel")
    client = mlflow.MlflowClient()
    store = client._tracking_client.store
    run_id, key = logged_models._parts(model.model_id)
    born = store.runs.records(run_id).all("models")[f"models/{{key}}"][0]
    address = f"{{store.runs.artifact_uri(run_id)}}/model"
    others = [
        address.replace({API!r}, "evil.example"),
        address.replace(run_id, "11111111-2222-3333-4444-555555555555"),
        "model/../../../../x",
        "file:///etc",
        7,
    ]
    planted = [{{**born, "folder": each}} for each in others]
    planted += [{{}}, {{"name": 7}}, {{**born, "metrics": [7]}}, {{**born, "status": "no"}}]
    keys = [f"{{key[:-1]}}{{(int(key[-1], 16) + number) % 16:x}}" for number, _ in enumerate(planted, 1)]
    entries = [Entry(f"models/{{key}}", record) for key, record in zip(keys, planted)]
    store.runs.records(run_id).add(entries)
    client.set_tag(run_id, "azureml_databricks.shared_records", "true")
    print(json.dumps([run.info.run_id, run.info.experiment_id, model.artifact_location]))
    """
    run_id, experiment, location = printed(VERSION, azure, plant)
    azure.journal.clear()

    # When anybody lists the models
    found = run(
        VERSION,
        azure,
        f"""
    import json, mlflow
    client = mlflow.MlflowClient()
    models = client.search_logged_models([{experiment!r}])
    print(json.dumps([[model.artifact_location for model in models],
                      [client.list_logged_model_artifacts(model.model_id) and None for model in models]]))
    """,
    )

    # Then each is where its own run is, or is none
    assert found.returncode == 0, found.stderr
    locations = json.loads(found.stdout.splitlines()[-1])[0]
    assert location in locations
    assert all(run_id in it and ".." not in it and f"//{API}/" in it for it in locations)
    assert azure.journal.of("*evil.example*") == []


@pytest.mark.parametrize("swapped", ["AZURE_CLIENT_ID", "AZURE_TENANT_ID"])
def test_a_secret_under_another_key_of_the_scope_is_in_no_error(azure: EmulatedAzure, swapped: str) -> None:
    secret = "abC8Q~s3cr3t_s3cr3t-s3cr3ts3cr3ta"
    code = f"""{ASK}
    print(json.dumps(told(lambda: mlflow.search_experiments())))
    """

    told = printed(VERSION, azure, code, **{swapped: secret})

    assert told.startswith("cannot log in to Azure: ")
    assert secret not in told
    assert told.endswith(f"; {swapped} is no ID: are the keys in the secret scope swapped?")
