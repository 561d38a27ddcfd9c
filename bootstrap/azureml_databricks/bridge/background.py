"""What is logged in the background: in order, and all of it before the program ends.

MLflow's own queues may lose what they hold as a program ends: in MLflow 2.9 all that has not begun, and from
Python 3.12 on all of it, where their threads have not started by then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

from azureml_databricks.bridge.parallel import begin
from azureml_databricks.node import spark_conf

_logger = logging.getLogger("mlflow.azureml_databricks")


class Background:
    """Does one thing after another, and each of them: Python waits for its thread pools as a program ends."""

    def __init__(self) -> None:
        """Have nothing to do."""
        self._pool = ThreadPoolExecutor(1, "azureml-databricks")
        self._last: Future[None] | None = None

    def begin(self, what: str, work: Callable[[], None]) -> Future[None]:
        """Log `what` by `work`, after what has begun before; what it raises is told at once."""
        self._last = begin(self._pool, work)
        self._last.add_done_callback(partial(_tell_if_lost, what))
        return self._last

    def wait(self) -> None:
        """Wait for what has begun; an error is for who waits for that alone."""
        wait([self._last] if self._last else [])


def done_in_a_task(logged: Future[None]) -> Future[None]:
    """Return what is logged; in a task of Spark's, whose process may be ended any time, when that is done."""
    if spark_conf.in_task():
        wait([logged])
    return logged


def _tell_if_lost(what: str, logged: Future[None]) -> None:
    """Tell of `what`, when it is done, if it was refused."""
    if error := logged.exception():
        _logger.error("logged in the background and not there: %s: %s", what, error)
