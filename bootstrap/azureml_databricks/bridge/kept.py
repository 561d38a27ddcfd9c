"""What Azure ML has no room for in a run, kept whole in the run's records and given back.

A value that is too long is cut, and its end names the whole by a digest: whatever value the service has last
is the one that counts, in whichever order processes wrote. What there is no room for at all is kept by name;
the service's own, if it has one, counts more.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256

from mlflow.entities import Metric, Param, Run, RunData, RunTag

from azureml_databricks.bridge import limits
from azureml_databricks.bridge.records import Record

# Marks runs of which something is kept, so that others are read in one request as ever.
KEPT = "azureml_databricks.kept"

_CUT = re.compile(r"\.\.\. \[cut: azureml-databricks keeps the whole, ([0-9a-f]{16})\]$")
_FIELD = "kept"

# Key, value, timestamp, step.
Point = tuple[str, float, int, int]


def cut(whole: str, limit: int) -> str:
    """Return a value of at most `limit` that begins as `whole` does and says that it is not the whole."""
    mark = f"... [cut: azureml-databricks keeps the whole, {_digest(whole)}]"
    return limits.head(whole, limit - len(mark)) + mark


def point(metric: Metric) -> Point:
    """Return what is kept of a metric's value."""
    return (metric.key, float(metric.value), metric.timestamp, metric.step)


@dataclass
class Kept:
    """What is kept of one run, or is to be kept.

    Attributes:
        wholes: values that are cut in the service.
        params: those without room, by name; their values may be cut ones.
        tags: likewise.
        untagged: names of tags that were kept and are none any more.
        metrics: points of metrics without room.
    """

    wholes: list[str] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    untagged: list[str] = field(default_factory=list)
    metrics: list[Point] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return any(asdict(self).values())

    @classmethod
    def of(cls, records: Iterable[Record]) -> Kept:
        """Return what the records of a run, in the order of time, come to."""
        kept = cls()
        for record in records:
            part = cls(**record.get(_FIELD, {}))
            kept.wholes += part.wholes
            kept.params = {**part.params, **kept.params}  # a param never changes
            kept.tags.update(part.tags)
            for key in part.untagged:
                kept.tags.pop(key, None)
            kept.metrics += [(key, value, timestamp, step) for key, value, timestamp, step in part.metrics]
        return kept

    def record(self) -> Record:
        """Return the record of it."""
        return {_FIELD: {name: value for name, value in asdict(self).items() if value}}

    def whole(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return `values`, each as it was before it was cut."""
        by_digest = {_digest(whole): whole for whole in self.wholes}
        cuts = {key: _CUT.search(value) for key, value in values.items()}
        return {
            key: by_digest.get(match[1], values[key]) if match else values[key] for key, match in cuts.items()
        }

    def given_back(self, run: Run) -> Run:
        """Return the run as it would be if the service had room for all of it."""
        params = self.whole({**self.params, **run.data.params})
        tags = self.whole({**self.tags, **run.data.tags})
        tags.pop(KEPT, None)
        run.info._set_run_name(self.whole({"": run.info.run_name or ""})[""])
        run._data = RunData(
            self._latest(run.data._metric_objs),
            [Param(key, value) for key, value in params.items()],
            [RunTag(key, value) for key, value in tags.items()],
        )
        return run

    def history(self, key: str, of_service: Iterable[Metric]) -> list[Metric]:
        """Return all points of a metric, each once, in the order of MLflow's own server."""
        kept = [Metric(*each) for each in self.metrics if each[0] == key]
        points = {_place(metric): metric for metric in (*kept, *of_service)}
        return [points[place] for place in sorted(points)]

    def _latest(self, of_service: Iterable[Metric]) -> list[Metric]:
        latest = {metric.key: metric for metric in of_service}
        for each in self.metrics:
            metric = Metric(*each)
            if each[0] not in latest or _age(metric) > _age(latest[each[0]]):
                latest[each[0]] = metric
        return list(latest.values())


def _digest(whole: str) -> str:
    return sha256(whole.encode()).hexdigest()[:16]


def _place(metric: Metric) -> tuple[int, int, float, bool]:
    """Return what sorts points, and tells one from another as a database of MLflow's does."""
    value = min(max(metric.value, -sys.float_info.max), sys.float_info.max)
    return (
        (metric.timestamp, metric.step, 0.0, True)
        if math.isnan(metric.value)
        else (metric.timestamp, metric.step, value, False)
    )


def _age(metric: Metric) -> tuple[int, int, float]:
    timestamp, step, value, _ = _place(metric)
    return step, timestamp, value
