"""A Python worker of Spark's gets the variables of the Spark conf before it runs a task.

Spark Connect has no way to start workers with them. Each task brings the session's conf, so a worker looks at
that when it has read it: before the task's own code is unpickled. A runtime whose workers are others than
Spark's own is left as it is; there MLflow's import does the same.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

from azureml_databricks.node import session, spark_conf

_completed: object = None


def watch() -> None:
    """Make the workers that this daemon forks look at each task's Spark conf."""
    os.register_at_fork(after_in_child=_in_worker)


def _in_worker() -> None:
    module: Any = sys.modules.get("pyspark.worker")
    read_command = getattr(module, "read_command", None)
    if read_command is None:
        return

    def complete_and_read(*arguments: Any) -> Any:
        with suppress(Exception):
            _complete()
        return read_command(*arguments)

    module.read_command = complete_and_read


def _complete() -> None:
    global _completed
    now = spark_conf.settings()
    if now != _completed:
        _completed = now
        session.complete()
