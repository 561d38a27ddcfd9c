"""The logged models of MLflow 3, kept with the run that made them.

Azure ML's MLflow has no API for them. A model's files are artifacts of its run, in a folder of the model's
name, where MLflow 2 puts them too; what else there is to a logged model is in records of that run. The run's
id is a part of the model's, so that any process finds it. Nothing is kept in the process.
"""

from __future__ import annotations

import inspect
import logging
import re
import secrets
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import (
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelParameter,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
    Run,
    RunInfo,
    RunInputs,
    RunOutputs,
    RunStatus,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.store.entities.paged_list import PagedList
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from mlflow.utils.name_utils import _generate_random_name
from mlflow.utils.search_utils import SearchLoggedModelsUtils
from mlflow.utils.time import get_current_time_millis
from mlflow.utils.validation import _validate_logged_model_name
from sqlparse.sql import Parenthesis

from azureml_databricks import tracking_uri
from azureml_databricks.bridge import models_in_a_tag, points_of_models, refusals, unavailable
from azureml_databricks.bridge.addresses import RUN_ADDRESS
from azureml_databricks.bridge.known_runs import NOTES, records_at
from azureml_databricks.bridge.outgoing import MARK, SHARED
from azureml_databricks.bridge.parallel import in_parallel
from azureml_databricks.bridge.records import Entry, Record
from azureml_databricks.bridge.tracking import WorkspaceTrackingStore

# The model's run, then the model's time of birth and a random part: of two models the later one sorts last.
_ID = re.compile(r"m-(?P<run>.+)-(?P<key>[0-9a-f]{15})")

# The run that a model has which was logged without one.
_CARRIER = "azureml_databricks.carries_logged_model"

_PAGE = 100
_MODELS = "models"


class _Read(str):
    """The run id of a metric that was read from that run: `log_model` logs those again, to link them."""


class _Search(SearchLoggedModelsUtils):
    """MLflow's own search of models that are at hand, with what its server can compare besides."""

    VALID_SEARCH_ATTRIBUTE_KEYS = SearchLoggedModelsUtils.VALID_SEARCH_ATTRIBUTE_KEYS | {"experiment_id"}
    VALID_TAG_COMPARATORS = SearchLoggedModelsUtils.VALID_TAG_COMPARATORS | {"IN", "NOT IN"}
    VALID_PARAM_COMPARATORS = SearchLoggedModelsUtils.VALID_PARAM_COMPARATORS | {"IN", "NOT IN"}

    @classmethod
    def _get_value(cls, identifier_type: Any, key: str, token: Any) -> Any:
        if identifier_type in (cls._TAG_IDENTIFIER, cls._PARAM_IDENTIFIER) and isinstance(token, Parenthesis):
            return cls._parse_list_from_sql_token(token)  # type: ignore[no-untyped-call]
        return super()._get_value(identifier_type, key, token)  # type: ignore[no-untyped-call]


_logger = logging.getLogger("mlflow.azureml_databricks")

# Whether a host has the API: one answer a process.
_served: dict[str, bool] = {}


class LoggedModelsStore(WorkspaceTrackingStore):
    """The tracking store of MLflow 3.

    A model whose id is not of this making is the service's own, and so is every new one, once it has the API.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the store as the plugin does."""
        super().__init__(*args, **kwargs)
        self._folders: set[tuple[str, str]] = set()

    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: list[LoggedModelTag] | None = None,
        params: list[LoggedModelParameter] | None = None,
        model_type: str | None = None,
    ) -> LoggedModel:
        """Make a model that is `PENDING`; without a run, a run is made to carry it."""
        if self._is_served(experiment_id):
            return super().create_logged_model(experiment_id, name, source_run_id, tags, params, model_type)
        name = name or _generate_random_name()
        _validate_logged_model_name(name)
        run_id = source_run_id or self._carrier(experiment_id, name)
        artifact_uri = self.runs.artifact_uri(run_id)
        now = get_current_time_millis()
        key = f"{now:011x}{secrets.token_hex(2)}"
        record = {
            "at": now,
            "name": name,
            "experiment": self.service.real_id(experiment_id),
            "run": source_run_id,
            "type": model_type,
            "folder": f"{name}~{key}" if self._is_taken(run_id, name, new=not source_run_id) else name,
            "tags": {tag.key: tag.value for tag in tags or ()},
            "params": {param.key: param.value for param in params or ()},
            "status": LoggedModelStatus.PENDING.value,
        }
        self.note(run_id, f"{_MODELS}/{key}", record)
        self.keep_what_waits(run_id)
        return _model(f"m-{run_id}-{key}", [record], artifact_uri)

    def get_logged_model(self, model_id: str, *args: Any, **kwargs: Any) -> LoggedModel:
        """Return a model.

        Raises:
            MlflowException: there is none of that id.
        """
        try:
            if not is_kept(model_id):
                return super().get_logged_model(model_id, *args, **kwargs)
            run_id, key = _parts(model_id)
            folder, waiting = f"{_MODELS}/{key}", self.waiting(run_id)
            if records := self.runs.records(run_id).all(folder, waiting):
                return _model(model_id, records[folder], self.runs.artifact_uri(run_id))
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "ENDPOINT_NOT_FOUND"):
                raise
        raise _not_found(model_id)

    def finalize_logged_model(self, model_id: str, status: LoggedModelStatus) -> LoggedModel:
        """Say how the making of a model has ended."""
        if self._is_of_service(model_id):
            return super().finalize_logged_model(model_id, status)
        self._add(model_id, {"status": LoggedModelStatus(status).value})
        self.keep_what_waits(_parts(model_id)[0])
        model = self._as_known_here(model_id) or self.get_logged_model(model_id)
        if not model.source_run_id:
            ended = RunStatus.FINISHED if status == LoggedModelStatus.READY else RunStatus.FAILED
            self.update_run_info(_parts(model_id)[0], ended, get_current_time_millis(), None)
        return model

    def set_logged_model_tags(self, model_id: str, tags: list[LoggedModelTag]) -> None:
        """Set tags of a model."""
        if self._is_of_service(model_id):
            super().set_logged_model_tags(model_id, tags)
            return
        self._add(model_id, {"tags": {tag.key: tag.value for tag in tags}})

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Take a tag off a model."""
        if self._is_of_service(model_id):
            super().delete_logged_model_tag(model_id, key)
            return
        if key not in self.get_logged_model(model_id).tags:
            raise MlflowException(
                f"No tag with key {key!r} found for model with ID {model_id!r}.",
                error_code=RESOURCE_DOES_NOT_EXIST,
            )
        self._add(model_id, {"untag": key})

    def log_logged_model_params(self, model_id: str, params: list[LoggedModelParameter]) -> None:
        """Add params to a model."""
        if self._is_of_service(model_id):
            super().log_logged_model_params(model_id, params)
            return
        self._add(model_id, {"params": {param.key: param.value for param in params}})

    def delete_logged_model(self, model_id: str) -> None:
        """Say that there is no such thing, unless the service can."""
        if not self._is_of_service(model_id):
            raise unavailable.error("deletion of logged models")
        super().delete_logged_model(model_id)

    def search_logged_models(
        self,
        experiment_ids: list[str],
        filter_string: str | None = None,
        datasets: list[dict[str, Any]] | None = None,
        max_results: int | None = None,
        order_by: list[dict[str, Any]] | None = None,
        page_token: str | None = None,
    ) -> PagedList[LoggedModel]:
        """Return a page of the experiments' models; all their runs that have models are read."""
        if not experiment_ids:
            raise refusals.missing("experiment_ids")
        if self._is_served(experiment_ids[0]):
            return super().search_logged_models(
                experiment_ids, filter_string, datasets, max_results, order_by, page_token
            )
        if datasets and not all(dataset.get("dataset_name") for dataset in datasets):
            raise MlflowException.invalid_parameter_value("`dataset_name` in `datasets` must be given")
        search: Any = _Search
        # MLflow before 3.1 knows no datasets here.
        known = inspect.signature(search.filter_logged_models).parameters
        found = search.filter_logged_models(
            self._models(experiment_ids), filter_string, *([datasets] if "datasets" in known else [])
        )
        page, token = search.paginate(search.sort(found, order_by), page_token, max_results or _PAGE)
        return PagedList(page, token)

    def log_outputs(self, run_id: str, models: list[LoggedModelOutput]) -> None:
        """Note which models a run made."""
        self._require(model.model_id for model in models)
        kept, served = _split(models)
        if kept:
            self.note(run_id, NOTES, {"outputs": [[model.model_id, model.step] for model in kept]})
        if served:
            super().log_outputs(run_id, served)

    def log_inputs(self, run_id: str, datasets: Any = None, models: Any = None) -> None:
        """Note which data sets and models a run used."""
        self._require(model.model_id for model in models or ())
        kept, served = _split(models or ())
        if kept:
            self.note(run_id, NOTES, {"inputs": [model.model_id for model in kept]})
        if datasets or served:
            super().log_inputs(run_id, datasets, *([served] if served else []))

    def with_notes(self, run: Run, notes: list[Record]) -> Run:
        """Return the run with the data sets and models that it used, and the models that it made."""
        run = super().with_notes(run, notes)
        named = dict.fromkeys(model_id for note in notes for model_id in note.get("inputs", ()))
        inputs = [LoggedModelInput(model_id) for model_id in named]
        steps = dict(reversed([output for note in notes for output in note.get("outputs", ())]))
        outputs = [LoggedModelOutput(model_id, step) for model_id, step in reversed(steps.items())]
        return Run(run.info, run.data, RunInputs(run.inputs.dataset_inputs, inputs), RunOutputs(outputs))

    def get_metric_history(self, run_id: str, *args: Any, **kwargs: Any) -> PagedList[Metric]:
        """Return a metric's history in a run."""
        history: PagedList[Metric] = super().get_metric_history(run_id, *args, **kwargs)
        for metric in history:
            metric._run_id = _Read(run_id)
        return history

    def log_batch(self, run_id: str, metrics: Sequence[Metric], params: Any, tags: Any) -> None:
        """Log metrics, params and tags of a run; and the metrics of the models that they name."""
        self._require(metric.model_id for metric in metrics if metric.model_id)
        of_run = [_plain(metric) for metric in metrics if not _is_in(run_id, metric)]
        if of_run or params or tags:
            super().log_batch(run_id, of_run, params, tags)
        for model_id in dict.fromkeys(
            metric.model_id for metric in metrics if is_kept(metric.model_id or "")
        ):
            of_model = (metric for metric in metrics if metric.model_id == model_id)
            self._add(model_id, points_of_models.record(of_model, run_id))

    def update_run_info(
        self, run_id: str, run_status: Any, end_time: int | None, run_name: str | None
    ) -> RunInfo:
        """Change a run's status, end or name; as it ends, a tag says its models."""
        info = super().update_run_info(run_id, run_status, end_time, run_name)
        if end_time:
            self._say_models(run_id)
        return info

    def _keep(self, run_id: str, entries: list[Entry]) -> None:
        is_said = self.runs.of(run_id).says_models and any(entry.folder != NOTES for entry in entries)
        if is_said:
            self.sender.say_models(run_id, models_in_a_tag.CHANGING)
        super()._keep(run_id, entries)
        if is_said:
            self._say_models(run_id)

    def _say_models(self, run_id: str) -> None:
        known = self.runs.of(run_id)
        if known.is_own and MARK in known.marks and SHARED not in known.marks:
            records = self.runs.records(run_id).written(_MODELS)
            if records or known.says_models:
                self.sender.say_models(run_id, models_in_a_tag.text(records) if records else "")

    def _require(self, model_ids: Iterable[str]) -> None:
        """Refuse models of which neither the service nor a run here can know."""
        for model_id in model_ids:
            if not is_kept(model_id) and not self._is_served("0"):
                raise _not_found(model_id)

    def _is_of_service(self, model_id: str) -> bool:
        """Whether a model is the service's own, and not kept here.

        Raises:
            MlflowException: it can be neither.
        """
        self._require([model_id])
        return not is_kept(model_id)

    def _is_served(self, experiment_id: str) -> bool:
        """Whether the service has an API for logged models: asked once in a process."""
        host = self.service_context.host_url
        if host not in _served:
            try:
                super().search_logged_models([experiment_id], max_results=1)
                _served[host] = True
            except MlflowException as error:
                if not unavailable.is_missing(error):
                    raise
                _served[host] = False
        return _served[host]

    def _carrier(self, experiment_id: str, name: str) -> str:
        now = get_current_time_millis()
        tags = [RunTag(_CARRIER, "true"), RunTag(MLFLOW_RUN_NAME, name)]
        return str(self.create_run(experiment_id, "", now, tags, name).info.run_id)

    def _is_taken(self, run_id: str, name: str, *, new: bool) -> bool:
        """Whether a run has something in the folder of a name; what this process has made it knows."""
        taken = (run_id, name) in self._folders
        if not (taken or new):
            # Not at the top: most processes make no models, and need no client of Azure's storage.
            from azureml_databricks.bridge.artifacts import Container
            from azureml_databricks.bridge.clients import telling

            with telling(f"look for a model {name} in run {run_id}"):
                taken = any(Container.at(self.runs.artifact_uri(run_id)).addresses(f"{name}/"))
        self._folders.add((run_id, name))
        return taken

    def _as_known_here(self, model_id: str) -> LoggedModel | None:
        """Return a model as this process has made it, None if it has not or has forgotten."""
        run_id, key = _parts(model_id)
        records = (self.runs.records(run_id).written(_MODELS) or {}).get(f"{_MODELS}/{key}", [])
        is_whole = any("name" in record for record in records)
        return _model(model_id, records, self.runs.artifact_uri(run_id)) if is_whole else None

    def _models(self, experiment_ids: list[str]) -> list[LoggedModel]:
        self.keep_what_waits()
        marked = f"tags.`{MARK}` = 'true'"
        runs = self.service.found_runs(experiment_ids, marked, ViewType.ACTIVE_ONLY, sys.maxsize)
        said = [models_in_a_tag.read(run.data.tags) for run in runs]
        unsaid = [run.info.artifact_uri for run, records in zip(runs, said, strict=True) if records is None]
        read = iter(in_parallel(_records, unsaid))
        return [
            model
            for run, records in zip(runs, said, strict=True)
            for model in _models(
                run.info.run_id, run.info.artifact_uri, next(read) if records is None else records
            )
        ]

    def _search_runs(self, *args: Any, **kwargs: Any) -> tuple[list[Run], str | None]:
        runs, token = super()._search_runs(*args, **kwargs)
        return [run for run in runs if _CARRIER not in run.data.tags], token

    def _add(self, model_id: str, record: Record) -> None:
        run_id, key = _parts(model_id)
        self.note(run_id, f"{_MODELS}/{key}", {"at": get_current_time_millis(), **record})


def newest_at(artifact_uri: str) -> LoggedModel | None:
    """Return the newest model that a run logged under the name that `artifact_uri` ends in, None for none."""
    of_run = RUN_ADDRESS.fullmatch(artifact_uri)
    if of_run is None:
        return None
    store = MlflowClient(tracking_uri.parse(artifact_uri).tracking_uri)._tracking_client.store
    waiting = store.waiting(of_run["run"]) if isinstance(store, LoggedModelsStore) else []
    models = _models(of_run["run"], artifact_uri, _records(artifact_uri, waiting))
    named = [model for model in models if model.name == of_run["path"]]
    return max(named, key=lambda model: model.model_id, default=None)


def _records(artifact_uri: str, waiting: Iterable[Entry] = ()) -> dict[str, list[Record]]:
    return records_at(artifact_uri).all(_MODELS, waiting)


def _models(run_id: str, artifact_uri: str, by_folder: dict[str, list[Record]]) -> list[LoggedModel]:
    models = []
    for folder, records in by_folder.items():
        try:
            models.append(_model(f"m-{run_id}-{folder.rpartition('/')[2]}", records, artifact_uri))
        except MlflowException as error:
            _logger.warning("%s", error)
    return models


def _not_found(model_id: str) -> MlflowException:
    return MlflowException(
        f"Logged model with ID {model_id!r} not found.", error_code=RESOURCE_DOES_NOT_EXIST
    )


def is_kept(model_id: str) -> bool:
    """Whether a model's id is of this making."""
    return _ID.fullmatch(model_id) is not None


def _parts(model_id: str) -> tuple[str, str]:
    """Return the run's id and the key of the model within the run."""
    run_id, _, key = model_id.removeprefix("m-").rpartition("-")
    return run_id, key


def _split(models: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Return the models that are kept here, and those of the service."""
    models = list(models)
    return [m for m in models if is_kept(m.model_id)], [m for m in models if not is_kept(m.model_id)]


def _is_in(run_id: str, metric: Metric) -> bool:
    """Whether the run has this very point, which its service would count twice."""
    read = isinstance(metric.run_id, _Read) and metric.run_id == run_id
    return read and not _is_served_model(metric)


def _is_served_model(metric: Metric) -> bool:
    return bool(metric.model_id) and not is_kept(metric.model_id)


def _plain(metric: Metric) -> Metric:
    """Return what the service knows of a metric: neither a model that is kept here nor a data set."""
    if _is_served_model(metric):
        return metric
    return Metric(metric.key, metric.value, metric.timestamp, metric.step)


def _location(recorded: object, artifact_uri: str) -> str:
    """Return where a model's files are: below its own run, whatever folder the record says.

    Everybody with a role on the workspace can write one that leads elsewhere.
    """
    from azureml_databricks.bridge.artifacts import path_within

    its_run = RUN_ADDRESS.fullmatch(artifact_uri)
    root = artifact_uri[: its_run.start("path")] if its_run and its_run["path"] else artifact_uri
    folder = ""
    with suppress(MlflowException):  # it leads out
        folder = path_within(str(recorded))
    return f"{root.rstrip('/')}/{folder}".rstrip("/")


def _model(model_id: str, records: list[Record], artifact_uri: str) -> LoggedModel:
    """Return the model that its records, in the order of time, come to.

    Args:
        model_id: its id.
        records: of which the first says what it was born as.
        artifact_uri: an address among the artifacts of its run.

    Raises:
        MlflowException: they are no model's, as everybody with a role on the workspace can write some.
    """
    try:
        return _made_of(model_id, records, artifact_uri)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise MlflowException(
            f"the records of logged model {model_id!r} are no model's ({error!r}): somebody else wrote them"
        ) from None


def _made_of(model_id: str, records: list[Record], artifact_uri: str) -> LoggedModel:
    born = next((record for record in records if "name" in record), {})
    tags: dict[str, str] = {}
    params: dict[str, str] = {}
    for record in records:
        tags.update(record.get("tags", {}))
        tags.pop(record.get("untag", ""), None)
        params.update(record.get("params", {}))
    return LoggedModel(
        experiment_id=born["experiment"],
        model_id=model_id,
        name=born["name"],
        artifact_location=_location(born["folder"], artifact_uri),
        creation_timestamp=born["at"],
        last_updated_timestamp=max(record["at"] for record in records),
        model_type=born["type"] or "",
        source_run_id=born["run"] or "",
        status_message="",
        status=LoggedModelStatus([r["status"] for r in records if "status" in r][-1]),
        tags=tags,
        params=params,
        metrics=points_of_models.metrics(records, model_id),
    )
