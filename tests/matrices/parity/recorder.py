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
_TEMPORARY = re.compile(r"/tmp/[^/]+")
_FIRST_TIME = 10**12

# What Azure ML adds to each run: `root_run_ids` in docs/mlflow.md, which one call shows.
_OF_AZURE = ("mlflow.rootRunId",)
# `sizes_of_artifacts` likewise.
_SIZES = ("file_size",)


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
            {"line": statement.lineno, "text": text, "written": lines, **_outcome(statement, names, told)}
        )
    results.write_text(json.dumps(done))


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _outcome(statement: ast.stmt, names: dict[str, Any], told: Told) -> dict[str, Any]:
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
        is_experiment = "create_experiment(" in ast.unparse(statement)
        return {
            "value": told.experiment(value) if is_experiment and isinstance(value, str) else told.of(value)
        }
    except BaseException as error:  # noqa: BLE001  # it is what came of the call
        return {"error": [type(error).__name__, getattr(error, "error_code", None)], "said": str(error)[:300]}


class Told:
    """Values without what differs by its nature; an id is its place in the order of first sight."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def experiment(self, value: str) -> str:
        return self._seen.setdefault(f"experiment {value}", f"<experiment {len(self._seen)}>")

    def of(self, value: Any, key: str = "") -> Any:
        if key in _SIZES:
            return None
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
            kept = {str(name): each for name, each in value.items() if str(name) not in _OF_AZURE}
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
        return {name: self.of(each, name) for name, each in sorted(fields.items())}

    def _text(self, value: str) -> str:
        if _BY_CHANCE.fullmatch(value):
            return "<by chance>"
        value = value.replace(os.getcwd(), "<here>")
        value = _ADDRESS.sub("<address>", value)
        for pattern, what in ((_MODEL_ID, "model"), (_ID, "id")):
            value = pattern.sub(
                lambda found, what=what: self._seen.setdefault(found[0], f"<{what} {len(self._seen)}>"), value
            )
        return _TEMPORARY.sub("<temporary>", value)
