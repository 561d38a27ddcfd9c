"""The real MLflow server behind tracking.py: SQLite, one process."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from tests.emulated.azure.identities import Workspace
from tests.emulated.azure.processes import Process, free_port


def start_mlflow_server(directory: Path, workspace: Workspace) -> Process:
    """Start it. It keeps runs and registered models; artifacts never reach it."""
    port = free_port()
    database = f"sqlite:///{directory / 'mlflow.db'}"
    # `mlflow server` would import MLflow twice, itself and in the server it starts (15 s instead
    # of 7 s here), so the server is started as that command starts it (mlflow.server._run_server).
    return Process(
        *(sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app"),
        *("--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"),
        # Else a connection is closed after five idle seconds, maybe as the next request comes in.
        *("--timeout-keep-alive", "3600"),
        port=port,
        log=directory / "mlflow.log",
        env={
            "_MLFLOW_SERVER_FILE_STORE": database,
            "_MLFLOW_SERVER_REGISTRY_STORE": database,
            "_MLFLOW_SERVER_ARTIFACT_ROOT": f"{workspace.tracking_uri}/experiments",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "TMPDIR": str(directory),
        },
    )


def copy_run(directory: Path, run_id: str, count: int) -> None:
    """Add `count` runs that are as one is, and whose metrics are 0, 1, 2, ...: in one step, for many.

    Args:
        directory: the server's.
        run_id: as the server has it.
        count: how many.
    """
    tables = ("runs", "params", "tags", "metrics", "latest_metrics")
    _copy(directory, tables, "run_uuid", run_id, [uuid4().hex for _ in range(count)])


def copy_model(directory: Path, name: str, count: int) -> None:
    """Add `count` registered models that are as one is, versions included, named `NAME-0`, `NAME-1`, ...

    Args:
        directory: the server's.
        name: of the one that is there.
        count: how many.
    """
    tables = ("registered_models", "registered_model_tags", "model_versions", "model_version_tags")
    _copy(directory, tables, "name", name, [f"{name}-{number}" for number in range(count)])


def _copy(directory: Path, tables: tuple[str, ...], key: str, original: str, copies: list[str]) -> None:
    with closing(sqlite3.connect(directory / "mlflow.db", timeout=60)) as database, database:
        for table in tables:
            found = database.execute(f"SELECT * FROM {table} WHERE {key} = ?", [original])
            names = [each[0] for each in found.description]
            marks = ", ".join("?" * len(names))
            for row in found.fetchall():
                for number, copy in enumerate(copies):
                    fields = dict(zip(names, row, strict=True)) | {key: copy}
                    if "artifact_uri" in fields:
                        fields["artifact_uri"] = fields["artifact_uri"].replace(original, copy)
                    if "metrics" in table:
                        fields["value"] = number
                    database.execute(f"INSERT INTO {table} VALUES ({marks})", list(fields.values()))
