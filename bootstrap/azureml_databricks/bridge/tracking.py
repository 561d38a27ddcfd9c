"""MLflow's tracking store for a workspace."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from azureml.mlflow._store.tracking.store import AzureMLRestStore
from mlflow.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    InputTag,
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

from azureml_databricks.bridge import answers, links, unavailable, workers
from azureml_databricks.bridge.artifacts import Container
from azureml_databricks.bridge.experiment import legal_name
from azureml_databricks.bridge.records import Record, Records
from azureml_databricks.bridge.unavailable import NoTraces
from azureml_databricks.node import spark_conf

# Reported by users of the service: the most that one request may hold.
_METRICS, _PARAMS, _TAGS = 200, 100, 100
_PAGE = 1000

# MLflow's default experiment; the service has a GUID for it.
_DEFAULT_ID, _DEFAULT_NAME = "0", "Default"

# Marks runs that have records, so that others are read in one request as ever.
MARK = "azureml_databricks.records"
# The records of the run itself.
NOTES = "run"

_Item = TypeVar("_Item")
_logger = logging.getLogger("mlflow.azureml_databricks")


class WorkspaceTrackingStore(NoTraces, AzureMLRestStore):  # type: ignore[misc]  # the plugin has no types
    """The plugin's tracking store, within the limits of the service."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the store as the plugin does."""
        super().__init__(*args, **kwargs)
        self._artifact_uris: dict[str, str] = {}
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
        self._artifact_uris[run_id] = run.info.artifact_uri
        return run

    def get_run(self, run_id: str) -> Run:
        """Return a run, with what was noted of it where the service has no place."""
        run = self.bare_run(run_id)
        return (
            self.with_notes(run, self.records(run_id).all(NOTES).get(NOTES, []))
            if MARK in run.data.tags
            else run
        )

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
        run: Run = super().create_run(experiment_id, user_id, start_time, tags, run_name)
        self._artifact_uris[run.info.run_id] = run.info.artifact_uri
        if experiment_id == _DEFAULT_ID:
            self._default_experiment = run.info.experiment_id
        # What was not set is told by who chooses; a single run elsewhere is nobody's choice for tasks.
        if fluent._active_experiment_id:
            workers.tell(spark_conf.DRIVERS_EXPERIMENT_ID, str(fluent._active_experiment_id))
        return self._with_sources(run, tags)

    def _with_sources(self, run: Run, tags: Sequence[RunTag]) -> Run:
        dropped = [
            tag
            for tag in tags
            if tag.key.startswith(answers.SOURCE) and run.data.tags.get(tag.key) != tag.value
        ]
        if not dropped:
            return run
        try:
            super().log_batch(run.info.run_id, [], [], dropped)
        except MlflowException as error:  # nobody has asked for them: the run goes on without
            _logger.debug("the source of run %s is not kept: %s", run.info.run_id, error)
            return run
        run.data.tags.update({tag.key: tag.value for tag in dropped})
        return run

    def update_run_info(self, run_id: str, *args: Any, **kwargs: Any) -> RunInfo:
        """Change a run's status, end or name; the service answers without the artifacts' address."""
        info: RunInfo = super().update_run_info(run_id, *args, **kwargs)
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
        self, run_id: str, metrics: Sequence[Any], params: Sequence[Any], tags: Sequence[Any]
    ) -> None:
        """Log metrics, params and tags of a run, in as many requests as the service wants."""
        batches = max(1, -(-len(metrics) // _METRICS), -(-len(params) // _PARAMS), -(-len(tags) // _TAGS))
        for i in range(batches):
            super().log_batch(
                run_id,
                metrics[i * _METRICS : (i + 1) * _METRICS],
                params[i * _PARAMS : (i + 1) * _PARAMS],
                tags[i * _TAGS : (i + 1) * _TAGS],
            )

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
        one_page = super()._search_runs

        def search(size: int | None, token: str | None) -> PagedList[Run]:
            return PagedList(*one_page(experiment_ids, filter_string, run_view_type, size, order_by, token))

        found = in_pages(search, max_results, page_token)
        return list(found), found.token


def in_pages(
    search: Callable[[int | None, str | None], PagedList[_Item]], max_results: int | None, token: str | None
) -> PagedList[_Item]:
    """Return a page of `max_results`, put together of pages as large as the service gives.

    Args:
        search: takes a page's size and token.
        max_results: what was asked for; None for what the service thinks right.
        token: where to begin, None for the beginning.
    """
    if max_results is None:
        return search(None, token)
    found: list[_Item] = []
    while True:
        page = search(min(_PAGE, max_results - len(found)), token)
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
