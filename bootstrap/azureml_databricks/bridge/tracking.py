"""MLflow's tracking store for a workspace."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from azureml.mlflow._store.tracking.store import AzureMLRestStore
from mlflow.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    InputTag,
    Metric,
    Param,
    Run,
    RunInfo,
    RunInputs,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking.abstract_store import AbstractStore
from mlflow.tracking import fluent
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_MODELS, MLFLOW_RUN_NAME

from azureml_databricks.bridge import answers, limits, links, searching, unavailable, workers
from azureml_databricks.bridge.artifacts import Container
from azureml_databricks.bridge.experiment import TellsWhichIsSet, legal_name
from azureml_databricks.bridge.kept import KEPT, Kept, cut, point
from azureml_databricks.bridge.outgoing import MARK, Batch, at_creation, divided, fitting, is_unasked
from azureml_databricks.bridge.records import Record, Records
from azureml_databricks.bridge.run_status import SetsEveryStatus
from azureml_databricks.bridge.searching import Search
from azureml_databricks.bridge.unavailable import NoTraces
from azureml_databricks.node import spark_conf

# MLflow's default experiment; the service has a GUID for it.
_DEFAULT_ID, _DEFAULT_NAME = "0", "Default"
# The records of the run itself.
NOTES = "run"

# A process that logs to more runs than this counts the names of those that it knew first anew.
_MOST_SEEN = 1000
# How often a batch is divided: another process may have taken the room that was there.
_DIVISIONS = 3

_Item = TypeVar("_Item")
_logger = logging.getLogger("mlflow.azureml_databricks")


@dataclass
class _Seen:
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


class WorkspaceTrackingStore(NoTraces, TellsWhichIsSet, SetsEveryStatus, AzureMLRestStore):  # type: ignore[misc]  # no types
    """The plugin's tracking store, within the limits of the service."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the store as the plugin does."""
        super().__init__(*args, **kwargs)
        self._artifact_uris: dict[str, str] = {}
        self._runs: dict[str, _Seen] = {}
        self._default_experiment = ""
        self._drains_at_exit = False
        links.lead_to_studio(WorkspaceTrackingStore)

    def artifact_uri(self, run_id: str) -> str:
        """Return where a run's artifacts are; it never changes."""
        if run_id not in self._artifact_uris:
            self.bare_run(run_id)
        return self._artifact_uris[run_id]

    def bare_run(self, run_id: str) -> Run:
        """Return what the service has of a run."""
        run: Run = super().get_run(run_id)
        self._see(run)
        return run

    def get_run(self, run_id: str) -> Run:
        """Return a run, with what is kept of it where the service has no place."""
        run = self.bare_run(run_id)
        return self._whole(run) if run.data.tags.keys() & {MARK, KEPT} else run

    def _whole(self, run: Run) -> Run:
        notes = Records(Container.at(run.info.artifact_uri)).all(NOTES).get(NOTES, [])
        return self.with_notes(Kept.of(notes).given_back(run), notes)

    def _see(self, run: Run) -> None:
        self._artifact_uris[run.info.run_id] = run.info.artifact_uri
        seen = self._seen(run.info.run_id)
        seen.names.update(run.data.metrics)
        seen.has_all = seen.has_all or len(run.data.metrics) > limits.METRIC_NAMES
        seen.read, seen.marked = True, seen.marked or KEPT in run.data.tags

    def _seen(self, run_id: str) -> _Seen:
        if run_id not in self._runs and len(self._runs) >= _MOST_SEEN:
            self._runs.pop(next(iter(self._runs)), None)
        return self._runs.setdefault(run_id, _Seen())

    def records(self, run_id: str) -> Records:
        """Return the records of a run."""
        return Records(Container.at(self.artifact_uri(run_id)))

    def note(self, run_id: str, note: Record) -> None:
        """Note something of a run."""
        self.records(run_id).add(NOTES, note)
        self.mark(self.bare_run(run_id))

    def mark(self, run: Run) -> None:
        """Make known that a run has records."""
        if MARK not in run.data.tags:
            self.set_tag(run.info.run_id, RunTag(MARK, "true"))

    def with_notes(self, run: Run, notes: list[Record]) -> Run:
        """Return the run with the data sets of its notes."""
        noted = [_data_set(fields) for note in notes for fields in note.get("datasets", ())]
        known = run.inputs.dataset_inputs if run.inputs else []
        return Run(run.info, run.data, RunInputs([*known, *noted]))

    def log_inputs(self, run_id: str, datasets: Any = None, *models: Any) -> None:
        """Log the data sets that a run used; they are noted where the service does not take them."""
        try:
            super().log_inputs(run_id, datasets, *models)
        except MlflowException as error:
            if models or not unavailable.is_missing(error):
                raise
            self.note(run_id, {"datasets": [_fields(data_set) for data_set in datasets or ()]})

    def create_run(
        self, experiment_id: str, user_id: str, start_time: int, tags: Sequence[RunTag], run_name: str | None
    ) -> Run:
        """Create a run, and let tasks that start from now on know which experiment was set.

        Tags that the service drops of a new run (`mlflow.source.*`) are set in one more request.
        """
        now, later = at_creation(tags)
        if run_name and limits.length(run_name) > limits.RUN_NAME:
            now = [tag for tag in now if tag.key != MLFLOW_RUN_NAME]
            later = [*(tag for tag in later if tag.key != MLFLOW_RUN_NAME), RunTag(MLFLOW_RUN_NAME, run_name)]
            run_name = cut(run_name, limits.RUN_NAME)
        run: Run = super().create_run(experiment_id, user_id, start_time, now, run_name)
        self._see(run)
        if experiment_id == _DEFAULT_ID:
            self._default_experiment = run.info.experiment_id
        # What was not set is told by who chooses; a single run elsewhere is nobody's choice for tasks.
        if fluent._active_experiment_id:
            workers.tell(spark_conf.DRIVERS_EXPERIMENT_ID, str(fluent._active_experiment_id))
        run = self._with_sources(run, now)
        return self._tagged(run, later) if later else run

    def _with_sources(self, run: Run, tags: Sequence[RunTag]) -> Run:
        dropped = [
            tag
            for tag in tags
            if tag.key.startswith(answers.SOURCE) and run.data.tags.get(tag.key) != tag.value
        ]
        if not dropped:
            return run
        try:
            self._send(run.info.run_id, Batch(tags=dropped))
        except MlflowException as error:  # nobody has asked for them: the run goes on without
            _logger.debug("the source of run %s is not kept: %s", run.info.run_id, error)
            return run
        run.data.tags.update({tag.key: tag.value for tag in dropped})
        return run

    def _tagged(self, run: Run, later: Sequence[RunTag]) -> Run:
        run_id = run.info.run_id
        if asked := [tag for tag in later if not is_unasked(tag.key)]:
            self._send(run_id, Batch(tags=asked))
        try:
            if unasked := [tag for tag in later if is_unasked(tag.key)]:
                self._send(run_id, Batch(tags=unasked))
        except MlflowException as error:
            _logger.debug("run %s goes on without some tags that nobody asked for: %s", run_id, error)
        return self.get_run(run_id)

    def update_run_info(
        self, run_id: str, run_status: Any, end_time: int | None, run_name: str | None
    ) -> RunInfo:
        """Change a run's status, end or name; the service answers without the artifacts' address."""
        whole = run_name
        if run_name and limits.length(run_name) > limits.RUN_NAME:
            self._send(run_id, Batch(tags=[RunTag(MLFLOW_RUN_NAME, run_name)]))
            run_name = cut(run_name, limits.RUN_NAME)
        info: RunInfo = super().update_run_info(run_id, run_status, end_time, run_name)
        if whole:
            info._set_run_name(whole)
        if not info.artifact_uri:
            info._artifact_uri = self.artifact_uri(run_id)
        return info

    def real_id(self, experiment_id: str) -> str:
        """Return an experiment's id; the service knows `0`, MLflow's default, only for a new run."""
        if experiment_id != _DEFAULT_ID:
            return experiment_id
        if not self._default_experiment:
            found = super().get_experiment_by_name(_DEFAULT_NAME)
            self._default_experiment = found.experiment_id if found else experiment_id
        return self._default_experiment

    def _call_endpoint(self, api: Any, json_body: str | None = None, *args: Any, **kwargs: Any) -> Any:
        if f'"{_DEFAULT_ID}"' in (json_body or "") and api.DESCRIPTOR.name != "CreateRun":
            json_body = self._with_real_ids(str(json_body))
        return answers.with_its_user(super()._call_endpoint(api, json_body, *args, **kwargs))

    def _with_real_ids(self, json_body: str) -> str:
        fields = json.loads(json_body)
        if "experiment_id" in fields:
            fields["experiment_id"] = self.real_id(fields["experiment_id"])
        if "experiment_ids" in fields:
            fields["experiment_ids"] = [self.real_id(each) for each in fields["experiment_ids"]]
        return json.dumps(fields)

    def create_experiment(
        self, name: str, artifact_location: str | None = None, *args: Any, **kwargs: Any
    ) -> str:
        """Create the experiment that `legal_name` says, and return its id.

        Its artifacts are in the workspace's storage, as all are: Azure ML lets no experiment say otherwise
        (https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow).
        """
        allowed = _allowed(name)
        created: str = super().create_experiment(allowed, None, *args, **kwargs)
        if artifact_location:
            _logger.warning(
                "In Azure Machine Learning all artifacts are in the workspace's storage: those of experiment "
                "%r too, and not in %r.",
                allowed,
                artifact_location,
            )
        if allowed != name:
            _logger.info("In Azure Machine Learning the experiment %r is named %r.", name, allowed)
        return created

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return the experiment that `legal_name` says, None if there is none."""
        found: Experiment | None = super().get_experiment_by_name(_allowed(name))
        return found

    def rename_experiment(self, experiment_id: str, new_name: str) -> NoReturn:
        """Say that there is no such thing.

        Source: https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow
        """
        raise MlflowException.invalid_parameter_value(
            f"Azure Machine Learning renames no experiments: {experiment_id} cannot become {new_name!r}; "
            f'`mlflow.set_experiment("{new_name}")` makes one of that name'
        )

    def log_batch(
        self, run_id: str, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]
    ) -> None:
        """Log metrics, params and tags of a run; what the service has no room for is kept in its records."""
        self._send(run_id, Batch(list(metrics), list(params), list(tags)))

    def log_metric(self, run_id: str, metric: Metric) -> None:
        """Log a metric of a run."""
        self.log_batch(run_id, [metric], [], [])

    def log_param(self, run_id: str, param: Param) -> None:
        """Log a param of a run."""
        self.log_batch(run_id, [], [param], [])

    def set_tag(self, run_id: str, tag: RunTag) -> None:
        """Set a tag of a run."""
        self.log_batch(run_id, [], [], [tag])

    def delete_tag(self, run_id: str, key: str) -> None:
        """Take a tag off a run."""
        seen, missing = self._seen(run_id), None
        try:
            super().delete_tag(run_id, key)
        except MlflowException as error:
            if not limits.may_be_met(error) and error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            missing = error
        if seen.read and not seen.marked and not missing:
            return
        if key in self._kept(run_id).tags:
            self._keep(run_id, Kept(untagged=[key]))
        elif missing:
            raise missing

    def record_logged_model(self, run_id: str, mlflow_model: Any) -> None:
        """Add a model to the list that MLflow 2 has of a run's models."""
        try:
            super().record_logged_model(run_id, mlflow_model)
        except MlflowException as error:
            if not limits.may_be_met(error):
                raise
            models = json.loads(self.get_run(run_id).data.tags.get(MLFLOW_LOGGED_MODELS, "[]"))
            # MLflow before 2.13 has all of the model there.
            models.append(getattr(mlflow_model, "get_tags_dict", mlflow_model.to_dict)())
            self.set_tag(run_id, RunTag(MLFLOW_LOGGED_MODELS, json.dumps(models)))

    def _send(self, run_id: str, batch: Batch) -> None:
        """Log a batch, in as many requests as the service wants: first what is kept, then what names it."""
        batch, kept = fitting(batch)
        seen = self._seen(run_id)
        beyond = self._beyond(seen, batch.metrics)
        kept.metrics = [point(metric) for metric in batch.metrics if metric.key in beyond]
        batch.metrics = [metric for metric in batch.metrics if metric.key not in seen.refused]
        wholes, kept.wholes = Kept(wholes=kept.wholes), []
        if (wholes or kept) and not seen.marked:
            batch.tags.insert(0, RunTag(KEPT, "true"))
        self._keep(run_id, wholes)
        if batch or not (wholes or kept):
            for request in batch.requests():
                self._log(run_id, request, beyond)
        self._keep(run_id, kept)
        seen.marked = seen.marked or bool(wholes or kept)
        if not seen.asked and any(metric.key in beyond - seen.refused for metric in batch.metrics):
            seen.asked = True
            self.bare_run(run_id)

    def _beyond(self, seen: _Seen, metrics: Iterable[Metric]) -> frozenset[str]:
        """Return the names that the service may drop without a word, since it has as many as it takes."""
        if seen.has_all:
            return frozenset(seen.refused)
        for metric in metrics:
            if metric.key not in seen.names:
                (seen.names if len(seen.names) < limits.METRIC_NAMES else seen.beyond).add(metric.key)
        return frozenset(seen.beyond)

    def _log(self, run_id: str, batch: Batch, kept_names: frozenset[str]) -> None:
        try:
            super().log_batch(run_id, batch.metrics, batch.params, batch.tags)
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
        seen = self._seen(run_id)
        for room in (*[True] * (_DIVISIONS - 1), False):
            run = self.bare_run(run_id)
            parts = divided(batch, run, room=room)
            if not parts.kept and limits.is_met(refusal):
                parts = divided(batch, run, room=False)
            if not parts.kept:
                raise refusal
            self._require_unchanged(run, batch.params, parts.kept)
            names = {name for name, *_ in parts.kept.metrics}
            parts.kept.metrics = [each for each in parts.kept.metrics if each[0] not in kept_names]
            seen.beyond |= names
            seen.refused |= names
            seen.names -= names
            self._keep(run_id, parts.kept)
            for key in parts.gives_way:
                super().delete_tag(run_id, key)
            try:
                if parts.fits:
                    super().log_batch(run_id, parts.fits.metrics, parts.fits.params, parts.fits.tags)
            except MlflowException as error:
                if not limits.may_be_met(error):
                    raise
                refusal = error
            else:
                seen.marked = True
                return
        raise refusal

    def _require_unchanged(self, run: Run, params: Iterable[Param], kept: Kept) -> None:
        """Refuse other values of params that there are, as MLflow does, and keep none twice."""
        before = self._kept(run.info.run_id) if KEPT in run.data.tags and kept.params else Kept()
        held = {**before.params, **run.data.params}
        for param in params:
            if held.get(param.key, param.value) != param.value:
                old, new = before.whole({"old": held[param.key], "new": param.value}).values()
                raise MlflowException.invalid_parameter_value(
                    f"Changing param values is not allowed. Param with key='{param.key}' was already logged "
                    f"with value='{old}' for run ID='{run.info.run_id}'. Attempted logging new value '{new}'."
                )
        for key in before.params:
            kept.params.pop(key, None)

    def _keep(self, run_id: str, kept: Kept) -> None:
        if kept:
            self.records(run_id).add(NOTES, kept.record())

    def _kept(self, run_id: str) -> Kept:
        return Kept.of(self.records(run_id).all(NOTES).get(NOTES, []))

    def get_metric_history(
        self, run_id: str, metric_key: str, max_results: int | None = None, page_token: str | None = None
    ) -> PagedList[Metric]:
        """Return a metric's history; of a run of which points are kept, all of it in one page."""
        history = super().get_metric_history

        def search(size: int | None, token: str | None) -> PagedList[Metric]:
            page = history(run_id, metric_key, size, token)
            return PagedList(page, page.token)

        page = in_pages(search, max_results or sys.maxsize, page_token, limits.HISTORY_PAGE)
        seen = self._seen(run_id)
        if page_token or not (seen.marked or not page):
            return page
        if not seen.marked and KEPT not in self.bare_run(run_id).data.tags:
            return page
        rest = in_pages(search, sys.maxsize, page.token, limits.HISTORY_PAGE) if page.token else []
        return PagedList(self._kept(run_id).history(metric_key, [*page, *rest]), None)

    def log_batch_async(self, *args: Any, **kwargs: Any) -> Any:
        """Log in the background, by MLflow's own queue, and at exit what is left in it."""
        if not self._drains_at_exit:
            self._drains_at_exit = True
            # The queue does this `atexit`, when Python has closed all thread pools, and loses what it has.
            threading._register_atexit(self._async_logging_queue._at_exit_callback)  # type: ignore[attr-defined]
        return AbstractStore.log_batch_async(self, *args, **kwargs)

    def search_experiments(
        self,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int | None = None,
        filter_string: str | None = None,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[Experiment]:
        """Return a page of experiments, of any size."""
        search = super().search_experiments
        return in_pages(
            lambda size, token: search(view_type, size, filter_string, order_by, token),
            max_results,
            page_token,
        )

    def _search_runs(
        self,
        experiment_ids: list[str],
        filter_string: str | None,
        run_view_type: int,
        max_results: int | None,
        order_by: list[str] | None,
        page_token: str | None,
    ) -> tuple[list[Run], str | None]:
        wanted = Search.of(filter_string, order_by)

        def ask(asked: str, order: Sequence[str], size: int, token: str | None = None) -> PagedList[Run]:
            return self.found_by_service(experiment_ids, asked, run_view_type, size, order, token)

        size = searching.MOST if max_results is None else max_results
        simple, marked = wanted.is_of_service and not searching.is_ours(page_token), list[Run]()
        if not wanted.is_exact and (page_token is None or not simple):
            marked = ask(wanted.marked_filter, [], sys.maxsize)
        if simple and not marked:
            found = ask(wanted.asked_filter, wanted.order_by, size, page_token)
            return self._whole_runs(found), found.token
        begin = searching.offset(page_token)
        enough = begin + size + len(marked) if wanted.is_of_service else sys.maxsize
        found = ask(wanted.asked_filter, wanted.order_by if wanted.is_of_service else [], enough)
        runs = {run.info.run_id: run for run in (*found, *marked)}
        whole = wanted.found(self._whole_runs(runs.values()))
        return searching.page(whole, begin, size, more=bool(found.token))

    def found_by_service(
        self,
        experiment_ids: list[str],
        filter_string: str,
        run_view_type: int,
        max_results: int,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> PagedList[Run]:
        """Return a page of runs, of any size, as the service finds and has them."""
        one_page = super()._search_runs

        def search(size: int | None, token: str | None) -> PagedList[Run]:
            return PagedList(*one_page(experiment_ids, filter_string, run_view_type, size, order_by, token))

        return in_pages(search, max_results, page_token)

    def _whole_runs(self, runs: Iterable[Run]) -> list[Run]:
        """Return runs with what is kept of them; most searches find none of which anything is."""
        found = list(runs)
        kept = [run for run in found if KEPT in run.data.tags]
        if not kept:
            return found
        with ThreadPoolExecutor(max_workers=8) as pool:
            whole = {run.info.run_id: run for run in pool.map(self._whole, kept)}
        return [whole.get(run.info.run_id, run) for run in found]


def in_pages(
    search: Callable[[int | None, str | None], PagedList[_Item]],
    max_results: int | None,
    token: str | None,
    largest: int = limits.SEARCH_PAGE,
) -> PagedList[_Item]:
    """Return a page of `max_results`, put together of pages as large as the service gives.

    Args:
        search: takes a page's size and token.
        max_results: what was asked for; None for what the service thinks right.
        token: where to begin, None for the beginning.
        largest: the most that the service gives at once.
    """
    if max_results is None:
        return search(None, token)
    found: list[_Item] = []
    while True:
        page = search(min(largest, max_results - len(found)), token)
        found += page
        token = page.token or None
        if not token or len(found) >= max_results:
            return PagedList(found, token)


def _fields(used: DatasetInput) -> Record:
    return {"dataset": dict(used.dataset), "tags": {tag.key: tag.value for tag in used.tags}}


def _data_set(fields: Record) -> DatasetInput:
    tags = [InputTag(key, value) for key, value in fields["tags"].items()]
    return DatasetInput(Dataset(**fields["dataset"]), tags)


def _allowed(name: str) -> str:
    allowed = legal_name(name)
    if not allowed:
        raise MlflowException.invalid_parameter_value(
            f"experiment name {name!r} has nothing in it that Azure Machine Learning allows in a name: "
            "use the letters a to z, digits, _ and -"
        )
    return allowed
