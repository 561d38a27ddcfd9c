"""Batches that are logged in the background: what comes while one is on its way goes together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Lock

from azureml_databricks.bridge.background import Background, tell_if_lost
from azureml_databricks.bridge.outgoing import Batch
from azureml_databricks.bridge.parallel import settle


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
        self._waiting: dict[str, list[tuple[Batch, Future[None]]]] = {}

    def log(self, run_id: str, batch: Batch) -> Future[None]:
        """Log a batch; the future tells what is raised for it, and for no other."""
        logged: Future[None] = Future()
        logged.add_done_callback(partial(tell_if_lost, f"a batch of run {run_id}"))
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
        if len(waiting) > 1 and self._is_sent(run_id, _together([batch for batch, _ in waiting])):
            for _, logged in waiting:
                logged.set_result(None)
            return
        for batch, logged in waiting:
            settle(logged, partial(self._send, run_id, batch))

    def _is_sent(self, run_id: str, batch: Batch) -> bool:
        try:
            self._send(run_id, batch)
        except Exception:  # noqa: BLE001  # who logged what cannot be sent is told, and the rest is sent
            return False
        return True


def _together(batches: Sequence[Batch]) -> Batch:
    params = {(param.key, param.value): param for batch in batches for param in batch.params}
    tags = {tag.key: tag for batch in batches for tag in batch.tags}
    metrics = [metric for batch in batches for metric in batch.metrics]
    return Batch(metrics, list(params.values()), list(tags.values()))
