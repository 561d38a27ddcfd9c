"""MLflow's tracking store for a workspace."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

from azureml.mlflow._store.tracking.store import AzureMLRestStore
from mlflow.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    ExperimentTag,
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
from mlflow.store.tracking import SEARCH_MAX_RESULTS_THRESHOLD
from mlflow.tracking import fluent
from mlflow.utils.async_logging.run_operations import RunOperations
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_MODELS, MLFLOW_RUN_NAME
from mlflow.utils.search_utils import SearchExperimentsUtils

from azureml_databricks.bridge import (
    experiment_names,
    limits,
    links,
    points_of_models,
    refusals,
    searching,
    unavailable,
    workers,
)
from azureml_databricks.bridge.background import done_in_a_task
from azureml_databricks.bridge.batches_in_background import BatchesInBackground
from azureml_databricks.bridge.creation import Creation
from azureml_databricks.bridge.experiment import TellsWhichIsSet
from azureml_databricks.bridge.kept import cut
from azureml_databricks.bridge.known_runs import NOTES, KnownRuns
from azureml_databricks.bridge.of_this_process import OfThisProcess
from azureml_databricks.bridge.outgoing import Batch
from azureml_databricks.bridge.pages import Begun, in_pages, in_pages_of_all
from azureml_databricks.bridge.reading import Reader
from azureml_databricks.bridge.records import Entry, Record
from azureml_databricks.bridge.searching import Search, SoFar
from azureml_databricks.bridge.sending import Sender
from azureml_databricks.bridge.service import Service
from azureml_databricks.bridge.unavailable import NoTraces
from azureml_databricks.bridge.waiting_records import WaitingRecords
from azureml_databricks.node import spark_conf

_logger = logging.getLogger("mlflow.azureml_databricks")

# Hosts that take no data sets of runs: one answer a process.
_take_no_inputs: set[str] = set()


class WorkspaceTrackingStore(NoTraces, TellsWhichIsSet, AzureMLRestStore):  # type: ignore[misc]  # no types
    """What MLflow calls: as the plugin's tracking store, for whatever MLflow's own server takes.

    Attributes:
        service: what the service itself has and takes.
        runs: what is known of runs.
        sender: logs to them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the store as the plugin does."""
        super().__init__(*args, **kwargs)
        self.service = Service(*args, **kwargs)
        self.runs = KnownRuns(self.service)
        self.sender = Sender(self.service, self.runs)
        self._reader = Reader(self.service, self.runs, self.sender, self.with_notes, self.keep_what_waits)
        self._creation = Creation(self.service, self.runs, self.sender)
        self._background = OfThisProcess(partial(BatchesInBackground, self._log))
        self._searches: Begun[SoFar] = Begun()
        self._found: Begun[list[Experiment]] = Begun()
        self._waiting = OfThisProcess(partial(WaitingRecords, self._keep, points_of_models.join))
        links.lead_to_studio(WorkspaceTrackingStore)

    def _call_endpoint(self, *args: Any, **kwargs: Any) -> Any:
        return self.service._call_endpoint(*args, **kwargs)

    def create_run(
        self, experiment_id: str, user_id: str, start_time: int, tags: Sequence[RunTag], run_name: str | None
    ) -> Run:
        """Create a run, and let tasks that start from now on know which experiment was set."""
        run, has_more = self._creation.create(experiment_id, user_id, start_time, tags, run_name)
        # What was not set is told by who chooses; a single run elsewhere is nobody's choice for tasks.
        if fluent._active_experiment_id:
            workers.tell(spark_conf.DRIVERS_EXPERIMENT_ID, str(fluent._active_experiment_id))
        return self.get_run(run.info.run_id) if has_more else run

    def note(self, run_id: str, folder: str, record: Record) -> None:
        """Note something of a run, soon; at once in a task of Spark's, whose process may be ended any time.

        Raises:
            MlflowException: there is no such run.
        """
        self.runs.artifact_uri(run_id)
        self._waiting.get().add(run_id, folder, record)
        if spark_conf.in_task():
            self.keep_what_waits(run_id)

    def keep_what_waits(self, run_id: str = "") -> None:
        """Wait until all that was noted is kept, or what was noted of one run.

        Raises:
            MlflowException: Azure refuses; it waits for the next call.
        """
        if self._waiting:
            self._waiting.get().flush(run_id)

    def waiting(self, run_id: str) -> list[Entry]:
        """Return what was noted of a run and waits to be kept."""
        return self._waiting.get().of(run_id) if self._waiting else []

    def _keep(self, run_id: str, entries: list[Entry]) -> None:
        self.sender.add_records(run_id, entries)

    def get_run(self, run_id: str) -> Run:
        """Return a run, with what is kept of it where the service has no place."""
        has_notes = any(entry.folder == NOTES for entry in self.waiting(run_id))
        return self._reader.run(run_id, has_notes=has_notes)

    def with_notes(self, run: Run, notes: list[Record]) -> Run:
        """Return the run with the data sets of its notes."""
        noted = [_data_set(fields) for note in notes for fields in note.get("datasets", ())]
        known = run.inputs.dataset_inputs if run.inputs else []
        return Run(run.info, run.data, RunInputs([*known, *noted]))

    def update_run_info(
        self, run_id: str, run_status: Any, end_time: int | None, run_name: str | None
    ) -> RunInfo:
        """Change a run's status, end or name; then what was noted is kept, or the error raised.

        The service answers without the artifacts' address.
        """
        whole = run_name
        if run_name and limits.length(run_name) > limits.RUN_NAME:
            self.sender.send(run_id, Batch(tags=[RunTag(MLFLOW_RUN_NAME, run_name)]))
            run_name = cut(run_name, limits.RUN_NAME)
        info = self.service.update_run_info(run_id, run_status, end_time, run_name)
        if end_time:
            # MLflow has read the run by now, if it ever does: to print where it is (2.19 does, 2.13 not).
            self.runs.of(run_id).unseen.clear()
        if whole:
            info._set_run_name(whole)
        if not info.artifact_uri:
            info._artifact_uri = self.runs.artifact_uri(run_id)
        self.keep_what_waits()
        return info

    def log_batch(
        self, run_id: str, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]
    ) -> None:
        """Log metrics, params and tags of a run; what the service has no room for is kept in its records."""
        self.sender.send(run_id, Batch(list(metrics), list(params), list(tags)))

    def log_metric(self, run_id: str, metric: Metric) -> None:
        """Log a metric of a run."""
        _require(key=metric.key, value=metric.value)
        self.log_batch(run_id, [metric], [], [])

    def log_param(self, run_id: str, param: Param) -> None:
        """Log a param of a run."""
        _require(key=param.key, value=param.value)
        self.log_batch(run_id, [], [param], [])

    def set_tag(self, run_id: str, tag: RunTag) -> None:
        """Set a tag of a run."""
        _require(key=tag.key, value=tag.value)
        self.log_batch(run_id, [], [], [tag])

    def delete_tag(self, run_id: str, key: str) -> None:
        """Take a tag off a run."""
        self.sender.untag(run_id, key)

    def log_batch_async(
        self, run_id: str, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]
    ) -> RunOperations:
        """Log in the background."""
        batch = Batch(list(metrics), list(params), list(tags))
        return RunOperations([done_in_a_task(self._background.get().log(run_id, batch))])

    def _log(self, run_id: str, batch: Batch) -> None:
        self.log_batch(run_id, batch.metrics, batch.params, batch.tags)

    def end_async_logging(self) -> None:
        """Wait until what was logged in the background is sent; MLflow calls it before it ends a run."""
        if self._background:
            self._background.get().wait()

    shut_down_async_logging = end_async_logging

    def flush_async_logging(self) -> None:
        """Wait until all that was logged in the background is there."""
        self.end_async_logging()
        self.keep_what_waits()

    def log_inputs(self, run_id: str, datasets: Any = None, *models: Any) -> None:
        """Log the data sets that a run used; they are noted where the service does not take them."""
        host = self.service_context.host_url
        try:
            if models or host not in _take_no_inputs:
                super().log_inputs(run_id, datasets, *models)
                return
        except MlflowException as error:
            if models or not unavailable.is_missing(error):
                raise
            _take_no_inputs.add(host)
        if datasets:
            self.note(run_id, NOTES, {"datasets": [_fields(data_set) for data_set in datasets or ()]})

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

    def get_metric_history(
        self, run_id: str, metric_key: str, max_results: int | None = None, page_token: str | None = None
    ) -> PagedList[Metric]:
        """Return a metric's history; of a run of which points are kept, all of it in one page."""
        return self._reader.history(run_id, metric_key, max_results, page_token)

    def _search_runs(
        self,
        experiment_ids: list[str],
        filter_string: str | None,
        run_view_type: int,
        max_results: int | None,
        order_by: list[str] | None,
        page_token: str | None,
    ) -> tuple[list[Run], str | None]:
        def ask(asked: str, order: Sequence[str], size: int, token: str | None = None, /) -> PagedList[Run]:
            return self.service.found_runs(experiment_ids, asked, run_view_type, size, order, token)

        if max_results is not None:
            limits.require_page(max_results, SEARCH_MAX_RESULTS_THRESHOLD)
        self.keep_what_waits()
        wanted = Search.of(filter_string, order_by)
        known_as = (*experiment_ids, run_view_type, filter_string, *(order_by or ()))
        so_far = (self._searches.take(known_as) if page_token else None) or SoFar()
        page, token = searching.search(ask, self._reader.found, wanted, max_results, page_token, so_far)
        if token:
            self._searches.keep(known_as, so_far)
        return page, token

    def create_experiment(
        self,
        name: str,
        artifact_location: str | None = None,
        tags: Sequence[ExperimentTag] | None = None,
        **kwargs: Any,
    ) -> str:
        """Create an experiment under the name that Azure ML allows for `name`, and return its id.

        Its artifacts are in the workspace's storage, as all are: Azure ML lets no experiment say otherwise
        (https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow).
        """
        allowed = experiment_names.legal(name)
        created: str = super().create_experiment(
            allowed, None, [*(tags or ()), *experiment_names.tags(name)], **kwargs
        )
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
        """Return the experiment of that name, None if there is none."""
        found: Experiment | None = super().get_experiment_by_name(experiment_names.legal(name))
        return found

    def search_experiments(
        self,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int | None = None,
        filter_string: str | None = None,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[Experiment]:
        """Return a page of experiments, of any size; all are read for a search that their names decide."""
        if max_results is not None:
            limits.require_page(max_results, SEARCH_MAX_RESULTS_THRESHOLD)
        search = super().search_experiments

        def ask(size: int | None, token: str | None) -> PagedList[Experiment]:
            return search(view_type, size, filter_string, order_by, token)

        if not experiment_names.decide(filter_string, order_by):
            return in_pages(ask, max_results, page_token)

        def find_all() -> list[Experiment]:
            known = in_pages(
                lambda size, token: search(view_type, size, None, None, token), sys.maxsize, None
            )
            found = SearchExperimentsUtils.filter(known, filter_string)
            return list(SearchExperimentsUtils.sort(found, order_by or ["creation_time DESC"]))

        known_as = (view_type, filter_string, *(order_by or ()))
        return in_pages_of_all(self._found, known_as, find_all, max_results or sys.maxsize, page_token)

    def rename_experiment(self, experiment_id: str, new_name: str) -> NoReturn:
        """Say that there is no such thing.

        Source: https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow
        """
        _require(new_name=new_name)
        raise MlflowException.invalid_parameter_value(
            f"Azure Machine Learning renames no experiments: {experiment_id} cannot become {new_name!r}; "
            f'`mlflow.set_experiment("{new_name}")` makes one of that name'
        )


def _require(**parameters: object) -> None:
    """Refuse a call with no value where MLflow's own server refuses it."""
    for name, value in parameters.items():
        if value is None:
            raise refusals.missing(name)


def _fields(used: DatasetInput) -> Record:
    return {"dataset": dict(used.dataset), "tags": {tag.key: tag.value for tag in used.tags}}


def _data_set(fields: Record) -> DatasetInput:
    tags = [InputTag(key, value) for key, value in fields["tags"].items()]
    return DatasetInput(Dataset(**fields["dataset"]), tags)
