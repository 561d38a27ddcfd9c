"""Tags of a model's version in forms that Azure ML takes.

It takes no number as a value and no colon in a key (https://github.com/mlflow/mlflow/issues/8008). A number
is kept in quotation marks, as in JSON; a tag with a colon in its key as the value of one that says both.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

_WITH_COLON = "azureml_databricks.tag."


def to_service(key: str, value: str) -> tuple[str, str]:
    """Return key and value of a tag as the service takes them."""
    if ":" in key:
        return key_for_service(key), json.dumps({key: value}, ensure_ascii=False)
    return key, json.dumps(value) if _is_kept_quoted(value) else value


def key_for_service(key: str) -> str:
    """Return the key under which the service has a tag."""
    if ":" not in key:
        return key
    return f"{_WITH_COLON}{key.replace(':', '_')}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def from_service(key: str, value: str) -> tuple[str, str]:
    """Return key and value as the user has set them."""
    if key.startswith(_WITH_COLON):
        for tag in _tags_in(value):
            return tag
    inner = _unquoted(value)
    return key, inner if _is_kept_quoted(inner) else value


def restore(version: Any) -> None:
    """Put a version's tags, in MLflow's own message, back to what the user has set."""
    for tag in version.tags:
        tag.key, tag.value = from_service(tag.key, tag.value)


def _is_kept_quoted(value: str) -> bool:
    """Whether a value is a number, or would be taken for one that was put in quotation marks."""
    while inner := _unquoted(value):
        value = inner
    try:
        float(value)
    except ValueError:
        return False
    return True


def _unquoted(value: str) -> str:
    """Return what is in quotation marks, empty for a value that is not in them."""
    found = _parsed(value) if value.startswith('"') else ""
    return found if isinstance(found, str) else ""


def _tags_in(value: str) -> list[tuple[str, str]]:
    found = _parsed(value)
    return [(key, str(text)) for key, text in found.items()] if isinstance(found, dict) else []


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
