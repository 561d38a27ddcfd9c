"""``python -m tests.emulated.azure``: an emulated Azure for a person, until Ctrl-C.

Prints the variables that a client's shell needs.
"""

from __future__ import annotations

import contextlib
import shlex
import signal
import tempfile
from pathlib import Path

from tests.emulated.azure import EmulatedAzure


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as directory, EmulatedAzure(Path(directory)) as azure:
        variables = {
            **azure.environment,
            "AZURE_TENANT_ID": azure.principal.tenant_id,
            "AZURE_CLIENT_ID": azure.principal.client_id,
            "AZURE_CLIENT_SECRET": azure.principal.client_secret,
            "AZUREML_CURRENT_CLOUD": azure.workspace.cloud.name,
            "MLFLOW_TRACKING_URI": azure.workspace.tracking_uri,
            "MLFLOW_REGISTRY_URI": azure.workspace.tracking_uri,
            "AZUREML_TRACKING_URI": azure.workspace.tracking_uri,
        }
        for name, value in variables.items():
            print(f"export {name}={shlex.quote(value)}")
        print(f"# MLflow's own page: {azure.mlflow_url}   stop with Ctrl-C", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
