"""What a process knows of the runs that it has to do with, so that it asks for nothing twice."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from mlflow.entities import Metric, Run

from azureml_databricks.bridge import limits
from azureml_databricks.bridge.kept import KEPT, Kept, Point, point
from azureml_databricks.bridge.outgoing import MARK, SHARED
from azureml_databricks.bridge.records import Entry, Record, Records
from azureml_databricks.bridge.service import Service

# The records of the run itself.
NOTES = "run"

# A process that logs to more runs than this counts the names of those that it knew first anew.
_MOST = 1000
# How many points of a run are held until it is seen what became of them.
_MOST_UNSEEN = 10_000


@dataclass
class Known:
    """What this process knows of a run.

    A service that takes no more than so many names of metrics may drop the points of others without a word,
    and how many other processes have logged is not known: what was sent is held here until it is seen there.

    Attributes:
        names: of metrics that the service has.
        unseen: points that were sent, by names that it may have dropped.
        dropped: points that it was seen to have dropped, and that are not kept yet.
        beyond: names of metrics beyond those that it has room for: their points are kept.
        refused: those of them that it has refused.
        asked: whether it was looked what became of those that it has not refused.
        has_all: whether it takes any number, as was seen then.
        read: whether the run's tags were seen.
        marked: whether something is kept of it.
        marks: tags that say that it has records, which it is known to have.
        says_models: whether a tag says its models, and has to be right.
        made_in: the process that made it, as far as it is this one or was forked to be.
    """

    names: set[str] = field(default_factory=set)
    unseen: dict[str, list[Point]] = field(default_factory=dict)
    dropped: list[Point] = field(default_factory=list)
    beyond: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    asked: bool = False
    has_all: bool = False
    read: bool = False
    marked: bool = False
    marks: set[str] = field(default_factory=set)
    says_models: bool = False
    made_in: int = 0

    @property
    def is_own(self) -> bool:
        """Whether this process has made the run."""
        return self.made_in == os.getpid()

    @property
    def missing_marks(self) -> set[str]:
        """The marks that a run has to have before this process adds a record."""
        return ({MARK} if self.is_own else {MARK, SHARED}) - self.marks

    def find_beyond(self, metrics: Iterable[Metric]) -> frozenset[str]:
        """Return the names for which the service has no room, as far as is known here, new ones included."""
        if self.has_all:
            return frozenset(self.refused)
        taken = {*self.names, *self.unseen}
        for metric in metrics:
            if metric.key not in taken:
                (taken if len(taken) < limits.METRIC_NAMES else self.beyond).add(metric.key)
        return frozenset(self.beyond)

    def note_sent(self, metrics: Iterable[Metric]) -> bool:
        """Note points that were sent; return whether it is time to look what became of them.

        Who has made the run looks whenever it is read, which MLflow does as the run ends. Others may not live
        to see that.
        """
        if self.has_all or self.refused:
            return False
        settled = self.names | self.beyond
        new = [metric for metric in metrics if metric.key not in settled]
        is_first = any(metric.key not in self.unseen for metric in new)
        for metric in new:
            self.unseen.setdefault(metric.key, []).append(point(metric))
        if not self.is_own:
            return is_first
        return sum(map(len, list(self.unseen.values()))) > _MOST_UNSEEN

    def note_refused(self, names: set[str]) -> None:
        """Note that the service has refused names of metrics."""
        self.beyond |= names
        self.refused |= names
        self.names -= names

    def note_seen(self, run: Run, sent: Iterable[str]) -> None:
        """Take in what the service has of the run; `sent` are names that were sent before it was asked."""
        seen = set(run.data.metrics)
        self.has_all = self.has_all or len(seen) > limits.METRIC_NAMES
        # Names do not go: where there is room now, there was room before.
        took_all = self.has_all or len(seen) < limits.METRIC_NAMES
        for name in sent:
            points = self.unseen.pop(name, [])
            if name in seen or took_all:
                self.names.add(name)
            else:
                self.beyond.add(name)
                self.dropped += points
        self.names |= seen
        self.read, self.marked = True, self.marked or KEPT in run.data.tags
        self.marks |= run.data.tags.keys() & {MARK, SHARED}


class KnownRuns:
    """The runs that this process knows, and their records.

    Args:
        service: whose runs they are.
    """

    def __init__(self, service: Service) -> None:
        """Know none."""
        self._service = service
        self._artifact_uris: dict[str, str] = {}
        self._known: dict[str, Known] = {}

    def of(self, run_id: str) -> Known:
        """Return what is known of a run; who learns more adds it there."""
        if run_id not in self._known and len(self._known) >= _MOST:
            self._known.pop(next(iter(self._known)), None)
        return self._known.setdefault(run_id, Known())

    def add_new(self, run: Run) -> None:
        """Take in a run that this process has made."""
        self._learn(run, ())
        self.of(run.info.run_id).made_in = os.getpid()

    def read(self, run_id: str) -> Run:
        """Return what the service has of a run."""
        sent = list(self.of(run_id).unseen)
        run: Run = self._service.get_run(run_id)
        self._learn(run, sent)
        return run

    def _learn(self, run: Run, sent: Iterable[str]) -> None:
        self._artifact_uris[run.info.run_id] = run.info.artifact_uri
        self.of(run.info.run_id).note_seen(run, sent)

    def artifact_uri(self, run_id: str) -> str:
        """Return where a run's artifacts are; it never changes."""
        if run_id not in self._artifact_uris:
            self.read(run_id)
        return self._artifact_uris[run_id]

    def records(self, run_id: str) -> Records:
        """Return the records of a run."""
        return records_at(self.artifact_uri(run_id))

    def keep(self, run_id: str, kept: Kept) -> None:
        """Keep something of a run, if there is anything."""
        if kept:
            self.records(run_id).add([Entry(NOTES, kept.record())])

    def kept(self, run_id: str) -> Kept:
        """Return what is kept of a run."""
        return Kept.of(notes_at(self.artifact_uri(run_id)))


def notes_at(artifact_uri: str) -> list[Record]:
    """Return the records of the run itself whose artifacts are there, the oldest first."""
    return records_at(artifact_uri).all(NOTES).get(NOTES, [])


def records_at(artifact_uri: str) -> Records:
    """Return the records of the run whose artifacts are there."""
    # Not at the top: most runs have no records, and need no client of Azure's storage.
    from azureml_databricks.bridge.artifacts import Container

    return Records(Container.at(artifact_uri))
