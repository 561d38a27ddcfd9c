"""What Azure ML's MLflow lacks, said in one clear message instead of a raw 404.

Traces are a case of their own: with autologging of an LLM library every call makes one, and neither the call
nor its speed may suffer. They are made as ever, and dropped where MLflow would send them.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import mlflow.entities
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry

from azureml_databricks.bridge import refusals

_logger = logging.getLogger("mlflow.azureml_databricks")

_TRACES = "traces"
_ASSESSMENTS = "assessments of traces"
_PROMPTS = "prompts"
# Words in the names of MLflow's API -> what its users call it.
_FEATURES = {
    "Alias": "aliases of registered models",
    "Dataset": "evaluation datasets",
    "DeleteRegisteredModel": "deletion of registered models (each version can be deleted)",
    "LoggedModel": "such logged model",
    "RenameRegisteredModel": "renaming of registered models",
    "Webhook": "webhooks",
}

# MLflow keeps prompts as registered models with this tag, and leaves them out of every search for models,
# in words that Azure ML refuses: https://github.com/Azure/azure-sdk-for-python/issues/42155
_PROMPT_TAG = "mlflow.prompt.is_prompt"
_WITHOUT_PROMPTS = re.compile(rf"( AND )?tag\.`{re.escape(_PROMPT_TAG)}` != 'true'")

# Where MLflow uploads what is in a trace.
_NOWHERE = "azureml-no-traces"

_untold = threading.Lock()


def error(feature: str) -> MlflowException:
    """Return the error of a call that needs `feature`, such as `traces`."""
    return MlflowException(f"Azure Machine Learning has no {feature}", error_code=ENDPOINT_NOT_FOUND)


def name_of(context: Any) -> str:
    """Return the name of a workspace, or of a registry."""
    return str(getattr(context, "workspace_name", None) or context.registry_name)


def is_missing(error: MlflowException) -> bool:
    """Whether the service has no such endpoint: it answers 404 with nothing else, or with this code."""
    return error.error_code == "ENDPOINT_NOT_FOUND" or "failed with error code 404" in str(error)


def without_prompts(filter_string: str | None) -> str | None:
    """Return a filter of registered models without MLflow's clause against prompts: there are none.

    Raises:
        MlflowException: it is for prompts.
    """
    wanted = _WITHOUT_PROMPTS.sub("", filter_string or "")
    if _PROMPT_TAG in wanted:
        raise error(_PROMPTS)
    return wanted or None


class SaysWhatIsLacking:
    """A store of MLflow that says in one line what the service refuses, and which feature it lacks."""

    service_context: Any

    def _call_endpoint(self, api: Any, json_body: str | None = None, *args: Any, **kwargs: Any) -> Any:
        refusals.require_parameters(api, json_body)
        since = time.monotonic()
        with self._readable(api, json_body):
            try:
                return super()._call_endpoint(api, json_body, *args, **kwargs)  # type: ignore[misc]  # MLflow's
            except RestException as refusal:
                # By Azure's clock, which the node's may differ from.
                if not (refusals.is_of_an_expired_token(refusal.json) and self._renewed(since)):
                    raise
            return super()._call_endpoint(api, json_body, *args, **kwargs)  # type: ignore[misc]

    def _renewed(self, since: float) -> bool:
        context = self.service_context
        renewed: bool = context.auth.renew(context.cloud._get_default_scope(), since=since)
        return renewed

    def _call_webhook_endpoint(self, api: Any, *args: Any, **kwargs: Any) -> Any:
        with self._readable(api, None):
            return super()._call_webhook_endpoint(api, *args, **kwargs)  # type: ignore[misc]

    @contextmanager
    def _readable(self, api: Any, json_body: str | None) -> Iterator[None]:
        place = name_of(self.service_context)
        with _in_words(api), refusals.in_one_line(api.DESCRIPTOR.name, json_body, place):
            yield


class NoTraces(SaysWhatIsLacking):
    """A tracking store that takes traces and drops them, and can do nothing else with them."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse what `cls` has of traces beside these methods."""
        super().__init_subclass__(**options)
        _refuse(cls, "trace", _TRACES, but=NoTraces)
        _refuse(cls, "assessment", _ASSESSMENTS, but=NoTraces)

    def start_trace(self, trace_info: Any = None, **begun: Any) -> Any:
        """Take a trace: MLflow 2 gives what is known when it begins, later versions all when it has ended."""
        if _untold.acquire(blocking=False):
            _logger.warning(
                "Azure Machine Learning has no traces: they are dropped. `mlflow.tracing.disable()` makes "
                "none; with another tracking URI (`mlflow.set_tracking_uri`) they are kept there."
            )
        info = trace_info or _begun(begun)
        info.tags["mlflow.artifactLocation"] = f"{_NOWHERE}:/"
        return info

    def start_trace_v3(self, trace: Any) -> Any:
        """Take a trace that has ended, which the first versions of MLflow 3 give in this way too."""
        return self.start_trace(trace.info)

    def end_trace(self, *args: Any, **kwargs: Any) -> None:
        """Take the end of a trace."""

    def get_trace_info(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse so that `mlflow.get_trace` does not take it for a trace that is not there, and go on."""
        raise NotImplementedError(error(_TRACES).message)

    def set_trace_tag(self, trace_id: str, key: str, value: str) -> None:
        """Take the tag that MLflow 2 itself sets, to show a trace's spans."""
        if key != "mlflow.traceSpans":
            raise error(_TRACES)

    def log_spans(self, *args: Any, **kwargs: Any) -> Any:
        """Take no parts of traces: MLflow stops to send them, and asks the server for no version first."""
        raise NotImplementedError


class NoPrompts(SaysWhatIsLacking):
    """A model registry store without prompts, which as models would be broken ones."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse what `cls` has of prompts, from MLflow 3.1 on."""
        super().__init_subclass__(**options)
        _refuse(cls, "prompt", _PROMPTS, but=NoPrompts)

    def _call_endpoint(self, api: Any, json_body: str | None = None, *args: Any, **kwargs: Any) -> Any:
        if _PROMPT_TAG in (json_body or ""):
            raise error(_PROMPTS)
        return super()._call_endpoint(api, json_body, *args, **kwargs)


class Nowhere(ArtifactRepository):
    """Where the contents of traces are dropped."""

    def log_artifact(self, *args: Any, **kwargs: Any) -> None:
        """Drop a file."""

    def log_artifacts(self, *args: Any, **kwargs: Any) -> None:
        """Drop files."""

    def upload_trace_data(self, *args: Any, **kwargs: Any) -> None:
        """Drop a trace."""

    def list_artifacts(self, *args: Any, **kwargs: Any) -> Any:
        """Say that there is nothing."""
        raise error(_TRACES)

    _download_file = list_artifacts


_artifact_repository_registry.register(_NOWHERE, Nowhere)


@contextmanager
def _in_words(api: Any) -> Iterator[None]:
    try:
        yield
    except MlflowException as refusal:
        if not is_missing(refusal):
            raise
        name = api.DESCRIPTOR.name
        features = (feature for word, feature in _FEATURES.items() if word in name)
        raise error(next(features, f"such API: {name}")) from refusal


def _refuse(store: type, word: str, feature: str, but: type) -> None:
    """Make all methods with `word` in their names say that there is no such feature, but those of `but`."""

    def refused(*args: Any, **kwargs: Any) -> None:
        raise error(feature)

    for name in dir(store):
        if word in name and not hasattr(but, name):
            setattr(store, name, refused)


def _begun(known: Mapping[str, Any]) -> Any:
    """Return what MLflow's own server would, of a trace that has begun."""
    entities: Any = mlflow.entities
    info = getattr(entities, "TraceInfoV2", None) or entities.TraceInfo
    from mlflow.entities.trace_status import TraceStatus  # MLflow 2.9 has none

    return info(
        request_id=f"tr-{uuid4().hex}", execution_time_ms=None, status=TraceStatus.IN_PROGRESS, **known
    )
