"""Runs a program statement by statement, and writes down what comes of each: a value or an error.

It runs in the environment of an MLflow version, of which only the standard library and MLflow are known.
What differs from server to server by its nature is replaced: ids, times, addresses, names made by chance.
"""

from __future__ import annotations

import ast
import json
import math
import os
import re
from pathlib import Path
from typing import Any

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
_MODEL_ID = re.compile(rf"\bm-(?:{_ID.pattern})(?:-[0-9a-f]{{15}})?")
_ADDRESS = re.compile(r"(mlflow-artifacts|azureml):\S*")
_BY_CHANCE = re.compile(r"[a-z]+-[a-z]+-\d{1,4}")
_TEMPORARY = re.compile(r"/tmp/[^/]+|\btmp[a-z0-9_]{8}\b")
_FIRST_TIME = 10**12

# Differences in docs/mlflow.md that would be in nearly every value: other calls show them.
_TAGS_OF_AZURE = {"mlflow.rootRunId": None, "mlflow.user": "mlflow-on-databricks"}  # tags_of_the_service
_LEFT_OUT = {
    "FileInfo": ("file_size",),  # sizes_of_artifacts
    "ModelVersion": ("model_id", "source"),  # model_ids_of_versions, sources_of_versions
    "Metric": ("run_id",),  # runs_of_points
}


def record(program: Path, results: Path) -> None:
    """Write what comes of the statements of `program`, as JSON, to `results`."""
    source = program.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": program.stem}
    told = Told()
    done = []
    for statement in ast.parse(source).body:
        text = ast.get_source_segment(source, statement) or ""
        lines = source.splitlines()[statement.lineno - 1 : statement.end_lineno]
        if isinstance(statement, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)) or _is_text(
            statement
        ):
            exec(compile(ast.Module([statement], []), str(program), "exec"), names)
            continue
        done.append(
            {
                "line": statement.lineno,
                "text": text,
                "written": lines,
                **_outcome(statement, text, names, told),
            }
        )
    results.write_text(json.dumps(done))


def _kind(error: BaseException) -> str:
    """Return an error's class: of MLflow's own it is one, whether a client or a server finds it."""
    name = type(error).__name__
    return "MlflowException" if name in ("RestException", "MissingConfigException") else name


def _is_of_azure(tag: str, value: object) -> bool:
    tag = tag.removeprefix("tags.")  # in a table of runs
    return tag in _TAGS_OF_AZURE and _TAGS_OF_AZURE[tag] in (None, value)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _outcome(statement: ast.stmt, text: str, names: dict[str, Any], told: Told) -> dict[str, Any]:
    try:
        value = None
        if isinstance(statement, (ast.Expr, ast.Assign)):
            value = eval(compile(ast.Expression(statement.value), "call", "eval"), names)
            for target in statement.targets if isinstance(statement, ast.Assign) else ():
                assign = ast.Assign([target], ast.Name("__value", ast.Load()))
                names["__value"] = value
                exec(compile(ast.fix_missing_locations(ast.Module([assign], [])), "call", "exec"), names)
        else:
            exec(compile(ast.Module([statement], []), "call", "exec"), names)
        is_experiment = re.search(r"create_experiment\(|\.experiment_id\b", text) is not None
        return {
            "value": told.experiment(value) if is_experiment and isinstance(value, str) else told.of(value)
        }
    except BaseException as error:  # noqa: BLE001  # it is what came of the call
        return {"error": [_kind(error), getattr(error, "error_code", None)], "said": str(error)[:300]}


class Told:
    """Values without what differs by its nature; an id is its place in the order of first sight."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, str]] = {}

    def experiment(self, value: str) -> str:
        return self._numbered("experiment", value)

    def of(self, value: Any, key: str = "") -> Any:
        if value is None or isinstance(value, bool):
            return value
        if key == "experiment_id":
            return self.experiment(str(value))
        if isinstance(value, (int, float)):
            return "<time>" if value >= _FIRST_TIME else value if math.isfinite(value) else str(value)
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, os.PathLike):
            return self._text(os.fspath(value))
        if hasattr(value, "to_dict") and type(value).__name__ == "DataFrame":
            return self.of(value.to_dict("records"))
        if isinstance(value, dict):
            kept = {str(name): each for name, each in value.items() if not _is_of_azure(str(name), each)}
            return {name: self.of(each, name) for name, each in sorted(kept.items())}
        if isinstance(value, (list, tuple)):
            items = [self.of(each) for each in value]
            return {"page": items, "more": True} if getattr(value, "token", None) else items
        if isinstance(value, (set, frozenset)):
            return sorted(self.of(each) for each in value)
        if type(value).__module__.startswith("mlflow."):
            return {"is": type(value).__name__, **self._entity(value)}
        return type(value).__name__

    def _entity(self, value: Any) -> dict[str, Any]:
        try:
            fields = dict(value)
        except TypeError:
            return {}
        left_out = _LEFT_OUT.get(type(value).__name__, ())
        return {name: self.of(each, name) for name, each in sorted(fields.items()) if name not in left_out}

    def _text(self, value: str) -> str:
        if _BY_CHANCE.fullmatch(value):
            return "<by chance>"
        value = _ADDRESS.sub("<address>", value.replace(os.getcwd(), "<here>"))
        value = _MODEL_ID.sub(lambda found: self._numbered("model", found[0]), value)
        value = _ID.sub(lambda found: self._numbered("id", found[0]), value)
        return _TEMPORARY.sub("<temporary>", value)

    def _numbered(self, kind: str, value: str) -> str:
        seen = self._seen.setdefault(kind, {})
        return seen.setdefault(value, f"<{kind} {len(seen)}>")
