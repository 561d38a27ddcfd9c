"""What a process knows of the runs that it has to do with, so that it asks for nothing twice."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlflow.entities import Run

from azureml_databricks.bridge import limits
from azureml_databricks.bridge.artifacts import Container
from azureml_databricks.bridge.kept import KEPT, Kept
from azureml_databricks.bridge.records import Record, Records
from azureml_databricks.bridge.service import Service

# The records of the run itself.
_NOTES = "run"

# A process that logs to more runs than this counts the names of those that it knew first anew.
_MOST = 1000


@dataclass
class Known:
    """What this process knows of a run.

    Attributes:
        names: of metrics that the service has, as far as is known here.
        beyond: of metrics beyond those that it has room for: their points are kept.
        refused: those of them that it has refused.
        asked: whether it was looked what became of those that it has not refused.
        has_all: whether it takes any number, as was seen then.
        read: whether the run's tags were seen.
        marked: whether something is kept of it.
    """

    names: set[str] = field(default_factory=set)
    beyond: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    asked: bool = False
    has_all: bool = False
    read: bool = False
    marked: bool = False


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

    def learn(self, run: Run) -> None:
        """Take in what the service has of a run."""
        self._artifact_uris[run.info.run_id] = run.info.artifact_uri
        known = self.of(run.info.run_id)
        known.names.update(run.data.metrics)
        known.has_all = known.has_all or len(run.data.metrics) > limits.METRIC_NAMES
        known.read, known.marked = True, known.marked or KEPT in run.data.tags

    def read(self, run_id: str) -> Run:
        """Return what the service has of a run."""
        run: Run = self._service.get_run(run_id)
        self.learn(run)
        return run

    def artifact_uri(self, run_id: str) -> str:
        """Return where a run's artifacts are; it never changes."""
        if run_id not in self._artifact_uris:
            self.read(run_id)
        return self._artifact_uris[run_id]

    def records(self, run_id: str) -> Records:
        """Return the records of a run."""
        return Records(Container.at(self.artifact_uri(run_id)))

    def add_note(self, run_id: str, note: Record) -> None:
        """Add a record of the run itself."""
        self.records(run_id).add(_NOTES, note)

    def keep(self, run_id: str, kept: Kept) -> None:
        """Keep something of a run, if there is anything."""
        if kept:
            self.add_note(run_id, kept.record())

    def kept(self, run_id: str) -> Kept:
        """Return what is kept of a run."""
        return Kept.of(notes_at(self.artifact_uri(run_id)))


def notes_at(artifact_uri: str) -> list[Record]:
    """Return the records of the run itself whose artifacts are there, the oldest first."""
    return Records(Container.at(artifact_uri)).all(_NOTES).get(_NOTES, [])
