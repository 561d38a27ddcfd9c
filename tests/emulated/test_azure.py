"""The emulated Azure keeps its word to unmodified clients, so that other tests may rely on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import mlflow
import psutil  # type: ignore[import-untyped,unused-ignore]
import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.operations import WorkspaceOperations
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential
from azureml.mlflow import get_mlflow_tracking_uri_v2
from azureml.mlflow._client.artifact.registry_artifact_client import RegistryArtifactClient
from azureml.mlflow._common._cloud.cloud import _get_cloud_or_default
from azureml.mlflow.deploy._mir.mir_deployment_client import MirDeploymentClient
from mlflow.exceptions import MlflowException, RestException
from mlflow.pyfunc.model import PythonModel

from tests import REPOSITORY
from tests.emulated.azure import US_GOVERNMENT, EmulatedAzure, artifacts, registry
from tests.emulated.azure.identities import Principal

SCOPE = "https://management.azure.com/.default"


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedAzure]:
    directory = tmp_path_factory.mktemp("azure")
    with (
        EmulatedAzure(directory) as azure,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in azure.environment.items():
            patch.setenv(name, value)
        patch.setenv("AZUREML_CURRENT_CLOUD", azure.workspace.cloud.name)
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        # MLflow leaves each model that it loads there.
        patch.setenv("TMPDIR", str(directory))
        patch.setattr(tempfile, "tempdir", str(directory))
        yield azure


@pytest.fixture(autouse=True)
def untroubled(azure: EmulatedAzure) -> None:
    azure.journal.clear()
    azure.faults.clear()


@pytest.fixture
def client(azure: EmulatedAzure) -> mlflow.MlflowClient:
    """MLflow over the plugin as it is, with our principal in place of its chain of credentials."""
    workspace = azure.workspace
    uri = get_mlflow_tracking_uri_v2(
        SimpleNamespace(ml_flow_tracking_uri=workspace.tracking_uri),
        {
            "subscription_id": workspace.subscription_id,
            "resource_group_name": workspace.resource_group,
            "workspace_name": workspace.name,
            "auth": credential_of(azure.principal),
            "host_url": f"https://{workspace.cloud.api_host}",
        },
    )
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return mlflow.MlflowClient()


@pytest.fixture
def run_id(client: mlflow.MlflowClient) -> str:
    experiment = client.create_experiment(f"experiment-{time.time_ns()}")
    return str(client.create_run(experiment).info.run_id)


def credential_of(principal: Principal, **changes: str) -> ClientSecretCredential:
    return ClientSecretCredential(
        **{
            "tenant_id": principal.tenant_id,
            "client_id": principal.client_id,
            "client_secret": principal.client_secret,
            **changes,
        }
    )


def workspaces(azure: EmulatedAzure, principal: Principal) -> WorkspaceOperations:
    workspace = azure.workspace
    return MLClient(credential_of(principal), workspace.subscription_id, workspace.resource_group).workspaces


class TestEntra:
    def test_gives_a_token_for_the_right_secret(self, azure: EmulatedAzure) -> None:
        token = credential_of(azure.principal).get_token(SCOPE)

        assert token.token
        assert len(azure.journal.of("login.microsoftonline.com", "oauth2/v2.0/token")) == 1

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"client_secret": "wrong"}, "AADSTS7000215"),
            ({"client_id": "11111111-1111-1111-1111-111111111111"}, "AADSTS700016"),
        ],
    )
    def test_refuses_as_entra_does(self, azure: EmulatedAzure, changes: dict[str, str], code: str) -> None:
        with pytest.raises(ClientAuthenticationError, match=code):
            credential_of(azure.principal, **changes).get_token(SCOPE)

    def test_does_not_know_a_tenant_of_elsewhere(self, azure: EmulatedAzure) -> None:
        tenant = "11111111-1111-1111-1111-111111111111"
        answer = requests.post(
            f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
            data={"grant_type": "client_credentials"},
            timeout=300,
        )

        assert answer.status_code == 400
        assert answer.json()["error_codes"] == [90002]
        with pytest.raises(ClientAuthenticationError):
            credential_of(azure.principal, tenant_id=tenant).get_token(SCOPE)

    def test_a_secret_never_shows_in_a_repr(self, azure: EmulatedAzure) -> None:
        assert azure.principal.client_secret not in repr(azure.principal)


class TestResourceManager:
    def test_knows_the_workspace(self, azure: EmulatedAzure) -> None:
        found = workspaces(azure, azure.principal).get(azure.workspace.name)

        assert found.id == azure.workspace.resource_id
        assert found.location == "westeurope"
        assert found.mlflow_tracking_uri == azure.workspace.tracking_uri
        assert not azure.journal.of("management.azure.com", "/metadata/endpoints")

    def test_knows_no_other_workspace(self, azure: EmulatedAzure) -> None:
        with pytest.raises(ResourceNotFoundError, match="ResourceNotFound"):
            workspaces(azure, azure.principal).get("elsewhere")

    def test_shows_nothing_to_a_principal_without_a_role(self, azure: EmulatedAzure) -> None:
        with pytest.raises(HttpResponseError, match="AuthorizationFailed") as caught:
            workspaces(azure, azure.stranger).get(azure.workspace.name)

        assert caught.value.status_code == 403

    def test_asks_for_a_token(self, azure: EmulatedAzure) -> None:
        url = f"https://management.azure.com{azure.workspace.resource_id}"

        assert requests.get(url, timeout=300).status_code == 401

    @pytest.mark.parametrize(
        ("version", "code"),
        [("", "MissingApiVersionParameter"), ("?api-version=latest", "InvalidApiVersionParameter")],
    )
    def test_asks_for_the_version_of_its_api(self, azure: EmulatedAzure, version: str, code: str) -> None:
        token = credential_of(azure.principal).get_token("https://management.azure.com/.default").token

        answer = requests.get(
            f"https://management.azure.com{azure.workspace.resource_id}{version}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=300,
        )

        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)

    def test_tells_the_plugin_about_clouds(
        self, azure: EmulatedAzure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AZUREML_CURRENT_CLOUD")

        cloud = _get_cloud_or_default()

        assert cloud.name == "AzureCloud"
        assert len(azure.journal.of("management.azure.com", "/metadata/endpoints")) == 1


class TestTracking:
    def test_keeps_runs(self, client: mlflow.MlflowClient, run_id: str) -> None:
        client.log_metric(run_id, "loss", 0.5, step=1)
        client.log_param(run_id, "depth", 3)
        client.set_tag(run_id, "team", "red")

        data = client.get_run(run_id).data

        assert data.metrics == {"loss": 0.5}
        assert data.params == {"depth": "3"}
        assert data.tags["team"] == "red"

    def test_places_artifacts_where_the_plugin_finds_them(
        self, azure: EmulatedAzure, client: mlflow.MlflowClient, run_id: str
    ) -> None:
        info = client.get_run(run_id).info

        assert info.artifact_uri == (
            f"{azure.workspace.tracking_uri}/experiments/{info.experiment_id}/runs/{run_id}/artifacts"
        )

    def test_has_guids_for_ids(self, client: mlflow.MlflowClient, run_id: str) -> None:
        experiment_id = client.get_run(run_id).info.experiment_id

        assert [str(UUID(each)) for each in (run_id, experiment_id)] == [run_id, experiment_id]
        assert client.get_experiment(experiment_id).experiment_id == experiment_id
        found = client.search_runs([experiment_id], f"attributes.run_id = '{run_id}'")
        assert [run.info.run_id for run in found] == [run_id]

    @pytest.mark.parametrize("run_id", ["0" * 32, "calm_cart_7x1", str(UUID(int=7))])
    def test_knows_no_run_of_another_id(self, client: mlflow.MlflowClient, run_id: str) -> None:
        with pytest.raises(RestException) as error:
            client.get_run(run_id)

        assert error.value.error_code == "RESOURCE_DOES_NOT_EXIST"

    def test_knows_the_run_of_a_job_by_its_name(
        self, azure: EmulatedAzure, client: mlflow.MlflowClient, run_id: str
    ) -> None:
        experiment = client.get_experiment(client.get_run(run_id).info.experiment_id).name
        azure.ids.know_as_job(run_id, "calm_cart_7x1", experiment)

        run = client.get_run("calm_cart_7x1")
        client.log_text(run.info.run_id, "x", "x.txt")

        assert run.info.run_id == "calm_cart_7x1"
        assert run.info.artifact_uri.endswith(f"/experiments/{experiment}/runs/calm_cart_7x1/artifacts")
        assert [file.path for file in client.list_artifacts("calm_cart_7x1")] == ["x.txt"]

    def test_takes_0_for_the_default_experiment_of_a_new_run_and_for_nothing_else(
        self, client: mlflow.MlflowClient
    ) -> None:
        run = client.create_run("0")

        default = client.get_experiment_by_name("Default")
        assert default is not None
        assert run.info.experiment_id == default.experiment_id
        assert "/experiments/0/runs/" in run.info.artifact_uri
        assert client.get_run(run.info.run_id).info.artifact_uri == run.info.artifact_uri
        for ask in (lambda: client.get_experiment("0"), lambda: client.search_runs(["0"])):
            with pytest.raises(RestException, match="RESOURCE_DOES_NOT_EXIST"):
                ask()

    def test_finds_artifacts_by_an_experiments_id_and_name_and_by_0(
        self, azure: EmulatedAzure, client: mlflow.MlflowClient
    ) -> None:
        run = client.create_run("0")
        client.log_text(run.info.run_id, "x", "x.txt")
        history = f"/history/v1.0{azure.workspace.resource_id}/experiments"

        for experiment in ("0", run.info.experiment_id, "Default"):
            answer = get(azure, f"{history}/{experiment}/runs/{run.info.run_id}/artifacts")
            assert [item["path"] for item in answer.json()["value"]] == ["x.txt"]
        elsewhere = client.create_experiment(f"elsewhere-{time.time_ns()}")
        assert get(azure, f"{history}/{elsewhere}/runs/{run.info.run_id}/artifacts").status_code == 404

    def test_drops_source_tags_of_a_new_run_and_keeps_them_later(self, client: mlflow.MlflowClient) -> None:
        run = client.create_run("0", tags={"mlflow.source.name": "train.py", "team": "red"})
        assert "mlflow.source.name" not in client.get_run(run.info.run_id).data.tags

        client.set_tag(run.info.run_id, "mlflow.source.name", "train.py")

        tags = client.get_run(run.info.run_id).data.tags
        assert (tags["mlflow.source.name"], tags["team"]) == ("train.py", "red")

    def test_tells_of_the_caller_and_then_of_the_login(self, azure: EmulatedAzure) -> None:
        made = post(
            azure,
            "runs/create",
            {
                "experiment_id": "0",
                "run_name": "first",
                "tags": [{"key": "mlflow.user", "value": "ada"}],
            },
        ).json()["run"]

        assert [(tag["key"], tag["value"]) for tag in made["data"]["tags"]] == [
            ("mlflow.user", "ada"),
            ("mlflow.rootRunId", made["info"]["run_id"]),
            ("mlflow.runName", "first"),
            ("mlflow.user", azure.principal.display_name),
        ]

    def test_an_updated_run_has_no_address(self, azure: EmulatedAzure, run_id: str) -> None:
        answer = post(azure, "runs/update", {"run_id": run_id, "status": "FINISHED"}).json()

        assert answer["run_info"]["status"] == "FINISHED"
        assert "artifact_uri" not in answer["run_info"]

    def test_says_what_is_wrong_where_mlflows_client_does_not_look(self, azure: EmulatedAzure) -> None:
        answer = post(azure, "experiments/create", {"name": "with blanks"})

        told = answer.json()
        assert answer.status_code == told["statusCode"] == 400
        assert told["Error"]["Code"] == "ValidationError"
        assert told["Error"]["Message"].startswith("Experiment name 'with blanks' must be")
        assert (told["error_code"], told["ComponentName"]) == ("INVALID_PARAMETER_VALUE", "mlflow")
        assert "message" not in told

    def test_experiments_have_neither_a_place_of_their_own_nor_a_new_name(
        self, client: mlflow.MlflowClient
    ) -> None:
        name = f"kept-{time.time_ns()}"
        with pytest.raises(RestException, match="artifact_location is not supported"):
            client.create_experiment(name, artifact_location="dbfs:/somewhere")
        experiment_id = client.create_experiment(name)
        with pytest.raises(RestException, match="Renaming experiments is not supported"):
            client.rename_experiment(experiment_id, "other")

    def test_keeps_metrics_logged_in_the_background(self, client: mlflow.MlflowClient, run_id: str) -> None:
        client.log_metric(run_id, "loss", 0.25, synchronous=False)
        mlflow.flush_async_logging()

        assert client.get_run(run_id).data.metrics == {"loss": 0.25}

    def test_gives_no_large_page(self, client: mlflow.MlflowClient) -> None:
        with pytest.raises(RestException, match="at most 1000"):
            client.search_runs([client.create_experiment(f"paged-{time.time_ns()}")], max_results=1001)

    def test_finds_registered_models_by_exact_name_only(self, azure: EmulatedAzure) -> None:
        search = f"/mlflow/v2.0{azure.workspace.resource_id}/api/2.0/mlflow/registered-models/search?filter="

        assert get(azure, search + "name = 'churn'").status_code == 200
        assert (
            get(azure, search + "name LIKE 'ch%'")
            .json()["Error"]["Message"]
            .startswith("Currently unsupported")
        )

    def test_knows_no_field_of_mlflow_3(self, client: mlflow.MlflowClient, run_id: str) -> None:
        with pytest.raises(RestException, match="Unknown field: model_id"):
            client.log_metric(run_id, "loss", 1, model_id="m-1")

    def test_takes_a_name_with_a_slash_and_then_never_finds_it(self, client: mlflow.MlflowClient) -> None:
        client.create_experiment("/Users/ann@contoso.com/churn")

        assert client.get_experiment_by_name("/Users/ann@contoso.com/churn") is None
        with pytest.raises(RestException, match="ALREADY_EXISTS"):
            client.create_experiment("/Users/ann@contoso.com/churn")

    def test_takes_no_name_against_the_rule(self, client: mlflow.MlflowClient) -> None:
        with pytest.raises(RestException, match="INVALID_PARAMETER_VALUE"):
            client.create_experiment("with blanks")

    def test_has_no_logged_models(self, client: mlflow.MlflowClient, run_id: str) -> None:
        with (
            mlflow.start_run(run_id),
            pytest.raises(MlflowException, match="logged-models failed with error code 404"),
        ):
            mlflow.pyfunc.log_model(name="model", python_model=Echo())

    @pytest.mark.parametrize("api", ["/api/3.0/mlflow/traces", "/api/2.0/mlflow/traces"])
    def test_has_no_traces(self, azure: EmulatedAzure, api: str) -> None:
        answer = get(azure, f"/mlflow/v2.0{azure.workspace.resource_id}{api}")

        assert answer.status_code == 404

    def test_serves_its_own_workspace_only(self, azure: EmulatedAzure) -> None:
        elsewhere = azure.workspace.resource_id.replace(azure.workspace.name, "elsewhere")

        assert get(azure, f"/mlflow/v2.0{elsewhere}/api/2.0/mlflow/runs/get").status_code == 404


class TestTokens:
    def test_no_token_no_service(self, azure: EmulatedAzure) -> None:
        answer = requests.get(f"https://{azure.workspace.cloud.api_host}/mlflow", timeout=300)

        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "AuthenticationFailed"

    def test_a_token_expires(self, azure: EmulatedAzure, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(azure.tokens, "lifetime", -1)

        answer = get(azure, f"/mlflow/v2.0{azure.workspace.resource_id}")

        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "ExpiredAuthenticationToken"

    def test_a_role_is_needed(self, azure: EmulatedAzure) -> None:
        path = f"/mlflow/v2.0{azure.workspace.resource_id}"

        assert get(azure, path, azure.stranger).status_code == 403


class TestArtifacts:
    def test_a_folder_comes_back_as_it_went(
        self, client: mlflow.MlflowClient, run_id: str, tmp_path: Path
    ) -> None:
        sent = {
            "plain.txt": b"plain",
            "empty": b"",
            "nested/b/c/deep.bin": bytes(range(256)),
            "with blank/100% #1 + ümläut ' 日本.txt": b"odd",
            "already%20quoted.txt": b"quoted",
        }
        for name, content in sent.items():
            (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "in" / name).write_bytes(content)

        client.log_artifacts(run_id, str(tmp_path / "in"), "folder")
        back = Path(client.download_artifacts(run_id, "folder", str(tmp_path)))

        files = [path for path in back.rglob("*") if path.is_file()]
        assert {p.relative_to(back).as_posix(): p.read_bytes() for p in files} == sent

    def test_a_list_has_pages(
        self,
        azure: EmulatedAzure,
        client: mlflow.MlflowClient,
        run_id: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(artifacts, "PAGE_SIZE", 2)
        for name in ("a", "b", "c", "d", "e"):
            client.log_text(run_id, name, name)
        azure.journal.clear()

        names = [file.path for file in client.list_artifacts(run_id)]

        assert names == ["a", "b", "c", "d", "e"]
        assert len(azure.journal.of("*", f"{run_id}/artifacts")) == 3

    def test_an_artifact_is_written_once(self, client: mlflow.MlflowClient, run_id: str) -> None:
        client.log_text(run_id, "first", "notes.txt")

        with pytest.raises(Exception, match=f"dcid.{run_id}/notes.txt already exists"):
            client.log_text(run_id, "second", "notes.txt")

    def test_where_all_artifacts_are_kept_one_is_written_again_and_deleted(
        self, azure: EmulatedAzure, client: mlflow.MlflowClient, run_id: str
    ) -> None:
        client.log_text(run_id, "first", "notes.txt")
        folder = f"/artifact/v2.0{azure.workspace.resource_id}/artifacts/ExperimentRun/dcid.{run_id}"

        address = get(azure, f"{folder}/write?path=notes.txt").json()["contentUri"]
        requests.put(address, b"second", headers={"x-ms-blob-type": "BlockBlob"}, timeout=300)
        assert client.list_artifacts(run_id)
        assert Path(client.download_artifacts(run_id, "notes.txt")).read_text() == "second"

        requests.post(
            f"https://{azure.workspace.cloud.api_host}{folder}/batch/metadata:delete",
            json={"paths": [{"path": "notes.txt"}]},
            headers={"Authorization": f"Bearer {token(azure)}"},
            timeout=300,
        )
        assert client.list_artifacts(run_id) == []

    def test_a_large_file_is_streamed(self, client: mlflow.MlflowClient, run_id: str, tmp_path: Path) -> None:
        large = tmp_path / "large.bin"
        large.write_bytes(os.urandom(1 << 20) * 100)

        before = psutil.Process().memory_info().rss
        client.log_artifact(run_id, str(large))
        back = Path(client.download_artifacts(run_id, "large.bin", str(tmp_path / "back")))
        grown = psutil.Process().memory_info().rss - before

        assert back.read_bytes() == large.read_bytes()
        assert grown < large.stat().st_size

    def test_a_prefix_gives_signed_addresses(
        self, azure: EmulatedAzure, client: mlflow.MlflowClient, run_id: str
    ) -> None:
        client.log_text(run_id, "yes", "model/MLmodel")
        client.log_text(run_id, "no", "other.txt")
        experiment = client.get_run(run_id).info.experiment_id
        run = f"/history/v1.0{azure.workspace.resource_id}/experiments/{experiment}/runs/{run_id}"

        listed = get(azure, f"{run}/artifacts/prefix/contentinfo?path=model").json()["value"]

        assert [item["path"] for item in listed] == ["model/MLmodel"]
        assert requests.get(listed[0]["contentUri"], timeout=300).text == "yes"

    def test_a_batch_holds_a_hundred(
        self, azure: EmulatedAzure, client: mlflow.MlflowClient, run_id: str
    ) -> None:
        experiment = client.get_experiment(client.get_run(run_id).info.experiment_id).name
        run = f"/history/v1.0{azure.workspace.resource_id}/experiments/{experiment}/runs/{run_id}"
        url = f"https://{azure.workspace.cloud.api_host}{run}/artifacts/batch/metadata"

        def create(count: int) -> int:
            paths = [{"path": f"{count}-{i}"} for i in range(count)]
            headers = {"Authorization": f"Bearer {token(azure)}"}
            return requests.post(url, json={"paths": paths}, headers=headers, timeout=300).status_code

        assert create(100) == 200
        assert create(101) == 400


class TestRegistry:
    def test_a_model_of_a_run_is_loaded_by_name(
        self, client: mlflow.MlflowClient, run_id: str, tmp_path: Path
    ) -> None:
        mlflow.pyfunc.save_model(tmp_path / "model", python_model=Echo(), pip_requirements=[])
        client.log_artifacts(run_id, str(tmp_path / "model"), "model")
        client.create_registered_model("of-a-run")
        source = f"{client.get_run(run_id).info.artifact_uri}/model"

        version = client.create_model_version("of-a-run", source, run_id)

        assert version.version in ("1", 1)
        assert mlflow.pyfunc.load_model("models:/of-a-run/1").predict([7]) == [7]

    def test_a_model_of_a_local_folder_is_loaded_by_name(
        self, azure: EmulatedAzure, client: mlflow.MlflowClient, tmp_path: Path
    ) -> None:
        mlflow.pyfunc.save_model(tmp_path / "model", python_model=Echo(), pip_requirements=[])
        client.create_registered_model("local")

        version = client.create_model_version("local", f"file://{tmp_path}/model")

        assert str(version.source).startswith("azureml://artifacts/LocalUpload/")
        assert azure.journal.of("*", "/artifact/v2.0")
        assert mlflow.pyfunc.load_model("models:/local/1").predict([7]) == [7]

    @pytest.mark.parametrize("name", ["a b", "a(b)", "größe", ""])
    def test_a_name_is_plain(self, azure: EmulatedAzure, name: str) -> None:
        answer = post(azure, "registered-models/create", {"name": name})

        assert answer.status_code == 400
        assert answer.json()["Error"]["Message"].startswith("Model name ")

    @pytest.mark.parametrize(("key", "value"), [("team:owner", "ada"), ("accuracy", "0.5"), ("rank", "1")])
    def test_a_versions_tags_are_plain(
        self, client: mlflow.MlflowClient, run_id: str, key: str, value: str
    ) -> None:
        name = f"tagged-{time.time_ns()}"
        client.create_registered_model(name, tags={key: value})
        source = f"{client.get_run(run_id).info.artifact_uri}/model"

        with pytest.raises(RestException, match="is not allowed"):
            client.create_model_version(name, source, run_id, tags={key: value})
        client.create_model_version(name, source, run_id, tags={"team": "red"})
        with pytest.raises(RestException, match="is not allowed"):
            client.set_model_version_tag(name, "1", key, value)

    def test_a_model_has_so_many_files(
        self, client: mlflow.MlflowClient, run_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(registry, "FILES", 2)
        for file in ("a", "b", "c"):
            client.log_text(run_id, file, f"model/{file}")
        client.create_registered_model(f"large-{run_id}")
        source = f"{client.get_run(run_id).info.artifact_uri}/model"

        with pytest.raises(RestException, match="at most 2 files; this one has 3"):
            client.create_model_version(f"large-{run_id}", source, run_id)


class TestOrganisationsRegistry:
    def test_the_plugin_uploads_a_models_files(self, azure: EmulatedAzure, tmp_path: Path) -> None:
        (tmp_path / "model").mkdir()
        (tmp_path / "model/MLmodel").write_text("flavors: {}")
        context = SimpleNamespace(
            registry_name="shared", auth=credential_of(azure.principal), cloud=_get_cloud_or_default()
        )

        registered = RegistryArtifactClient(context, None)
        first = registered.upload_dir(str(tmp_path / "model"), "churn")
        registered.upload_dir(str(tmp_path / "model"), "churn")

        container = azure.registries.containers["churn/1"]
        assert first == f"https://{azure.workspace.storage_account}.blob.core.windows.net/{container}/model/"
        assert azure.registries.azurite.files(container) == {"model/MLmodel": b"flavors: {}"}
        assert "churn/2" in azure.registries.containers


class TestOnlineEndpoints:
    def test_the_plugin_finds_the_endpoint_that_there_is(self, azure: EmulatedAzure) -> None:
        workspace, cloud = azure.workspace, _get_cloud_or_default()
        context = SimpleNamespace(
            auth=credential_of(azure.principal),
            cloud=cloud,
            subscription_id=workspace.subscription_id,
            resource_group_name=workspace.resource_group,
            workspace_name=workspace.name,
        )
        endpoints = MirDeploymentClient(context)

        (found,) = endpoints.list_endpoints()
        answer = requests.post(
            found["properties"]["scoringUri"],
            json={"input_data": {"data": [[1], [2]]}},
            headers={"Authorization": f"Bearer {endpoints._list_keys(found['name']).primary_key}"},
            timeout=300,
        )

        assert answer.json() == [1, 1]
        with pytest.raises(ResourceNotFoundError):
            endpoints.get_endpoint("churn")

    def test_a_key_is_needed(self, azure: EmulatedAzure) -> None:
        host = azure.workspace.cloud.scoring_hosts.replace("*", "scored")

        assert requests.post(f"https://{host}/score", json={}, timeout=300).status_code == 401


class TestFaults:
    def test_an_answer_of_choice_as_often_as_wished(
        self, azure: EmulatedAzure, client: mlflow.MlflowClient, run_id: str
    ) -> None:
        azure.faults.add("*.api.azureml.ms", "runs/get", status=429, times=2)
        azure.journal.clear()

        client.get_run(run_id)

        assert [r.status for r in azure.journal.of("*", "runs/get")] == [429, 429, 200]

    def test_headers_and_delay(self, azure: EmulatedAzure) -> None:
        azure.faults.add("management.azure.com", status=503, headers={"Retry-After": "9"}, delay=0.3)

        answer = requests.get("https://management.azure.com/metadata/endpoints", timeout=300)

        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "9")
        assert azure.journal[-1].seconds > 0.3

    def test_a_hang(self, azure: EmulatedAzure) -> None:
        azure.faults.add("login.microsoftonline.com", hang=True)

        with pytest.raises(requests.ReadTimeout):
            requests.get("https://login.microsoftonline.com/common/discovery/instance", timeout=(300, 0.5))


class TestTunnel:
    def test_no_other_host_is_reached(self, azure: EmulatedAzure) -> None:
        for url in ("https://example.com/", "http://169.254.169.254/metadata"):
            with pytest.raises(requests.RequestException):
                requests.get(url, timeout=300).raise_for_status()

        assert [r.host for r in azure.journal.refused] == ["example.com", "169.254.169.254"]

    def test_the_journal_counts_by_host(self, azure: EmulatedAzure) -> None:
        credential_of(azure.principal).get_token(SCOPE)

        assert azure.journal.hosts() == {"login.microsoftonline.com": 2}

    def test_a_sovereign_cloud_has_hosts_of_its_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with EmulatedAzure(tmp_path, cloud=US_GOVERNMENT) as azure:
            for name, value in azure.environment.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "AzureUSGovernment")
            workspace = azure.workspace
            credential = credential_of(azure.principal, authority="login.microsoftonline.us")
            client = MLClient(
                credential,
                workspace.subscription_id,
                workspace.resource_group,
                cloud="AzureUSGovernment",
            )

            found = client.workspaces.get(workspace.name)

            assert found.mlflow_tracking_uri == workspace.tracking_uri
            assert "usgovarizona.api.ml.azure.us" in workspace.tracking_uri
            assert set(azure.journal.hosts()) == {
                "login.microsoftonline.us",
                "management.usgovcloudapi.net",
            }


class TestLife:
    def test_nothing_outlives_it(self, tmp_path: Path) -> None:
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        with subprocess.Popen(
            [sys.executable, "-m", "tests.emulated.azure"],
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as emulator:
            assert emulator.stdout is not None
            while not emulator.stdout.readline().startswith("# MLflow's own page"):
                assert emulator.poll() is None
            children = psutil.Process(emulator.pid).children(recursive=True)

            emulator.send_signal(signal.SIGKILL)
            _, alive = psutil.wait_procs(children, timeout=300)

        assert len(children) >= 4
        assert not alive


class Echo(PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input


def token(azure: EmulatedAzure, principal: Principal | None = None) -> str:
    return credential_of(principal or azure.principal).get_token(SCOPE).token


def post(azure: EmulatedAzure, endpoint: str, fields: dict[str, Any]) -> requests.Response:
    """Ask MLflow's API as a client of no judgement of its own does."""
    url = f"https://{azure.workspace.cloud.api_host}/mlflow/v2.0{azure.workspace.resource_id}"
    headers = {"Authorization": f"Bearer {token(azure)}"}
    return requests.post(f"{url}/api/2.0/mlflow/{endpoint}", json=fields, headers=headers, timeout=300)


def get(azure: EmulatedAzure, path: str, principal: Principal | None = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {token(azure, principal)}"}
    return requests.get(f"https://{azure.workspace.cloud.api_host}{path}", headers=headers, timeout=300)
