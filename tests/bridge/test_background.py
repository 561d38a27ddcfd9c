"""What is logged in the background, while the program goes on."""

from __future__ import annotations

import json

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed, run

API = "westeurope.api.azureml.ms"
VERSIONS = pytest.mark.parametrize("version", [pytest.param("2.9.2", marks=pytest.mark.thorough), "3.17.2"])


@VERSIONS
def test_what_waits_goes_together_and_in_order(version: str, azure: EmulatedAzure) -> None:
    # Given many values, and a tag that changes, logged while the first is on its way
    code = """
        import json, mlflow
        with mlflow.start_run() as run:
            logged = [mlflow.log_metric("loss", step, step=step, synchronous=False) for step in range(1000)]
            logged += [mlflow.set_tag("last", str(step), synchronous=False) for step in range(100)]
            for each in logged:
                each.wait()
        client = mlflow.MlflowClient()
        history = [point.value for point in client.get_metric_history(run.info.run_id, "loss")]
        print(json.dumps([history, client.get_run(run.info.run_id).data.tags["last"]]))
        """
    azure.journal.clear()

    # Then all are there, the tag is what it was last, and there were few requests
    assert printed(version, azure, code) == [list(range(1000)), "99"]
    assert sum(request.path.endswith("log-batch") for request in azure.journal) < 60


@VERSIONS
def test_a_value_that_is_refused_takes_no_other_along(version: str, azure: EmulatedAzure) -> None:
    # Given many params that wait together, of which one has another value already
    code = """
        import json, mlflow
        with mlflow.start_run() as run:
            mlflow.log_param("depth", 3)
            calls = [("depth", 4), *((f"p{number}", number) for number in range(30))]
            logged = [mlflow.log_param(*call, synchronous=False) for call in calls]
            refused = []
            for (name, _), each in zip(calls, logged):
                try:
                    each.wait()
                except mlflow.MlflowException:
                    refused.append(name)
        print(json.dumps([refused, mlflow.get_run(run.info.run_id).data.params]))
        """
    done = run(version, azure, code)

    # Then who waits for it is told, who does not reads it, and the others are there
    assert "a batch of run " in done.stderr
    assert "Changing param values is not allowed" in done.stderr
    assert printed(version, azure, code) == [
        ["depth"],
        {"depth": "3", **{f"p{number}": str(number) for number in range(30)}},
    ]


def test_a_process_that_is_forked_logs_as_well(azure: EmulatedAzure) -> None:
    # Given a thread that logs in the background, which is not there in a child
    code = """
        import json, mlflow, os
        with mlflow.start_run() as run:
            mlflow.log_metric("before", 1, synchronous=False).wait()
            child = os.fork()
            if not child:
                mlflow.log_metric("child", 1, run_id=run.info.run_id, synchronous=False)
                mlflow.flush_async_logging()
                os._exit(0)
            os.waitpid(child, 0)
            mlflow.log_metric("after", 1, synchronous=False)
            mlflow.flush_async_logging()
            print(json.dumps(mlflow.get_run(run.info.run_id).data.metrics))
        """
    assert printed("3.17.2", azure, code) == {"before": 1, "child": 1, "after": 1}


def test_who_waits_for_what_cannot_be_sent_at_all_is_told(azure: EmulatedAzure) -> None:
    # Given tags that wait together, of which one is no text, which is no error of MLflow's
    code = """
        import json, mlflow
        from mlflow.entities import RunTag
        client = mlflow.MlflowClient()
        with mlflow.start_run() as run:
            logged = [
                client.log_batch(run.info.run_id, tags=[RunTag(f"t{n}", value)], synchronous=False)
                for n, value in enumerate(["a", object(), *"bcdefgh"])
            ]
            told = [bool(each._operation_futures[0].exception(60)) for each in logged]
        tags = mlflow.get_run(run.info.run_id).data.tags
        print(json.dumps([told, sorted(name for name in tags if name[1:].isdecimal())]))
        """
    told, tags = printed("3.17.2", azure, code)

    assert told == [False, True, *[False] * 7]
    assert tags == ["t0", *(f"t{number}" for number in range(2, 9))]


def test_what_waits_is_sent_in_few_requests_whatever_is_refused(azure: EmulatedAzure) -> None:
    # Given 64 params that wait together, of which one has another value already
    code = """
        import json, mlflow, threading
        from mlflow.tracking._tracking_service.utils import _get_store
        def together(values):
            begin = threading.Event()
            _get_store()._background.get().begin("the others", begin.wait)
            logged = [mlflow.log_param(name, value, synchronous=False) for name, value in values]
            begin.set()
            return [each._operation_futures[0].exception() is None for each in logged]
        with mlflow.start_run() as run:
            mlflow.log_param("p7", 0)
            is_there = together([(f"p{number}", number) for number in range(64)])
        print(json.dumps([run.info.run_id, is_there]))
        """
    azure.journal.clear()

    run_id, is_there = printed("3.17.2", azure, code)

    # Then it is found by halves
    assert [number for number, there in enumerate(is_there) if not there] == [7]
    assert len(azure.journal.of(API, "/runs/log-batch")) < 20

    # And where nothing is taken, nothing is sent again
    azure.faults.add(path="/runs/log-batch", status=403)
    azure.journal.clear()
    code = code.replace("mlflow.start_run()", f'mlflow.start_run("{run_id}")').replace(
        'mlflow.log_param("p7", 0)', ""
    )
    done = run("3.17.2", azure, code.replace('f"p{number}"', 'f"q{number}"'))
    assert json.loads(done.stdout.splitlines()[-1])[1] == [False] * 64
    assert len(azure.journal.of(API, "/runs/log-batch")) == 1
    (told,) = [line for line in done.stderr.splitlines() if "not there" in line]
    assert f"64 batches of run {run_id}: " in told


def test_what_a_task_of_sparks_logs_is_there_at_once(azure: EmulatedAzure) -> None:
    # Given a task whose process is ended without further ado, as Spark does it
    code = """
        import json, mlflow, os, sys
        from azureml_databricks.node import spark_conf
        spark_conf.in_task = lambda: True
        run = mlflow.start_run()
        mlflow.log_metric("loss", 0.5, synchronous=False)
        print(json.dumps([run.info.run_id]))
        sys.stdout.flush()
        os._exit(0)
        """
    (run_id,) = printed("3.17.2", azure, code)

    metrics = f"import json, mlflow; print(json.dumps([mlflow.get_run({run_id!r}).data.metrics]))"
    assert printed("3.17.2", azure, metrics) == [{"loss": 0.5}]


def test_a_killed_process_loses_what_waits_and_nothing_that_is_sent(azure: EmulatedAzure) -> None:
    # Given a process that is killed once half of its metrics are sent
    code = """
        import json, mlflow, os, signal, sys, threading
        from mlflow.tracking._tracking_service.utils import _get_store
        run = mlflow.start_run()
        for step in range(100):
            mlflow.log_metric("loss", step, step=step, synchronous=False)
        mlflow.flush_async_logging()
        _get_store()._background.get().begin("the others", threading.Event().wait)
        for step in range(100, 200):
            mlflow.log_metric("loss", step, step=step, synchronous=False)
        print(json.dumps([run.info.run_id]))
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
        """
    done = run("3.17.2", azure, code)
    (run_id,) = json.loads(done.stdout.splitlines()[-1])

    # Then the other half is missing
    history = f"mlflow.MlflowClient().get_metric_history({run_id!r}, 'loss')"
    values = f"import json, mlflow; print(json.dumps([point.value for point in {history}]))"
    assert printed("3.17.2", azure, values) == list(range(100))
