"""What a program logs as it ends, when Python starts no thread any more."""

from __future__ import annotations

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed, printed_alone, run_alone

API = "westeurope.api.azureml.ms"

VERSIONS = pytest.mark.parametrize("version", [pytest.param("2.21.3", marks=pytest.mark.thorough), "3.17.2"])
BEGIN = """
    import json, mlflow
    mlflow.set_experiment("at-exit")
    run = mlflow.start_run()
    print(json.dumps(run.info.run_id), flush=True)
    """
LOGS_A_MODEL = """
    from sklearn.linear_model import LogisticRegression
    mlflow.sklearn.log_model(
        LogisticRegression().fit([[0.0], [1.0]], [0, 1]), "model", pip_requirements=["scikit-learn"]
    )
    mlflow.log_param("long", "x" * 600)
    """


@VERSIONS
def test_a_run_that_nobody_ends_is_ended(version: str, azure: EmulatedAzure) -> None:
    # Given a script without `with` whose run has records, of a model or of what is too long
    run_id = printed_alone(version, azure, BEGIN + LOGS_A_MODEL)

    # Then it has ended, and nothing was too much to be read for the lines at its end
    assert status(version, azure, run_id) == "FINISHED"


def test_what_is_only_printed_keeps_no_run_from_ending(azure: EmulatedAzure) -> None:
    # Given a service that does not tell of the run any more, and an output that is closed
    code = BEGIN + "import sys; sys.stdout.close()\n"
    azure.faults.add(API, "runs/get", status=400)
    done = run_alone("3.17.2", azure, code)
    azure.faults.clear()

    assert done.returncode == 0, done.stderr
    assert status("3.17.2", azure, done.stdout.strip().strip('"')) == "FINISHED"


@VERSIONS
def test_what_a_handler_at_exit_logs_is_there(version: str, azure: EmulatedAzure) -> None:
    # Given a program whose last act is to log, more than one block of it, and to read back
    code = (
        BEGIN
        + """
    import atexit, os, pathlib, tempfile

    @atexit.register
    def last():
        with tempfile.TemporaryDirectory() as scratch:
            for name in ("a", "b", "c"):
                pathlib.Path(scratch, name).write_text(name)
            pathlib.Path(scratch, "big").write_bytes(bytes(9 << 20))
            mlflow.log_artifacts(scratch, "last")
        mlflow.log_text("done", "status.txt")
        mlflow.log_metric("last", 1)
        back = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="last")
        sizes = {name: os.path.getsize(f"{back}/{name}") for name in sorted(os.listdir(back))}
        sizes["listed"] = len(mlflow.MlflowClient().list_artifacts(run.info.run_id, "last"))
        mlflow.log_dict(sizes, "sizes.json")
    """
    )
    run_id = printed_alone(version, azure, code)

    # Then all of it is there
    kept = printed(
        version,
        azure,
        f"""
        import json, mlflow
        run, uri = mlflow.get_run({run_id!r}), "runs:/{run_id}/"
        print(json.dumps([mlflow.artifacts.load_dict(uri + "sizes.json"), run.data.metrics, run.info.status,
                          mlflow.artifacts.load_text(uri + "status.txt")]))
        """,
    )
    assert kept == [{"a": 1, "b": 1, "big": 9 << 20, "c": 1, "listed": 4}, {"last": 1}, "FINISHED", "done"]


@pytest.mark.parametrize("waits", ["", "600"], ids=["at once", "by the batch"])
@VERSIONS
def test_what_is_logged_in_the_background_arrives(version: str, waits: str, azure: EmulatedAzure) -> None:
    # Given more metrics than a run has room for, under way when the program ends, and one that comes then
    code = (
        BEGIN
        + LOGS_A_MODEL
        + """
    import atexit
    atexit.register(lambda: mlflow.log_metric("last", 1, synchronous=False))
    for number in range(80):
        mlflow.log_metric(f"m{number}", number, synchronous=False)
    """
    )
    done = run_alone(
        version, azure, code, **({"MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS": waits} if waits else {})
    )
    run_id = next(line for line in done.stdout.splitlines() if line.startswith('"')).strip('"')

    assert "error" not in done.stderr.lower()
    metrics = f"import json, mlflow; print(json.dumps([sorted(mlflow.get_run({run_id!r}).data.metrics)]))"
    assert printed(version, azure, metrics) == [sorted(["last", *(f"m{number}" for number in range(80))])]
    assert status(version, azure, run_id) == "FINISHED"


@VERSIONS
def test_images_that_are_logged_in_the_background_arrive(version: str, azure: EmulatedAzure) -> None:
    # Given a program that ends when none of them can be there yet, and that logs one more as it ends
    code = (
        BEGIN
        + """
    import atexit
    from PIL import Image

    def log(step):
        mlflow.log_image(Image.new("RGB", (8, 8)), key="seen", step=step, synchronous=False)

    atexit.register(log, 6)
    for step in range(6):
        log(step)
    """
    )
    done = run_alone(version, azure, code)
    run_id = next(line for line in done.stdout.splitlines() if line.startswith('"')).strip('"')

    assert "error" not in done.stderr.lower()
    images = f"""
        import json, mlflow, re
        files = [file.path for file in mlflow.MlflowClient().list_artifacts({run_id!r}, "images")]
        steps = [int(re.search("[+%]step[+%]([0-9]+)", file)[1]) for file in files]
        print(json.dumps([steps.count(step) for step in range(7)]))
        """
    assert printed(version, azure, images) == [2] * 7


def status(version: str, azure: EmulatedAzure, run_id: str) -> str:
    code = f"import json, mlflow; print(json.dumps([mlflow.get_run({run_id!r}).info.status]))"
    found: list[str] = printed(version, azure, code)
    return found[0]
