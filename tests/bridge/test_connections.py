"""How many connections the artifacts of a run take, each with a TLS handshake that a user waits for."""

from __future__ import annotations

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed, printed_alone

VERSIONS = pytest.mark.parametrize("version", [pytest.param("2.9.2", marks=pytest.mark.thorough), "3.17.2"])
# At most so many transfers go on at once, each over a connection.
AT_ONCE = 32
API = "westeurope.api.azureml.ms"


@VERSIONS
def test_many_artifacts_go_over_few_connections(version: str, azure: EmulatedAzure) -> None:
    # Given a folder of many files, uploaded, listed and downloaded
    code = """
        import json, mlflow, pathlib, tempfile
        with mlflow.start_run() as run, tempfile.TemporaryDirectory() as scratch:
            for number in range(120):
                pathlib.Path(scratch, f"{number}.txt").write_text(str(number))
            mlflow.log_artifacts(scratch, "many")
        back = pathlib.Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="many"))
        print(json.dumps(sorted(int(file.read_text()) for file in back.iterdir())))
        """
    azure.journal.clear()

    # When each takes a moment, as over a network
    azure.faults.add("*.blob.core.windows.net", delay=0.1)
    try:
        assert printed(version, azure, code) == list(range(120))
    finally:
        azure.faults.clear()

    # Then many go at once, each file in one request, and the paths of a hundred in one
    storage = sum(count for host, count in azure.journal.connections().items() if ".blob." in host)
    assert AT_ONCE / 2 < storage <= AT_ONCE
    assert azure.journal.connections()[API] <= 5  # two hundreds of paths are asked for at once
    assert len(azure.journal.of("*.blob.core.windows.net")) == 240
    assert len(azure.journal.of(API, "artifacts/batch/metadata")) == 2


def test_a_log_of_many_texts_takes_one_connection_to_each_host(azure: EmulatedAzure) -> None:
    code = """
        import json, mlflow
        with mlflow.start_run() as run:
            for number in range(30):
                mlflow.log_text(str(number), f"{number}.txt")
        print(json.dumps([mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/{n}.txt") for n in range(30)]))
        """
    azure.journal.clear()

    assert printed("3.17.2", azure, code) == [str(number) for number in range(30)]
    assert max(azure.journal.connections().values()) <= 4


def test_a_forked_process_uses_no_connection_of_its_parent(azure: EmulatedAzure) -> None:
    # Given a process with a connection to the storage, forked
    code = """
        import json, mlflow, os
        with mlflow.start_run() as run:
            mlflow.log_text("parent", "parent.txt")
            children = []
            for number in range(3):
                children.append(os.fork())
                if not children[-1]:
                    mlflow.MlflowClient().log_text(run.info.run_id, str(number) * 100_000, f"{number}.txt")
                    os._exit(0)
            for child in children:
                os.waitpid(child, 0)
            mlflow.log_text("again", "again.txt")
        texts = [mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/{number}.txt") for number in range(3)]
        print(json.dumps([text == str(number) * 100_000 for number, text in enumerate(texts)]))
        """
    assert printed_alone("3.17.2", azure, code) == [True, True, True]


def test_what_a_parent_has_made_sends_over_its_childs_own_connections(azure: EmulatedAzure) -> None:
    # Given what MLflow's kept repositories hold, in a process that forks
    code = """
        import json, os, requests
        from azure.core.pipeline.transport import HttpRequest
        from azureml_databricks.bridge import connections

        class Used(Exception):
            pass

        def request(session, *_, **__):
            raise Used(session is connections._session.get())

        requests.Session.request = request
        made = connections.transport(1, 1)
        reading, writing = os.pipe()
        child = os.fork()
        try:
            made.send(HttpRequest("GET", "https://forecasting.blob.core.windows.net/"))
        except Used as used:
            os.write(writing, json.dumps(used.args[0]).encode() + b" ")
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
        print(json.dumps(os.read(reading, 100).decode().split()))
        """
    assert printed_alone("3.17.2", azure, code) == ["true", "true"]


def test_a_connection_that_the_service_has_closed_is_made_anew(azure: EmulatedAzure) -> None:
    # Given connections that are cut between two calls, as an idle one is by a firewall
    azure.faults.add("*.blob.core.windows.net", cut=True, skip=1, times=1)
    code = """
        import json, mlflow
        with mlflow.start_run() as run:
            mlflow.log_text("before", "before.txt")
            mlflow.log_text("after", "after.txt")
        print(json.dumps(mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/after.txt")))
        """
    try:
        assert printed("3.17.2", azure, code) == "after"
    finally:
        azure.faults.clear()
