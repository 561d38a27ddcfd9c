"""Metrics that name a logged model of MLflow 3, as a loop that evaluates checkpoints logs them."""

from __future__ import annotations

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed, run, run_alone

API = "westeurope.api.azureml.ms"
VERSION = "3.17.2"
LOG = """
    import json, mlflow, os, signal, sys
    def log(count, model_id):
        for step in range(count):
            mlflow.log_metric("loss", step, step=step, model_id=model_id)
    def points(model_id):
        return sorted(metric.step for metric in mlflow.get_logged_model(model_id).metrics)
    """


def test_many_points_of_a_model_are_few_records(azure: EmulatedAzure) -> None:
    # Given a loop that logs 200 values of a model
    code = f"""{LOG}
    from azureml_databricks.bridge import waiting_records
    waiting_records._SECONDS = 600  # a busy machine's clock would add more
    with mlflow.start_run():
        model = mlflow.initialize_logged_model(name="net")
        log(200, model.model_id)
        print(json.dumps([model.model_id, points(model.model_id)]))
    """
    azure.journal.clear()
    model_id, seen = printed(VERSION, azure, code)

    # Then this process reads all of them, and so does any other, and they are in a few records
    assert seen == list(range(200))
    assert len(azure.journal.of(API, "log-batch")) <= 205
    assert len(azure.journal.of("*.blob.core.windows.net")) <= 4
    azure.journal.clear()
    assert printed(VERSION, azure, f"{LOG}\n    print(json.dumps(points({model_id!r})))") == list(range(200))
    assert len(azure.journal.of("*.blob.core.windows.net")) <= 4


def test_they_are_there_when_the_program_has_ended(azure: EmulatedAzure) -> None:
    # Given a program that logs, and logs as it ends, and ends no run
    code = f"""{LOG}
    import atexit
    run = mlflow.start_run()
    model = mlflow.initialize_logged_model(name="net")
    print(json.dumps(model.model_id), flush=True)
    atexit.register(lambda: mlflow.log_metric("loss", 7, step=7, model_id=model.model_id))
    log(5, model.model_id)
    """
    done = run_alone(VERSION, azure, code)
    model_id = next(line for line in done.stdout.splitlines() if line.startswith('"m-')).strip('"')

    assert "error" not in done.stderr.lower()
    assert printed(VERSION, azure, f"{LOG}\n    print(json.dumps(points({model_id!r})))") == [
        0,
        1,
        2,
        3,
        4,
        7,
    ]


def test_of_a_killed_program_all_is_there_but_the_last_seconds(azure: EmulatedAzure) -> None:
    # Given a program that is killed once it has seen that another process reads its points
    code = f"""{LOG}
    mlflow.start_run()
    model = mlflow.initialize_logged_model(name="net")
    print(json.dumps(model.model_id), flush=True)
    log(5, model.model_id)
    child = os.fork()
    if not child:
        while len(points(model.model_id)) < 5:
            pass
        os._exit(0)
    os.waitpid(child, 0)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    done = run(VERSION, azure, code)
    model_id = next(line for line in done.stdout.splitlines() if line.startswith('"m-')).strip('"')

    assert done.returncode == -9
    assert printed(VERSION, azure, f"{LOG}\n    print(json.dumps(points({model_id!r})))") == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("call", ["mlflow.flush_async_logging()", "mlflow.end_run()"])
def test_what_azure_refuses_to_keep_is_told_and_kept_by_the_next_call(
    call: str, azure: EmulatedAzure
) -> None:
    # Given a storage that takes the model's first record and refuses the next two
    azure.faults.add("*.blob.core.windows.net", r"\.azureml-databricks/", status=403, skip=1, times=2)
    code = f"""{LOG}
    run = mlflow.start_run()
    model = mlflow.initialize_logged_model(name="net")
    log(3, model.model_id)
    try:
        {call}
    except mlflow.MlflowException as error:
        told = str(error)
    mlflow.end_run()
    print(json.dumps([told, points(model.model_id), mlflow.get_run(run.info.run_id).info.status]))
    """
    try:
        told, kept, status = printed(VERSION, azure, code)
    finally:
        azure.faults.clear()

    assert "keep a record" in told
    assert (kept, status) == ([0, 1, 2], "FINISHED")
