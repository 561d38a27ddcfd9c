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
    with closing(sqlite3.connect(directory / "mlflow.db", timeout=60)) as database, database:
        for number in range(count):
            new = {run_id: uuid4().hex}
            for table in ("runs", "params", "tags", "metrics", "latest_metrics"):
                found = database.execute(f"SELECT * FROM {table} WHERE run_uuid = ?", [run_id])
                names = [each[0] for each in found.description]
                for row in found.fetchall():
                    fields = {name: new.get(value, value) for name, value in zip(names, row, strict=True)}
                    if "artifact_uri" in fields:
                        fields["artifact_uri"] = fields["artifact_uri"].replace(run_id, new[run_id])
                    if "metrics" in table:
                        fields["value"] = number
                    marks = ", ".join("?" * len(names))
                    database.execute(f"INSERT INTO {table} VALUES ({marks})", list(fields.values()))
