"""The names of experiments: Azure ML allows few letters and no paths, MLflow any text.

A name that it does not allow has a legal one that is made of it, the same in every process: a part that can
be read, and a short digest, so that names that differ stay apart. What it was made of is a tag of the
experiment, by which MLflow gives it back.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from mlflow.entities import ExperimentTag

from azureml_databricks.node import variables

# Reported by users of the service: 1 to 256 of these, the first a letter or a digit.
_MAX_LENGTH = 256
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]+")
_DIGEST_LENGTH = 8

_GIVEN = "azureml_databricks.name"

_NAME_IN_FILTER = re.compile(
    r"(?:attributes?\.)?[`\"]?\bname\b[`\"]?\s*(?P<comparator>=|\S+)\s*(?:'(?P<value>[^']*)')?", re.IGNORECASE
)


def legal(name: str) -> str:
    """Return the name under which Azure ML has an experiment.

    Of a path it is the last part, unless the setting `experimentPaths` says otherwise: Databricks names
    experiments by path, and `/Users/ada@example.com/churn` is `churn`. What is no name MLflow refuses.
    """
    given = _given(name)
    if not isinstance(given, str) or not given or _is_legal(given):
        return given
    digest = sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    readable = part(last(given))[: _MAX_LENGTH - _DIGEST_LENGTH - 1] or "experiment"
    return f"{readable}-{digest}"


def part(text: str) -> str:
    """Return what Azure ML allows of a text, which may be nothing."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _ILLEGAL.sub("-", plain).strip("-_ ")


def tags(name: str) -> list[ExperimentTag]:
    """Return the tag that an experiment of that name needs, so that it is known by it."""
    given = _given(name)
    return [] if legal(name) == given else [ExperimentTag(_GIVEN, given)]


def give_back(answer: Any) -> None:
    """Give experiments, in an answer of MLflow's API, the names that they were given."""
    one = [answer.experiment] if hasattr(answer, "experiment") else []
    for experiment in (*getattr(answer, "experiments", ()), *one):
        for index, tag in reversed(list(enumerate(experiment.tags))):
            if tag.key == _GIVEN:
                experiment.name = tag.value
                del experiment.tags[index]


def decide(filter_string: str | None, order_by: Iterable[str] | None) -> bool:
    """Whether names decide a search in a way that the service, which has other ones, cannot know."""
    if any("name" in order for order in order_by or ()):
        return True
    asked = _NAME_IN_FILTER.finditer(filter_string or "")
    return any(each["comparator"] != "=" or not _is_legal(each["value"] or "") for each in asked)


def _given(name: str) -> str:
    """Return the name that counts: of a path its last part, unless all of it does."""
    if not isinstance(name, str) or variables.settings_now()["experimentPaths"] == "whole":
        return name
    return last(name)


def last(name: str) -> str:
    """Return the last part of a path."""
    return name.rstrip("/").rpartition("/")[2]


def _is_legal(name: str) -> bool:
    return bool(name) and len(name) <= _MAX_LENGTH and name[0].isalnum() and not _ILLEGAL.search(name)
