"""The logged model that a version was made of: Azure ML takes no such id, so it is a tag there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mlflow.entities.model_registry import ModelVersion, RegisteredModel

TAG = "azureml_databricks.model_id"

# All that a registry store answers with versions, or with models that have some.
_CALLS = (
    *("create_model_version", "get_model_version", "get_latest_versions", "get_model_version_by_alias"),
    *("update_model_version", "transition_model_version_stage", "search_model_versions"),
    *("create_registered_model", "get_registered_model", "update_registered_model"),
    "search_registered_models",
)


class KnowsModelIds:
    """A model registry store whose versions have their model's id, and no tag of ours."""


def _restoring(name: str) -> Callable[..., Any]:
    def call(self: KnowsModelIds, *args: Any, **kwargs: Any) -> Any:
        answer = getattr(super(KnowsModelIds, self), name)(*args, **kwargs)
        for version in _versions(answer):
            if TAG in version.tags:
                version._model_id = version.tags.pop(TAG)  # MLflow 2 has no such field
        return answer

    return call


for _call in _CALLS:
    setattr(KnowsModelIds, _call, _restoring(_call))


def _versions(answer: object) -> Iterator[ModelVersion]:
    if isinstance(answer, ModelVersion):
        yield answer
    elif isinstance(answer, RegisteredModel):
        yield from answer.latest_versions
    elif isinstance(answer, list):
        for each in answer:
            yield from _versions(each)
