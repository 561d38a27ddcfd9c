"""The values of metrics that name a logged model, kept by the batch: a training loop logs thousands."""

from __future__ import annotations

import threading
from collections.abc import Callable
from threading import Event, Lock
from typing import Any

from azureml_databricks.bridge.background import Background

Points = list[list[Any]]

# How long the first of a batch waits for others, and how many are enough.
_SECONDS = 2.0
_MANY = 1000


class PointsOfModels:
    """Keeps points of models, soon: at the latest when somebody reads, or as the program ends.

    Args:
        keep: keeps points of a model, by its id.
    """

    def __init__(self, keep: Callable[[str, Points], None]) -> None:
        """Have none."""
        self._keep = keep
        self._background = Background()
        self._lock = Lock()
        self._waiting: dict[str, Points] = {}
        self._is_under_way = False
        self._hurry = Event()
        self._is_ending = False
        try:
            threading._register_atexit(self._end)  # type: ignore[attr-defined]  # before thread pools are waited for
        except RuntimeError:  # it is over already
            self._end()

    def add(self, model_id: str, points: Points) -> None:
        """Keep points, with those that come within seconds."""
        with self._lock:
            self._waiting.setdefault(model_id, []).extend(points)
            if sum(map(len, self._waiting.values())) >= _MANY:
                self._hurry.set()
            begins, self._is_under_way = not self._is_under_way, True
        if begins:
            self._background.begin("what was logged of models", self._keep_soon)

    def flush(self) -> None:
        """Wait until all are kept.

        Raises:
            MlflowException: Azure refuses; they stay to be kept by the next call.
        """
        with self._lock:
            if self._is_under_way:
                self._hurry.set()
        self._background.wait()
        self._keep_waiting()

    def _keep_soon(self) -> None:
        self._hurry.wait(_SECONDS)
        with self._lock:
            self._is_under_way = False
            if not self._is_ending:
                self._hurry.clear()
        self._keep_waiting()

    def _keep_waiting(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        try:
            for model_id in list(waiting):
                self._keep(model_id, waiting[model_id])
                del waiting[model_id]
        finally:
            with self._lock:
                for model_id, points in waiting.items():
                    self._waiting[model_id] = points + self._waiting.get(model_id, [])

    def _end(self) -> None:
        self._is_ending = True
        self._hurry.set()
