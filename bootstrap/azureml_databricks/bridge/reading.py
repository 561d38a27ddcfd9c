"""Reads runs whole: what the service has of them, with what is kept in their records."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from mlflow.entities import Metric, Run
from mlflow.store.entities.paged_list import PagedList

from azureml_databricks.bridge.kept import KEPT, Kept
from azureml_databricks.bridge.known_runs import KnownRuns, notes_at
from azureml_databricks.bridge.outgoing import MARK, MODELS, SHARED
from azureml_databricks.bridge.parallel import in_parallel
from azureml_databricks.bridge.records import Record
from azureml_databricks.bridge.sending import Sender
from azureml_databricks.bridge.service import Service


class _LinkedRun(Run):
    """A run whose data sets and models are read when somebody looks at them: few do, and each is asked for.

    Args:
        run: as the service has it.
        read: returns it with them.
    """

    def __init__(self, run: Run, read: Callable[[], Run]) -> None:
        super().__init__(run.info, run.data, run.inputs)
        self._read = read
        self._whole: Run | None = None

    # MLflow prints and copies the properties that it finds in the class itself.
    info, data = Run.info, Run.data

    @property
    def inputs(self) -> Any:
        """What it used."""
        return self._linked().inputs

    if hasattr(Run, "outputs"):

        @property
        def outputs(self) -> Any:
            """What it made."""
            return self._linked().outputs

    def __reduce__(self) -> Any:
        outputs = (self.outputs,) if hasattr(self, "outputs") else ()
        return Run, (self.info, self.data, self.inputs, *outputs)

    def _linked(self) -> Run:
        if self._whole is None:
            self._whole = self._read()
        return self._whole


_LinkedRun.__name__ = Run.__name__


class Reader:
    """Reads runs.

    Args:
        service: whose runs they are.
        runs: what is known of them.
        sender: keeps what the service was seen to have dropped.
        with_notes: gives a run what its records tell beside what is kept.
        keep_what_waits: keeps what is to be a record of a run.
    """

    def __init__(
        self,
        service: Service,
        runs: KnownRuns,
        sender: Sender,
        with_notes: Callable[[Run, list[Record]], Run],
        keep_what_waits: Callable[[str], None],
    ) -> None:
        """Take all five."""
        self._service = service
        self._runs = runs
        self._sender = sender
        self._with_notes = with_notes
        self._keep_what_waits = keep_what_waits

    def run(self, run_id: str, *, has_notes: bool) -> Run:
        """Return a run; `has_notes` if some wait to be kept."""
        run = self._sender.read(run_id)
        if KEPT in run.data.tags:
            return self._whole(run)
        if MARK in run.data.tags or has_notes:
            return _LinkedRun(_without_mark(run), partial(self._whole, run))
        return run

    def found(self, runs: Iterable[Run]) -> list[Run]:
        """Return runs that a search has found; of most nothing is kept."""
        found = list(map(_without_mark, runs))
        kept = [run for run in found if KEPT in run.data.tags]
        if not kept:
            return found
        whole = {run.info.run_id: run for run in in_parallel(self._whole, kept)}
        return [whole.get(run.info.run_id, run) for run in found]

    def history(
        self, run_id: str, metric_key: str, max_results: int | None, page_token: str | None
    ) -> PagedList[Metric]:
        """Return a metric's history; of a run of which points are kept, all of it in one page."""
        page = self._service.history(run_id, metric_key, max_results or sys.maxsize, page_token)
        known = self._runs.of(run_id)
        if page_token or not (known.marked or not page):
            return page
        if not known.marked and KEPT not in self._sender.read(run_id).data.tags:
            return page
        rest = self._service.history(run_id, metric_key, sys.maxsize, page.token) if page.token else []
        return PagedList(self._runs.kept(run_id).history(metric_key, [*page, *rest]), None)

    def _whole(self, run: Run) -> Run:
        self._keep_what_waits(run.info.run_id)
        notes = notes_at(run.info.artifact_uri)
        return _without_mark(self._with_notes(Kept.of(notes).given_back(run), notes))


def _without_mark(run: Run) -> Run:
    """Return the run without the tags that are about its records: nobody has set them."""
    for mark in (MARK, SHARED, MODELS):
        run.data.tags.pop(mark, None)
    return run
