"""The real MLflow server behind tracking.py: SQLite, one process."""

from __future__ import annotations

import sys
from pathlib import Path

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
