"""What MLflow has of tracking and registry, so that no part of it is without a call."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

# What is no business of tracking and registry on Azure ML, by words in the names.
_OUTSIDE = {
    "traces, which Azure ML lacks": r"trace|span|assessment|feedback|expectation|log_issue|sessions",
    "prompts, evaluation, webhooks, MCP servers, workspaces of MLflow's own server: likewise": (
        r"prompt|dataset(s$|_tag|_tags$|$)|remove_dataset|add_dataset|evaluat|webhook|mcp_|workspace"
    ),
    "what asks no server": (
        r"^(ActiveModel|ActiveRun|Image|MlflowClient|MlflowException|LazyLoader|RunOperations|autolog|context)$"
        r"|_uri$|is_tracking_uri_set|system_metrics|^(doctor|login|test|gateway|pyfunc|run)$"
        r"|import_checkpoints|get_model_version_stages"
    ),
}
_PUBLIC = """
import json, mlflow
public = [f"client.{name}" for name in dir(mlflow.MlflowClient) if not name.startswith("_")]
print(json.dumps([*public, *(f"mlflow.{name}" for name in mlflow.__all__)]))
"""


def without_a_call(python: Path, programs: Iterable[Path]) -> list[str]:
    """Return the public functions of `mlflow` and methods of the client that no program calls."""
    done = subprocess.run([python, "-W", "ignore", "-c", _PUBLIC], capture_output=True, text=True, check=True)
    public: list[str] = json.loads(done.stdout.splitlines()[-1])
    called = {
        ast.unparse(node.func)
        for program in programs
        for node in ast.walk(ast.parse(program.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    outside = re.compile("|".join(_OUTSIDE.values()))
    return [name for name in public if name not in called and not outside.search(name.partition(".")[2])]
