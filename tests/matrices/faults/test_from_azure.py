"""What goes wrong between a program and Azure: it is told in one line, and nothing is lost in silence.

Each fault at each endpoint. The program ends; it says what is wrong or all is as if nothing had been; and
what it took for saved is there when a program of another day asks.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.emulated.azure.imds import HOST as IMDS
from tests.emulated.cluster import forget_tokens
from tests.matrices import on_azure
from tests.matrices.faults.kinds import KINDS, OF_AZURES_SDK, OF_REQUESTS, OF_TOKENS, Endpoint, Fault
from tests.matrices.faults.table import Became, each

VERSION = "3.17.2"
LOGIN, API, BLOBS = "login.microsoftonline.com", "*.api.azureml.ms", "*.blob.core.windows.net"
ARM, SCORING = "management.azure.com", "*.inference.ml.azure.com"
OF_A_REGISTRY = "*.experiments.azureml.net"
# MLflow's own patience, and the artifacts': less of it, since by default they ask for minutes.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "AZUREML_HTTP_REQUEST_TIMEOUT": "3",
}
# Of a model that lies in a folder.
FILES = ("MLmodel", "data/weights.txt")
# No endpoint needs this long with that patience; of ours, only the login states a limit, and a lower one.
MOST_SECONDS = 240
# Of a process, whatever is asked: two tries of one that fails, and one of the program that reads back.
MOST_LOGINS = 3


ENDPOINTS = [
    Endpoint("login", LOGIN, "/token", "run"),
    Endpoint("IMDS", IMDS, "", "run"),
    Endpoint("tracking", API, "/api/2.0/mlflow/(runs|experiments)/", "run"),
    Endpoint("registry", API, "/api/2.0/mlflow/(registered-models|model-versions)/", "model"),
    Endpoint("artifacts", API, "/artifacts?(/|$)", "upload"),
    Endpoint("blob upload", BLOBS, "", "upload"),
    Endpoint("blob download", BLOBS, "", "download"),
    Endpoint("a folder's model", API, "/artifact/v2.0/", "folder"),
    Endpoint("blobs of a folder's model", BLOBS, "", "folder"),
    Endpoint("registry discovery", API, "/discovery", "in_registry"),
    Endpoint("registry files", OF_A_REGISTRY, "", "in_registry"),
    Endpoint("registry blobs", BLOBS, "", "in_registry"),
    Endpoint("deployments", ARM, "/onlineEndpoints", "endpoints"),
    Endpoint("scoring", SCORING, "/score", "predict"),
]
OF_HOSTS = {
    **dict.fromkeys((LOGIN, IMDS), OF_TOKENS),
    **dict.fromkeys((API, ARM, OF_A_REGISTRY), OF_REQUESTS),
}
# Tracking and registry are asked by MLflow's own client, blobs by the storage's.
ASKED_BY_AZURES_SDK = ("artifacts", "a folder's model", "registry discovery", "registry files", "deployments")
TABLE = [
    Fault(endpoint, kind)
    for endpoint in ENDPOINTS
    for kind in (
        *KINDS,
        *OF_HOSTS.get(endpoint.host, ()),
        *(OF_AZURES_SDK if endpoint.name in ASKED_BY_AZURES_SDK else ()),
    )
    # Of a node's own address there is no certificate.
    if (endpoint.name, kind.name) != ("IMDS", "unknown CA")
]

PROGRAM = """
    import json, os, time, mlflow
    from pathlib import Path

    # The same of the storage's.
    from azureml_databricks.bridge import artifacts
    artifacts._STORAGE_SECONDS = (3, 3)
    client = mlflow.MlflowClient()
    told, saved = [], {}

    def ask(name, what, *args, **kwargs):
        try:
            answer = what(*args, **kwargs)
            saved[name] = True
            return answer
        except Exception as error:
            told.append([isinstance(error, mlflow.MlflowException), type(error).__name__, str(error)])

    def run():
        run = ask("created", client.create_run, "0")
        if run:
            saved["run"] = run.info.run_id
            ask("metric", client.log_metric, run.info.run_id, "loss", 0.5)
            ask("param", client.log_param, run.info.run_id, "rate", "0.1")

    def model():
        name = saved["name"] = f"fault-{time.time_ns()}"
        ask("model", client.create_registered_model, name)
        ask("version", client.create_model_version, name, given["source"], given["run"])

    def upload():
        saved["path"] = f"fault-{time.time_ns()}.txt"
        ask("uploaded", client.log_text, given["run"], "all of it", saved["path"])

    def download():
        text = ask("downloaded", mlflow.artifacts.load_text, given["source"] + "/first.txt")
        saved["read"] = text == "first"

    def folder():
        name = saved["name"] = f"fault-{time.time_ns()}"
        ask("model", client.create_registered_model, name)
        ask("of_folder", client.create_model_version, name, given["folder"])

    def in_registry():
        registry = mlflow.MlflowClient(registry_uri=given["registry"])
        name = saved["name"] = saved["in_registry"] = f"fault-{time.time_ns()}"
        ask("model", registry.create_registered_model, name)
        ask("of_folder", registry.create_model_version, name, given["folder"])

    def endpoints():
        from mlflow.deployments import get_deploy_client
        found = ask("endpoints", get_deploy_client(mlflow.get_tracking_uri()).list_endpoints)
        saved["read"] = [each["name"] for each in found or ()] == ["scored"]

    def predict():
        import pandas as pd
        from mlflow.deployments import get_deploy_client
        endpoint, rows = get_deploy_client(mlflow.get_tracking_uri()), pd.DataFrame({"x": [1, 2]})
        found = ask("predicted", endpoint.predict, None, rows, "scored")
        saved["read"] = found is not None and found[0].tolist() == [1, 1]

    given = json.loads(os.environ["GIVEN"])
    if given["variables"] and not given["login"]:
        client.get_run(given["run"])
    os.environ.update(given["variables"])
    if "" in given["variables"].values():
        # Those of the world, of which the emulated Azure has none.
        import certifi
        os.environ.update(dict.fromkeys(given["variables"], certifi.where()))
    {asks}()
    print(json.dumps([told, saved]))
"""

READ_BACK = """
    import json, os, mlflow
    client = mlflow.MlflowClient()
    saved, run = json.loads(os.environ["SAVED"]), os.environ["RUN"]
    lost = []
    if saved.get("run"):
        data = client.get_run(saved["run"]).data
        lost += [name for name, there in (("metric", data.metrics), ("param", data.params))
                 if saved.get(name) and not there]
    if saved.get("model"):
        client.get_registered_model(saved["name"])
    if saved.get("version"):
        client.get_model_version(saved["name"], "1")
    if saved.get("of_folder") and not saved.get("in_registry"):
        lost += [name for name in ("MLmodel", "data/weights.txt") if name not in
                 mlflow.artifacts.load_text(f"models:/{saved['name']}/1/{name}")]
    if saved.get("uploaded"):
        address = client.get_run(run).info.artifact_uri + "/" + saved["path"]
        if mlflow.artifacts.load_text(address) != "all of it":
            lost.append("artifact")
    print(json.dumps(lost))
"""


@dataclass(frozen=True)
class Given:
    """What there is before anything goes wrong."""

    run: str
    source: str
    folder: str
    registry: str


@pytest.fixture(scope="module")
def given(_azure: EmulatedAzure, tmp_path_factory: pytest.TempPathFactory) -> Given:
    _azure.faults.clear()
    folder = tmp_path_factory.mktemp("folder") / "model"
    (folder / "data").mkdir(parents=True)
    for name in FILES:
        (folder / name).write_text(f"flavors: {{}}  # {name}")
    registry = f"azureml://{_azure.workspace.cloud.api_host}/mlflow/v2.0{_azure.workspace.registry_id}"
    code = """
        import json, mlflow
        client = mlflow.MlflowClient()
        run = client.create_run("0")
        client.log_text(run.info.run_id, "first", "first.txt")
        print(json.dumps([run.info.run_id, run.info.artifact_uri]))
        """
    run, source = on_azure.printed(VERSION, _azure, code)
    return Given(run, source, str(folder), registry)


@pytest.fixture
def way(azure: EmulatedAzure) -> Callable[[Endpoint[str]], dict[str, str]]:
    """The variables of a program that asks an endpoint."""

    def variables(endpoint: Endpoint[str]) -> dict[str, str]:
        if endpoint.host == IMDS:
            identity = azure.managed_identity.client_id
            return {
                "AZUREML_AUTH": "managed-identity",
                "AZURE_CLIENT_ID": identity,
                **azure.identity_endpoint,
            }
        return {}

    return variables


def stored(azure: EmulatedAzure, model: str) -> set[str]:
    """Return the files of a registry's first version of a model that have their bytes."""
    files = azure.registries.azurite.files(azure.registries.containers[f"{model}/1"])
    return {name for name, content in files.items() if name.removeprefix("model/") in content.decode()}


@each(TABLE, sample=11)
def test_azure_with(
    azure: EmulatedAzure,
    given: Given,
    way: Callable[[Endpoint[str]], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault[str],
    became: Became,
) -> None:
    endpoint, kind = fault.endpoint, fault.kind
    variables = way(endpoint)
    # Given what goes wrong at the endpoint
    if kind.fault:
        azure.faults.add(endpoint.host, endpoint.path, **kind.fault)  # type: ignore[arg-type]
    for name, value in kind.tokens.items():
        monkeypatch.setattr(azure.tokens, name, value)

    # When a program asks it
    asked = {"variables": kind.variables, "login": endpoint.host in (LOGIN, IMDS), **vars(given)}
    before = time.monotonic()
    done = on_azure.run(
        VERSION,
        azure,
        PROGRAM.replace("{asks}", endpoint.asks),
        GIVEN=json.dumps(asked),
        **PATIENCE,
        **variables,
    )
    took = time.monotonic() - before
    azure.faults.clear()
    monkeypatch.undo()

    # Then it ends, with a line for each thing that is not done
    assert done.returncode == 0, done.stderr
    told, saved = json.loads(done.stdout.splitlines()[-1])
    print(f"{took:.1f} s", told, saved)
    for of_mlflow, kind_of_error, message in told:
        assert of_mlflow or kind_of_error == "AzureLoginError", (kind_of_error, message)
        assert message
        assert "\n" not in message
        assert azure.principal.client_secret not in message
    # The libraries' own loggers may show one of theirs.
    assert "azureml_databricks" not in done.stderr
    assert took < MOST_SECONDS

    # And what was taken for saved is there, once all is well again
    forget_tokens()
    found = on_azure.printed(VERSION, azure, READ_BACK, SAVED=json.dumps(saved), RUN=given.run)
    assert found == []
    assert saved.get("read", True) is True or told
    if saved.get("in_registry") and saved.get("of_folder"):
        assert stored(azure, saved["in_registry"]) == {f"model/{name}" for name in FILES}
    # Of a login, a node is told to wait by the time that it says so.
    is_login = endpoint.host in (LOGIN, IMDS)
    # A prediction is asked for once: only who asks knows whether it may be asked for again.
    is_tried_again = not (is_login and "429" in kind.name) and endpoint.asks != "predict"
    if kind.name.startswith(("reset once", "503 once", "429 once")) and is_tried_again:
        assert told == []
    if kind.name.startswith(("a clock", "a token that has expired")):
        assert told == []
    # A token that nobody takes is not asked for again at each request.
    assert len(azure.journal.of(endpoint.host, "/token")) <= MOST_LOGINS or not is_login
    became("refused in one line" if told else "kept working")
