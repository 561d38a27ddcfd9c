"""What every executor is asked.

Spark sends this module's code along, so an executor needs nothing of ours, and says so where it has nothing.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

_SECONDS_OF_A_TASK = 1.0


def question(
    address: str, run_id: str, home: str, mlflow_variables: Mapping[str, str]
) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """Return the function for `DataFrame.mapInArrow`, whose rows are answers: JSON in a column `answer`.

    Args:
        address: the tracking URI that executors should have.
        run_id: of the run that each logs a metric to; empty for none.
        home: the folder of what is ours on a node.
        mlflow_variables: with which MLflow gives up soon.
    """

    def ask(batches: Iterable[Any]) -> Iterator[Any]:
        import pyarrow as pa  # type: ignore[import-untyped]

        for _ in batches:
            # Long enough that no executor takes another's tasks.
            until = time.monotonic() + _SECONDS_OF_A_TASK
            executor, host = _executor()
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as first:
                if _is_first(first, f"azureml-databricks-doctor-{os.getuid()}-{executor}"):
                    answer = {
                        "executor": executor,
                        "host": host,
                        **_answer(address, run_id, home, executor, mlflow_variables),
                    }
                    yield pa.RecordBatch.from_pydict({"answer": [json.dumps(answer)]})
                time.sleep(max(0.0, until - time.monotonic()))

    return ask


def _is_first(mark: socket.socket, name: str) -> bool:
    """Return whether no other task of this executor has the name, which is in no file system: unix(7)."""
    try:
        mark.bind(f"\0{name}")
    except OSError:
        return False
    return True


def _executor() -> tuple[str, str]:
    """Return by which id and host Spark knows the executor above this process; `driver` in local mode."""
    number = os.getpid()
    while number > 1:
        with open(f"/proc/{number}/cmdline", errors="replace") as file:
            words = file.read().split("\0")
        if "--executor-id" in words:
            # org.apache.spark.executor.CoarseGrainedExecutorBackend
            return words[words.index("--executor-id") + 1], words[words.index("--hostname") + 1]
        with open(f"/proc/{number}/stat", errors="replace") as file:
            number = int(file.read().rpartition(")")[2].split()[1])
    return "driver", socket.gethostname()


def _answer(
    address: str, run_id: str, home: str, executor: str, mlflow_variables: Mapping[str, str]
) -> dict[str, Any]:
    release = getattr(sys, "azureml_databricks", "")
    answer: dict[str, Any] = {
        "python": platform.python_version(),
        "release": release.rpartition("/")[2],
        "files": os.path.exists(home),
        "hooks": list(dict.fromkeys(getattr(sys, "azureml_databricks_hooks", ()))),
        "failure": "",
        "metric": "",
    }
    try:
        import mlflow

        answer["tracking"], answer["registry"] = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
        if release:
            from azureml_databricks.node import variables

            answer["failure"] = variables.settings_now().problem
        if run_id and answer["tracking"] == address:
            answer["metric"] = _logged(run_id, f"executor_{executor}", mlflow_variables)
    except Exception as error:  # noqa: BLE001  # it is the answer
        answer["failure"] = " ".join(f"{type(error).__name__}: {error}".split())
    return answer


def _logged(run_id: str, metric: str, mlflow_variables: Mapping[str, str]) -> str:
    from mlflow import MlflowClient

    # The process is Spark's, and others will use it.
    before = dict(os.environ)
    os.environ.update(mlflow_variables)
    try:
        MlflowClient().log_metric(run_id, metric, 1.0)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return metric
