"""What each call of MLflow's asks of Azure ML: what it has to, and nothing that is known."""

from __future__ import annotations

import json
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.mlflow_versions import suite
from tests.matrices.mlflow_versions.environments import environment
from tests.matrices.on_azure import printed

VERSION = "3.17.2"

# Notes each request, of MLflow and of Azure's libraries.
COUNTING = """
    import json, mlflow, urllib3
    from sklearn.linear_model import LogisticRegression

    asked, urlopen = [], urllib3.connectionpool.HTTPConnectionPool.urlopen
    def counting(pool, method, url, *args, **more):
        asked.append(f"{method} {url}")
        return urlopen(pool, method, url, *args, **more)
    urllib3.connectionpool.HTTPConnectionPool.urlopen = counting

    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    """

# Calls of a process that has logged before, and the requests of each; a model has five files.
CODE = """
    counts = {}
    def count(name, call):
        asked.clear()
        answer = call()
        counts[name] = len(asked)
        return answer

    def log(name):
        return mlflow.sklearn.log_model(model, name=name, pip_requirements=["scikit-learn"])
    client = mlflow.MlflowClient()
    mlflow.set_experiment("requests")
    with mlflow.start_run():
        log("model")
    from azureml_databricks.bridge import waiting_records
    waiting_records._SECONDS = 600
    run = count("start_run", mlflow.start_run)
    run_id = run.info.run_id
    count("log_metric", lambda: mlflow.log_metric("accuracy", 1))
    mlflow.log_text("first", "first.txt")
    count("log_dict", lambda: mlflow.log_dict({"a": 1}, "dict.json"))
    count("first log_model", lambda: log("first"))
    logged = count("log_model", lambda: log("model"))
    count("get_run", lambda: client.get_run(run_id))
    count("end_run", mlflow.end_run)
    count("get_run with its models", lambda: client.get_run(run_id).outputs.model_outputs)
    by_run, by_id = f"runs:/{run_id}/model", logged.model_uri
    mlflow.register_model(by_id, "model")
    count("register_model runs:/", lambda: mlflow.register_model(by_run, "model"))
    count("register_model models:/ID", lambda: mlflow.register_model(by_id, "model"))
    mlflow.flush_async_logging()
    for name, uri in (("runs:/", by_run), ("models:/ID", by_id), ("models:/NAME/1", "models:/model/1")):
        count(f"load_model {name}", lambda: mlflow.sklearn.load_model(uri))
    count("get_logged_model", lambda: mlflow.get_logged_model(logged.model_id))
    count("search_logged_models", lambda: mlflow.search_logged_models(output_format="list"))
    count("search_runs", mlflow.search_runs)
    print(json.dumps(counts))
    """
FILES = 5
RECORD = 2  # its path, then its bytes


def test_a_call_asks_for_nothing_that_is_known(azure: EmulatedAzure) -> None:
    assert printed(VERSION, azure, COUNTING + CODE) == {
        "start_run": 2,
        "log_metric": 1,
        "log_dict": 2,
        # MLflow itself reads the run, its metrics' history and the files that are there
        "first log_model": 6 + FILES + 2 * RECORD + 1,
        "log_model": 6 + FILES + 2 * RECORD,
        "get_run": 1,
        # It is read, ended, and its models are told
        "end_run": 3,
        "get_run with its models": 2,
        "register_model runs:/": 7,
        "register_model models:/ID": 5,
        "load_model runs:/": 2 + FILES,
        "load_model models:/ID": 2 + FILES,
        "load_model models:/NAME/1": 3 + FILES,
        "get_logged_model": 1,
        "search_logged_models": 1,
        "search_runs": 1,
    }


# A training that keeps 25 checkpoints, and evaluates each of them 24 times.
CHECKPOINTS = """
    mlflow.set_experiment("checkpoints")
    with mlflow.start_run():
        for step in range(25):
            logged = mlflow.sklearn.log_model(model, name="model", step=step, pip_requirements=[])
            for number in range(24):
                mlflow.log_metric(f"metric-{number}", number, step=step, model_id=logged.model_id)
    logging = len(asked)
    metrics = mlflow.get_logged_model(logged.model_id).metrics
    print([logging, len(asked) - logging, len(metrics)])
    """


@pytest.mark.thorough
def test_checkpoints_take_at_most_twice_the_requests_of_mlflows_own_server(
    azure: EmulatedAzure, tmp_path: Path
) -> None:
    with suite.own_server(VERSION, tmp_path) as variables:
        done = subprocess.run(
            [environment(VERSION), "-W", "ignore", "-c", textwrap.dedent(COUNTING + CHECKPOINTS)],
            env={"PATH": "/usr/bin:/bin", "HOME": "/tmp", **variables},
            capture_output=True,
            text=True,
            check=True,
        )
    of_own_server, *_ = json.loads(done.stdout.splitlines()[-1])

    logging, reading, metrics = printed(VERSION, azure, COUNTING + CHECKPOINTS)

    assert logging <= 2 * of_own_server
    assert (reading, metrics) == (1, 24)
