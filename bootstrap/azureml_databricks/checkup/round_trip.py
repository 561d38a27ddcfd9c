"""A small run, an artifact and a registered model: written, read back and deleted.

MLflow's client is used with addresses of its own, so what a notebook has set or begun is neither used nor
changed.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_databricks.checkup.findings import Finding, Part
from azureml_databricks.checkup.workspace import unreachable
from azureml_databricks.node import variables

if TYPE_CHECKING:
    from mlflow import MlflowClient

PART = Part("round trip")
CLEAN_UP = Part("clean-up")
NAME = "azureml-databricks-doctor"
_TEXT = "written by azureml-databricks doctor"
_LIMIT_SECONDS = 5
# Else MLflow would ask a host that does not answer for many minutes, and print where the run is to be seen.
MLFLOW_VARIABLES = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class _UnreachableError(Exception):
    """A host that the cluster's network does not lead to."""


class RoundTrip:
    """What was made, so that it can be used meanwhile and be deleted at the end.

    Attributes:
        run_id: the run's, empty where there is none.
    """

    def __init__(self) -> None:
        """Make nothing yet."""
        self.run_id = ""
        self._artifacts = ""
        self._version = ""

    def findings(self) -> Iterator[Finding]:
        """Yield what came of each step; none is tried after one that fails."""
        mode = variables.settings_now()["mode"]
        steps: list[tuple[str, Callable[[], str]]] = []
        if mode != "registry":
            steps += [("run", self._log), ("artifact", self._write)]
        if mode != "tracking":
            steps += [("registered model", self._register)]
        for what, step in steps:
            started = time.perf_counter()
            try:
                with _mlflow_in_a_hurry():
                    detail = step()
            except _UnreachableError as error:
                yield PART.wrong(what, str(error), "open that host for the cluster's network")
                return
            except Exception as error:  # noqa: BLE001  # whatever goes wrong is what we look for
                yield PART.wrong(what, f"{type(error).__name__}: {error}", _advice(error))
                return
            yield PART.ok(what, f"{detail}, in {time.perf_counter() - started:.1f} s")

    def clean_up(self) -> Iterator[Finding]:
        """Delete what was made, and yield what stays."""
        gone, stays = [], []
        steps: list[tuple[str, str, Callable[[], None]]] = [
            ("version", self._version, self._delete_version),
            ("run", self.run_id, self._delete_run),
        ]
        for what, name, delete in steps:
            if not name:
                continue
            try:
                with _mlflow_in_a_hurry():
                    delete()
            except Exception as error:  # noqa: BLE001  # likewise
                yield CLEAN_UP.wrong(what, f"{name} stays ({error})", "delete it in the studio")
            else:
                gone.append(f"{what} {name}")
                stays.append("registered model" if what == "version" else "experiment")
        if gone:
            yield CLEAN_UP.ok("deleted", " and ".join(gone))
            yield CLEAN_UP.ok("stays", f"{' and '.join(stays)} {NAME}, which Azure ML cannot delete")

    def metrics(self) -> set[str]:
        """Return the names of the metrics that the run has by now."""
        with _mlflow_in_a_hurry():
            return set(self._client().get_run(self.run_id).data.metrics)

    def _client(self) -> MlflowClient:
        from mlflow import MlflowClient

        uri = variables.settings_now().workspace().tracking_uri
        return MlflowClient(tracking_uri=uri, registry_uri=uri)

    def _delete_version(self) -> None:
        self._client().delete_model_version(NAME, self._version)

    def _delete_run(self) -> None:
        self._client().set_terminated(self.run_id)
        self._client().delete_run(self.run_id)

    def _log(self) -> str:
        client = self._client()
        found = client.get_experiment_by_name(NAME)
        experiment_id = found.experiment_id if found else client.create_experiment(NAME)
        run = client.create_run(experiment_id)
        self.run_id, self._artifacts = run.info.run_id, run.info.artifact_uri
        client.log_param(self.run_id, "asked_by", "doctor")
        client.log_metric(self.run_id, "answer", 42.0)
        data = client.get_run(self.run_id).data
        _compare(data.params.get("asked_by"), "doctor")
        _compare(data.metrics.get("answer"), 42.0)
        return f"{self.run_id} in experiment {NAME}: a param and a metric are as they were written"

    def _write(self) -> str:
        storage = self._reach_storage()
        client = self._client()
        client.log_text(self.run_id, _TEXT, "doctor.txt")
        with tempfile.TemporaryDirectory() as scratch:
            _compare(Path(client.download_artifacts(self.run_id, "doctor.txt", scratch)).read_text(), _TEXT)
        return f"doctor.txt in {storage} is as it was written"

    def _reach_storage(self) -> str:
        """Return the host of the workspace's storage; its own client would knock for minutes."""
        import requests

        from azureml_databricks.bridge.artifacts import Container

        (address,) = Container.at(self._artifacts).create(["doctor-storage.txt"]).values()
        host = address.split("/")[2]
        try:
            requests.head(f"https://{host}/", timeout=_LIMIT_SECONDS)
        except requests.RequestException as error:
            raise _UnreachableError(f"the workspace's storage {unreachable(host, error)}") from error
        return host

    def _register(self) -> str:
        from mlflow.exceptions import MlflowException
        from mlflow.models.model import Model

        client = self._client()
        model = Model(artifact_path="model", run_id=self.run_id or None).to_yaml()
        try:
            client.create_registered_model(NAME)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        with tempfile.TemporaryDirectory() as scratch:
            if self.run_id:
                client.log_text(self.run_id, model, "model/MLmodel")
                source = f"{self._artifacts}/model"
            else:
                Path(scratch, "MLmodel").write_text(model)
                source = scratch
            # To read it back is all the waiting that it needs.
            made = client.create_model_version(NAME, source, self.run_id or None, await_creation_for=0)
            self._version = made.version
        with tempfile.TemporaryDirectory() as scratch:
            _compare(_downloaded(client.get_model_version_download_uri(NAME, self._version), scratch), model)
        return f"{NAME}, version {self._version}, is as it was written"


def _downloaded(address: str, scratch: str) -> str:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    folder = get_artifact_repository(address).download_artifacts("", scratch)
    return Path(folder, "MLmodel").read_text()


def _compare(read: object, written: object) -> None:
    if read != written:
        raise ValueError(f"read back is {read!r}, and {written!r} was written")


def _advice(error: Exception) -> str:
    if "403" in str(error) or "authorization" in str(error):
        return "give the login the role AzureML Data Scientist on the workspace: it may read, and not write"
    return "try again; if it stays so, the line names what Azure ML refuses"


@contextmanager
def _mlflow_in_a_hurry() -> Iterator[None]:
    """Let MLflow give up soon in this process, and say nothing."""
    before = {name: os.environ.get(name) for name in MLFLOW_VARIABLES}
    os.environ.update(MLFLOW_VARIABLES)
    try:
        yield
    finally:
        for name, text in before.items():
            os.environ.pop(name)
            if text is not None:
                os.environ[name] = text
