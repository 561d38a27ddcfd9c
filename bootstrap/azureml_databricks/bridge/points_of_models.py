"""The values of metrics that name a logged model, as its records have them: a loop logs thousands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlflow.entities import Metric

from azureml_databricks.bridge.records import Record

_FIELD = "metrics"


def record(metrics: Iterable[Metric], run_id: str) -> Record:
    """Return the record of values that a run has logged.

    What values have in common is there once: name, data set, run.
    """
    groups: list[list[Any]] = []
    for metric in metrics:
        head = [metric.key, metric.dataset_name, metric.dataset_digest, str(run_id)]
        _add(groups, head, [[metric.value, metric.timestamp, metric.step]])
    return {_FIELD: groups}


def join(earlier: Record, later: Record) -> bool:
    """Add the later record's values to the earlier one, if both have nothing else but a time."""
    if not earlier.keys() == later.keys() == {_FIELD, "at"}:
        return False
    for *head, points in later[_FIELD]:
        _add(earlier[_FIELD], head, points)
    earlier["at"] = later["at"]
    return True


def metrics(records: Iterable[Record], model_id: str) -> list[Metric]:
    """Return the metrics of a model, which its records tell."""
    return [
        Metric(key, value, timestamp, step, model_id, name, digest, run_id)
        for each in records
        for key, name, digest, run_id, points in each.get(_FIELD, ())
        for value, timestamp, step in points
    ]


def _add(groups: list[list[Any]], head: list[Any], points: list[Any]) -> None:
    for *other, known in groups:
        if other == head:
            known.extend(points)
            return
    groups.append([*head, list(points)])
