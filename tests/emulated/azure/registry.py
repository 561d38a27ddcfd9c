"""What the service refuses of experiments and registered models: each rule returns why, or None."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.emulated.azure.artifacts import Artifacts

Fields = Mapping[str, Any]

FILES = 1500

_MODEL_NAME = re.compile(r"[A-Za-z0-9._-]+")
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_OF_A_RUN = re.compile(r".*/runs/([^/]+)/artifacts/(.+)")
_OF_AN_UPLOAD = re.compile(r"azureml://artifacts/([^/]+)/([^/]+)/(.+)")


def no_place_of_its_own(fields: Fields) -> str | None:
    """An experiment's artifacts are in the workspace's storage.

    Source: https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow
    """
    return "Setting artifact_location is not supported." if fields.get("artifact_location") else None


def no_new_name(fields: Fields) -> str | None:
    """An experiment keeps its name.

    Source: https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow
    """
    return "Renaming experiments is not supported."


def model_name_is_plain(fields: Fields) -> str | None:
    """Spaces and parentheses are refused.

    Source: facts: reported, https://github.com/Azure/MachineLearningNotebooks/issues/1099
    """
    name = str(fields.get("name", ""))
    if _MODEL_NAME.fullmatch(name):
        return None
    return f"Model name '{name}' may only have letters, digits, '.', '_' and '-'."


def tags_are_plain(fields: Fields) -> str | None:
    """A version's tag has no colon in its key, and no number as its value.

    Source: facts: reported, https://github.com/mlflow/mlflow/issues/8008
    """
    for tag in (fields, *fields.get("tags", ())):
        if ":" in str(tag.get("key", "")) or _NUMBER.fullmatch(str(tag.get("value", ""))):
            return f"Tag '{tag['key']}' with value '{tag['value']}' is not allowed."
    return None


def model_is_small(fields: Fields, artifacts: Artifacts) -> str | None:
    """A registered model has so many files at most.

    Source: https://learn.microsoft.com/azure/machine-learning/resource-limits-capacity
    """
    source = str(fields.get("source", ""))
    if of_run := _OF_A_RUN.fullmatch(source):
        folder, path = ("ExperimentRun", f"dcid.{of_run[1]}"), of_run[2]
    elif of_upload := _OF_AN_UPLOAD.fullmatch(source):
        folder, path = (of_upload[1], of_upload[2]), of_upload[3]
    else:
        return None
    if (count := len(artifacts.paths(folder, path.rstrip("/") + "/"))) <= FILES:
        return None
    return f"A model may have at most {FILES} files; this one has {count}."
