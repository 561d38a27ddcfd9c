"""Logs to runs within the limits of the service; what it has no room for is kept in the run's records."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from mlflow.entities import Param, Run, RunTag
from mlflow.exceptions import MlflowException

from azureml_databricks.bridge import limits
from azureml_databricks.bridge.kept import KEPT, Kept, point
from azureml_databricks.bridge.known_runs import KnownRuns
from azureml_databricks.bridge.outgoing import MODELS, SHARED, Batch, divided, fitting
from azureml_databricks.bridge.records import Entry
from azureml_databricks.bridge.service import Service

_logger = logging.getLogger("mlflow.azureml_databricks")

# How often a batch is divided: another process may have taken the room that was there.
_DIVISIONS = 3


class Sender:
    """Logs to runs.

    Args:
        service: what it is sent to.
        runs: what is known of them.
    """

    def __init__(self, service: Service, runs: KnownRuns) -> None:
        """Take both."""
        self._service = service
        self._runs = runs

    def send(self, run_id: str, batch: Batch) -> None:
        """Log a batch, in as many requests as the service wants: first what is kept, then what names it.

        Raises:
            MlflowException: the service refuses it, for no limit; or MLflow itself does.
        """
        batch, kept = fitting(batch)
        known = self._runs.of(run_id)
        beyond = known.find_beyond(batch.metrics)
        kept.metrics = [point(metric) for metric in batch.metrics if metric.key in beyond]
        batch.metrics = [metric for metric in batch.metrics if metric.key not in known.refused]
        wholes, kept.wholes = Kept(wholes=kept.wholes), []
        if (wholes or kept) and not known.marked:
            batch.tags.insert(0, RunTag(KEPT, "true"))
        self._runs.keep(run_id, wholes)
        if batch or not (wholes or kept):
            for request in batch.requests():
                self._log(run_id, request, beyond)
        self._runs.keep(run_id, kept)
        known.marked = known.marked or bool(wholes or kept)
        must_look = known.note_sent(batch.metrics)
        if not known.asked and any(metric.key in beyond - known.refused for metric in batch.metrics):
            must_look = known.asked = True
        if must_look:
            self._runs.read(run_id)
        self._keep_dropped(run_id)

    def read(self, run_id: str) -> Run:
        """Return what the service has of a run, when what it has dropped is kept."""
        run = self._runs.read(run_id)
        if self._keep_dropped(run_id):
            run.data.tags[KEPT] = "true"
        return run

    def untag(self, run_id: str, key: str) -> None:
        """Take a tag off a run.

        Raises:
            MlflowException: it has none of that name.
        """
        known, missing = self._runs.of(run_id), None
        try:
            self._service.delete_tag(run_id, key)
        except MlflowException as error:
            if not limits.may_be_met(error) and error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            missing = error
        if known.read and not known.marked and not missing:
            return
        if key in self._runs.kept(run_id).tags:
            self._runs.keep(run_id, Kept(untagged=[key]))
        elif missing:
            raise missing

    def add_records(self, run_id: str, entries: list[Entry]) -> None:
        """Add records of logged models and data sets to a run that is known to have some, or is to be."""
        known = self._runs.of(run_id)
        if missing := known.missing_marks:
            self.send(run_id, Batch(tags=[RunTag(mark, "true") for mark in sorted(missing)]))
            known.marks |= missing
        self._runs.records(run_id).add(entries)

    def say_models(self, run_id: str, text: str) -> None:
        """Say the models of a run in a tag, or, with no text, that what was said is not right any more.

        Nobody has asked for it: where the service refuses it, a search reads the records.
        """
        known = self._runs.of(run_id)
        try:
            if text:
                self._service.log_batch(run_id, [], [], [RunTag(MODELS, text)])
                known.says_models = True
                return
        except MlflowException as error:
            _logger.debug("no tag says the models of run %s: %s", run_id, error)
        if known.says_models:
            self.send(run_id, Batch(tags=[RunTag(SHARED, "true")]))
            known.marks.add(SHARED)

    def _log(self, run_id: str, batch: Batch, kept_names: frozenset[str]) -> None:
        try:
            self._service.log_batch(run_id, batch.metrics, batch.params, batch.tags)
        except MlflowException as error:
            if not limits.may_be_met(error):
                raise
            self._log_what_fits(run_id, batch, kept_names, error)

    def _log_what_fits(
        self, run_id: str, batch: Batch, kept_names: frozenset[str], refusal: MlflowException
    ) -> None:
        """Log as much of a batch as the run has room for, and keep the rest.

        Args:
            run_id: the run.
            batch: what the service has refused.
            kept_names: of metrics whose points are kept by who calls.
            refusal: how the service said it.

        Raises:
            MlflowException: it is not for a limit that the service refuses the batch.
        """
        known = self._runs.of(run_id)
        for room in (*[True] * (_DIVISIONS - 1), False):
            run = self._runs.read(run_id)
            parts = divided(batch, run, room=room)
            if not parts.kept and limits.is_met(refusal):
                parts = divided(batch, run, room=False)
            there_is_room = not parts.kept
            self._require_unchanged(run, batch.params, parts.kept)
            if there_is_room:
                raise refusal
            names = {name for name, *_ in parts.kept.metrics}
            parts.kept.metrics = [each for each in parts.kept.metrics if each[0] not in kept_names]
            known.note_refused(names)
            self._runs.keep(run_id, parts.kept)
            for key in parts.gives_way:
                self._service.delete_tag(run_id, key)
            try:
                if parts.fits:
                    self._service.log_batch(run_id, parts.fits.metrics, parts.fits.params, parts.fits.tags)
            except MlflowException as error:
                if not limits.may_be_met(error):
                    raise
                refusal = error
            else:
                known.marked = True
                return
        raise refusal

    def _keep_dropped(self, run_id: str) -> bool:
        known = self._runs.of(run_id)
        if not (dropped := list(known.dropped)):
            return False
        if not known.marked:
            self._log(run_id, Batch(tags=[RunTag(KEPT, "true")]), frozenset())
        self._runs.keep(run_id, Kept(metrics=dropped))
        known.marked = True
        del known.dropped[: len(dropped)]
        return True

    def _require_unchanged(self, run: Run, params: Iterable[Param], kept: Kept) -> None:
        """Refuse other values of params that there are, as MLflow does, and keep none twice."""
        known = run.data.params
        is_changed = any(known.get(param.key, param.value) != param.value for param in params)
        is_looked_up = KEPT in run.data.tags and (kept.params or is_changed)
        before = self._runs.kept(run.info.run_id) if is_looked_up else Kept()
        held = {**before.params, **known}
        for param in params:
            if held.get(param.key, param.value) != param.value:
                old, new = before.whole({"old": held[param.key], "new": param.value}).values()
                raise MlflowException.invalid_parameter_value(
                    f"Changing param values is not allowed. Param with key='{param.key}' was already logged "
                    f"with value='{old}' for run ID='{run.info.run_id}'. Attempted logging new value '{new}'."
                )
        for key in before.params:
            kept.params.pop(key, None)
