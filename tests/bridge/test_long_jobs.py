"""What hours of work meet: tokens that expire, a service that is busy, much data, an end in the middle."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed, printed_alone

pytestmark = pytest.mark.parametrize(
    "version", [pytest.param("2.21.3", marks=pytest.mark.thorough), "3.17.2"]
)

TOKEN = "/oauth2/v2.0/token"
API = "westeurope.api.azureml.ms"
BLOBS = "*.blob.core.windows.net"
BUSY = (429, 503)


def test_a_token_that_expires_in_the_middle_is_renewed(version: str, azure: EmulatedAzure) -> None:
    # Given tokens that live shorter than the job
    lifetime, azure.tokens.lifetime = azure.tokens.lifetime, 5
    try:
        code = """
            import json, mlflow, time
            with mlflow.start_run() as run:
                for step in range(4):
                    mlflow.log_metric("loss", step, step=step)
                    mlflow.log_text("x", f"at/{step}.txt")
                    time.sleep(2)
            client = mlflow.MlflowClient()
            print(json.dumps([len(client.get_metric_history(run.info.run_id, "loss")),
                              len(client.list_artifacts(run.info.run_id, "at"))]))
            """

        # Then nothing is missing
        assert printed(version, azure, code) == [4, 4]
    finally:
        azure.tokens.lifetime = lifetime
    assert len(azure.journal.of("*", TOKEN)) > 1
    assert [request for request in azure.journal if request.status == 401] == []


def test_a_busy_service_is_asked_again(version: str, azure: EmulatedAzure) -> None:
    # Given a service that refuses each kind of request in two ways, and says when to come back
    for path in (
        "runs/create",
        "runs/log-batch",
        "artifacts/batch/metadata",
        "prefix/contentinfo",
        "registered-models/create",
    ):
        for status in BUSY:
            azure.faults.add(API, path, status=status, headers={"Retry-After": "1"}, times=1)
    # Blob storage's word for it: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
    azure.faults.add(BLOBS, "notes.txt", status=503, times=2)
    code = """
        import json, mlflow
        with mlflow.start_run() as run:
            mlflow.log_metrics({"a": 1, "b": 2})
            mlflow.log_text("kept", "notes.txt")
        client = mlflow.MlflowClient()
        client.create_registered_model("busy-" + run.info.run_id)
        print(json.dumps([client.get_run(run.info.run_id).data.metrics,
                          mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes.txt")]))
        """

    # Then the user sees nothing of it
    assert printed(version, azure, code) == [{"a": 1, "b": 2}, "kept"]
    refused = Counter(r.path.rpartition("/")[2] for r in azure.journal if r.host == API and r.status in BUSY)
    assert refused["create"] == 4
    assert refused["log-batch"] == refused["metadata"] == refused["contentinfo"] == 2


def test_asynchronous_logging_loses_nothing_at_exit(version: str, azure: EmulatedAzure) -> None:
    azure.faults.add(API, "log-batch", status=429, headers={"Retry-After": "1"}, times=1)
    code = """
        import json, mlflow
        run = mlflow.start_run()
        for step in range(1000):
            mlflow.log_metric("loss", step, step=step)
        mlflow.log_params({f"p{i}": i for i in range(250)})
        print(json.dumps(run.info.run_id))
        """

    run_id = printed_alone(version, azure, code, MLFLOW_ENABLE_ASYNC_LOGGING="true")

    # Then few requests have taken them, and all are there
    assert len(azure.journal.of(API, "log-batch")) < 100
    count = f"""
        import json, mlflow
        client = mlflow.MlflowClient()
        run = client.get_run({run_id!r})
        print(json.dumps([len(client.get_metric_history({run_id!r}, "loss")), len(run.data.params)]))
        """
    assert printed(version, azure, count) == [1000, 250]


def test_a_file_of_300_mb_goes_and_comes_in_little_memory(version: str, azure: EmulatedAzure) -> None:
    code = """
        import hashlib, json, mlflow, os, pathlib, resource, tempfile
        from mlflow.tracking import MlflowClient

        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

        def digest(path):
            with open(path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

        with tempfile.TemporaryDirectory() as scratch, mlflow.start_run() as run:
            big = pathlib.Path(scratch, "big.bin")
            block = os.urandom(1 << 20)
            with big.open("wb") as file:
                for _ in range(300):
                    file.write(block)
            mlflow.log_text("warm", "warm.txt")
            before = peak()
            mlflow.log_artifact(str(big), "large")
            back = mlflow.artifacts.download_artifacts(
                f"runs:/{run.info.run_id}/large/big.bin", dst_path=scratch
            )
            print(json.dumps([peak() - before, digest(big) == digest(back), os.path.getsize(back) >> 20]))
        """

    megabytes, same, size = printed_alone(version, azure, code)

    assert (same, size) == (True, 300)
    assert megabytes < 100
