"""Batches that are logged in the background: what comes while one is on its way goes together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Lock

from mlflow.exceptions import MlflowException

from azureml_databricks.bridge.background import Background
from azureml_databricks.bridge.outgoing import Batch

_logger = logging.getLogger("mlflow.azureml_databricks")

# MLflow's own checks, and Azure ML's.
_OF_A_VALUE = ("BAD_REQUEST", "INVALID_PARAMETER_VALUE")

_Waiting = tuple[Batch, "Future[None]"]


class BatchesInBackground(Background):
    """Logs to runs.

    Args:
        send: logs a batch to a run.
    """

    def __init__(self, send: Callable[[str, Batch], None]) -> None:
        """Have nothing to log."""
        super().__init__()
        self._send = send
        self._lock = Lock()
        self._waiting: dict[str, list[_Waiting]] = {}

    def log(self, run_id: str, batch: Batch) -> Future[None]:
        """Log a batch; the future tells what is raised for it, and for no other."""
        logged: Future[None] = Future()
        with self._lock:
            waiting = self._waiting.setdefault(run_id, [])
            waiting.append((batch, logged))
            is_first = len(waiting) == 1
        if is_first:
            self.begin(f"batches of run {run_id}", partial(self._send_waiting, run_id))
        return logged

    def _send_waiting(self, run_id: str) -> None:
        with self._lock:
            waiting = self._waiting.pop(run_id)
        self._send_together(run_id, waiting)

    def _send_together(self, run_id: str, waiting: Sequence[_Waiting]) -> None:
        """Send batches as one; by halves where one of them may be what the service refuses."""
        try:
            self._send(run_id, _together([batch for batch, _ in waiting]))
        except BaseException as error:  # noqa: BLE001  # it is raised where the result is asked for
            if len(waiting) > 1 and _may_be_for_one(error):
                half = len(waiting) // 2
                self._send_together(run_id, waiting[:half])
                self._send_together(run_id, waiting[half:])
                return
            _logger.error(
                "logged in the background and not there: %s of run %s: %s",
                f"{len(waiting)} batches" if len(waiting) > 1 else "a batch",
                run_id,
                error,
            )
            for _, logged in waiting:
                logged.set_exception(error)
        else:
            for _, logged in waiting:
                logged.set_result(None)


def _may_be_for_one(error: BaseException) -> bool:
    """Whether others may be taken; not where the service is away, busy, or lets this login log nothing."""
    return not isinstance(error, MlflowException) or error.error_code in _OF_A_VALUE


def _together(batches: Sequence[Batch]) -> Batch:
    params = {(param.key, param.value): param for batch in batches for param in batch.params}
    tags = {tag.key: tag for batch in batches for tag in batch.tags}
    metrics = [metric for batch in batches for metric in batch.metrics]
    return Batch(metrics, list(params.values()), list(tags.values()))
