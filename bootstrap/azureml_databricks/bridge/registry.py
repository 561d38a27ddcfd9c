"""MLflow's model registry store for a workspace."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse
from urllib.request import url2pathname
from uuid import uuid4

import mlflow
from azureml.mlflow._store.model_registry.model_registry import AzureMLflowModelRegistry
from mlflow.entities.model_registry import ModelVersion, ModelVersionTag, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository
from mlflow.store.artifact.utils.models import get_model_name_and_version
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry import (
    SEARCH_MODEL_VERSION_MAX_RESULTS_THRESHOLD,
    SEARCH_REGISTERED_MODEL_MAX_RESULTS_THRESHOLD,
)
from mlflow.utils.search_utils import SearchModelUtils, SearchModelVersionUtils

from azureml_databricks import tracking_uri
from azureml_databricks.bridge import addresses, aliases, limits, model_ids, refusals, version_tags
from azureml_databricks.bridge.aliases import KeptAliases
from azureml_databricks.bridge.model_ids import KnowsModelIds
from azureml_databricks.bridge.pages import Begun, in_pages, in_pages_of_all
from azureml_databricks.bridge.unavailable import NoPrompts, without_prompts

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel

# Azure ML takes no run of another tracking server: it is kept as tags.
_MODEL_VERSIONS = "mlflow.modelVersions"  # MLflow's name for it, since 3.0
_SOURCE = "azureml_databricks.source"
_SOURCE_RUN = "azureml_databricks.source_run_id"
_SOURCE_TRACKING_URI = "azureml_databricks.source_tracking_uri"

# Reported: https://github.com/Azure/MachineLearningNotebooks/issues/1099
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_NOT_OF_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")

# The one filter that the service has, reported: any other is applied here.
_BY_NAME = re.compile(r"\s*name\s*=\s*'[^']*'\s*")

# As MLflow's own server has them where nobody asks for an order; and its other word for a time.
_NEWEST_FIRST = ["last_updated_timestamp DESC", "name ASC", "version_number DESC"]
_TIMESTAMP = re.compile(r"^timestamp\b")


class WorkspaceModelRegistryStore(KeptAliases, KnowsModelIds, NoPrompts, AzureMLflowModelRegistry):  # type: ignore[misc]  # no types
    """The plugin's registry store, which takes a model from wherever MLflow can read it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the store as the plugin does."""
        super().__init__(*args, **kwargs)
        self._searches: Begun[list[Any]] = Begun()

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Sequence[ModelVersionTag] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> ModelVersion:
        """Register the model at `source`; one that lies elsewhere than in Azure ML is copied there.

        Raises:
            MlflowException: there is no MLflow model at `source`.
        """
        if not source:
            raise refusals.missing("source")
        kept = {tag.key: tag.value for tag in tags or ()}
        if model_id:
            kept[model_ids.TAG] = model_id
        named = mlflow.MlflowClient().get_logged_model(model_id) if model_id else None
        if named:
            run_id = run_id or named.source_run_id
        is_named = named is not None and source == f"models:/{named.model_id}"
        place = str(named.artifact_location) if named and is_named else self._place(source)
        logged = None
        if place.startswith("azureml:"):
            if not model_id and (logged := _logged_model(place)):
                place, kept[model_ids.TAG] = logged.artifact_location, logged.model_id
        else:
            kept[_SOURCE] = source
            if run_id:
                kept |= {_SOURCE_RUN: run_id, _SOURCE_TRACKING_URI: mlflow.get_tracking_uri()}
                run_id = None
            place = self._copied(place, name, local_model_path)
        taken = [_for_service(ModelVersionTag(key, value)) for key, value in kept.items()]
        made = super().create_model_version(name, place, run_id, taken, run_link, description)
        if logged:
            _note_version(logged, made)
        return made

    def create_registered_model(self, name: str, *args: Any, **kwargs: Any) -> RegisteredModel:
        """Create a registered model.

        Raises:
            MlflowException: the name is none that Azure ML allows, or is taken.
        """
        if name and not _NAME.fullmatch(name):
            near = _NOT_OF_A_NAME.sub("-", name).strip("-")
            raise MlflowException.invalid_parameter_value(
                f"registered model name {name!r} is none that Azure Machine Learning allows: use the letters "
                f"a to z, digits, '.', '_' and '-', such as {near or 'churn'!r}"
            )
        made: RegisteredModel = super().create_registered_model(name, *args, **kwargs)
        return made

    def set_model_version_tag(self, name: str, version: str, tag: ModelVersionTag) -> None:
        """Set a version's tag, in a form that the service takes."""
        super().set_model_version_tag(name, version, _for_service(tag))

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """Take a tag off a version."""
        super().delete_model_version_tag(name, version, version_tags.key_for_service(key) if key else key)

    def _call_endpoint(self, api: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super()._call_endpoint(api, *args, **kwargs)
        for model in _those_in(answer, "registered_model"):
            aliases.restore(model)
            for version in model.latest_versions:
                version_tags.restore(version)
        for version in _those_in(answer, "model_version"):
            version_tags.restore(version)
        return answer

    def get_model_version(self, name: str, version: str) -> ModelVersion:
        """Return a version of a registered model."""
        return self.with_kept_aliases(super().get_model_version(name, version))

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int | None = None,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[ModelVersion]:
        """Return a page of versions, of any size and by any filter."""
        if max_results is not None:
            limits.require_page(max_results, SEARCH_MODEL_VERSION_MAX_RESULTS_THRESHOLD)
        filter_string = without_prompts(filter_string)
        size = sys.maxsize if max_results is None else max_results
        if filter_string and not _BY_NAME.fullmatch(filter_string):
            known_as = ("versions", filter_string, *(order_by or ()))
            find_all = partial(self._found_versions, filter_string, order_by or _NEWEST_FIRST)
            return in_pages_of_all(self._searches, known_as, find_all, size, page_token)
        search = super().search_model_versions
        return in_pages(lambda size, token: search(filter_string, size, order_by, token), size, page_token)

    def _found_versions(self, filter_string: str, order_by: list[str]) -> list[ModelVersion]:
        found = self._candidates(filter_string)
        for version in found:
            version._version = int(version.version)  # type: ignore[assignment]  # so MLflow compares it
        found = SearchModelVersionUtils.filter(found, filter_string)
        found = SearchModelVersionUtils.sort(found, order_by)
        for version in found:
            version._version = str(version.version)
        return found

    def _candidates(self, filter_string: str) -> list[ModelVersion]:
        """Return all versions, or those of the one model that a filter is for."""
        wanted = SearchModelVersionUtils.parse_search_filter(filter_string)
        for term in wanted:
            if term["key"] in SearchModelVersionUtils.NUMERIC_ATTRIBUTES:
                _require_whole_number(term["key"], term["value"])
        names = {term["value"] for term in wanted if (term["key"], term["comparator"]) == ("name", "=")}
        if any(not _NAME.fullmatch(name) for name in names):
            return []
        return list(self.search_model_versions(f"name = '{names.pop()}'" if names else None))

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int | None = None,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[RegisteredModel]:
        """Return a page of registered models, of any size and by any filter."""
        if max_results is not None and max_results > 0:
            limits.require_page(max_results, SEARCH_REGISTERED_MODEL_MAX_RESULTS_THRESHOLD)
        wanted = without_prompts(filter_string)
        size = sys.maxsize if max_results is None else max_results
        if wanted and not _BY_NAME.fullmatch(wanted):
            orders = [_TIMESTAMP.sub("last_updated_timestamp", order) for order in order_by or ()]

            def find_all() -> list[RegisteredModel]:
                found = SearchModelUtils.filter(self.search_registered_models(), wanted)
                return list(SearchModelUtils.sort(found, orders))

            return in_pages_of_all(self._searches, ("models", wanted, *orders), find_all, size, page_token)
        search = super().search_registered_models
        return in_pages(lambda size, token: search(wanted, size, order_by, token), size, page_token)

    def _place(self, source: str) -> str:
        """Return where the files of a `runs:/` or `models:/` address are."""
        if RunsArtifactRepository.is_runs_uri(source):
            return str(RunsArtifactRepository.get_underlying_uri(source))
        if urlparse(source).scheme != "models":
            return addresses.whole(source)
        client = mlflow.MlflowClient()
        found = get_model_name_and_version(client, source)
        if len(found) == 1:
            return str(client.get_logged_model(found[0]).artifact_location)
        return str(self.get_model_version_download_uri(*found))

    def _copied(self, place: str, name: str, local_model_path: str | None) -> str:
        """Upload the model at `place`, a folder on this machine or any address that MLflow can download."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = (
                local_model_path
                or _folder(place)
                or mlflow.artifacts.download_artifacts(place, dst_path=scratch)
            )
            if not Path(folder, "MLmodel").is_file():
                raise MlflowException.invalid_parameter_value(
                    f"{place!r} is no MLflow model: no MLmodel in it"
                )
            return self._uploaded(Path(folder).resolve(), name)

    def _uploaded(self, folder: Path, name: str) -> str:
        """Upload a folder as the files of a model, and return their address."""
        # A plugin of the user's own may be older than this, and the storage's client takes a while to import.
        if self.set_is_registry:
            from azureml_databricks.bridge import registry_files

            return registry_files.upload(self.service_context, folder, name)
        from azureml_databricks.bridge.artifacts import Container, files_below
        from azureml_databricks.bridge.clients import telling

        # As the plugin names them.
        origin, container = "LocalUpload", f"{datetime.now():%y%m%dT%H%M%S}-{uuid4().hex[:8]}"
        with telling(f"upload the model {name!r}"):
            place = Container.of_upload(self.service_context, origin, container)
            place.upload({f"{folder.name}/{path}": file for path, file in files_below(folder)})
        return f"azureml://artifacts/{origin}/{container}/{folder.name}"


def _require_whole_number(key: str, value: Any) -> None:
    try:
        int(str(value))
    except ValueError:
        raise MlflowException.invalid_parameter_value(
            f"Invalid value for numeric attribute {key!r}: {value!r}"
        ) from None


def _for_service(tag: ModelVersionTag) -> ModelVersionTag:
    if not tag.key or not isinstance(tag.key, str):  # which MLflow refuses
        return tag
    return ModelVersionTag(*version_tags.to_service(tag.key, str(tag.value)))


def _those_in(answer: Any, name: str) -> list[Any]:
    """Return MLflow's own messages of a name in an answer, where there is one or a list of them."""
    return [*getattr(answer, f"{name}s", ()), *([getattr(answer, name)] if hasattr(answer, name) else ())]


def _logged_model(artifact_uri: str) -> LoggedModel | None:
    """Return the logged model that `runs:/` means by an address of files, None where there is none."""
    if not hasattr(mlflow.entities, "LoggedModel"):
        return None
    from azureml_databricks.bridge import logged_models

    return logged_models.newest_at(artifact_uri)


def _note_version(model: LoggedModel, version: ModelVersion) -> None:
    """Tell a logged model of its version, as MLflow does where it knows from which model it is."""
    versions = json.loads(model.tags.get(_MODEL_VERSIONS, "[]"))
    versions.append({"name": version.name, "version": version.version})
    client = mlflow.MlflowClient(tracking_uri.parse(model.artifact_location).tracking_uri)
    client.set_logged_model_tags(model.model_id, {_MODEL_VERSIONS: json.dumps(versions)})


def _folder(place: str) -> str:
    """Return the folder on this machine that `place` names, empty for an address elsewhere."""
    parsed = urlparse(place)
    # Also `file://folder`, which says a host: who writes it means a folder beside.
    return {"": place, "file": url2pathname(parsed.netloc + parsed.path)}.get(parsed.scheme, "")
