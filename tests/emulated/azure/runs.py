"""What the service makes of runs: the tags that it drops and adds, and what an answer has of them.

Source: facts: seen, src/promptflow-evals/tests/recordings/azure in https://github.com/microsoft/promptflow
"""

from __future__ import annotations

from typing import Any

Tags = list[dict[str, str]]


def to_create(fields: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of a run that is made: no `mlflow.source.*`, which stay when they are set later.

    Source: facts: reported, https://github.com/Azure/azure-sdk-for-python/issues/45207
    """
    tags = [tag for tag in fields.get("tags", ()) if not tag["key"].startswith("mlflow.source.")]
    return {**fields, "tags": tags}


def answer(document: Any, login: str) -> Any:
    """Return an answer with each run in it as the service tells of it.

    Args:
        document: with Azure ML's ids.
        login: the display name of who is logged in.
    """
    if isinstance(document, list):
        return [answer(item, login) for item in document]
    if not isinstance(document, dict):
        return document
    if "data" in document and "run_id" in document.get("info", ()):  # a logged model has both, too
        return {**document, "data": {**document["data"], "tags": _tags(document, login)}}
    told = {name: answer(value, login) for name, value in document.items()}
    if "run_info" in told:
        told["run_info"].pop("artifact_uri", None)
    return told


def _tags(run: dict[str, Any], login: str) -> Tags:
    """Return a run's tags: those that were set, and the service's own, a second `mlflow.user` among them."""
    kept: Tags = run["data"].get("tags", [])
    named = {tag["key"]: tag["value"] for tag in kept}
    own = {
        "mlflow.rootRunId": named.get("mlflow.parentRunId", run["info"]["run_id"]),
        "mlflow.runName": named.get("mlflow.runName", ""),
        "mlflow.user": login,
    }
    set_by_callers = [tag for tag in kept if tag["key"] not in ("mlflow.rootRunId", "mlflow.runName")]
    return [*set_by_callers, *({"key": key, "value": value} for key, value in own.items())]
