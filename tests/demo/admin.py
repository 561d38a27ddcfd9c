"""What the admin types in the demo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.azure import EmulatedAzure
from tests.cluster import RUNTIME, service_principal
from tests.databricks import EmulatedDatabricks

_LOCATION = "/Volumes/sales/ml/azureml"


def deploy(databricks: EmulatedDatabricks, azure: EmulatedAzure, folder: Path) -> Iterator[str]:
    """Run the admin's commands, and yield each with what it says.

    Args:
        databricks: the workspace, in which a volume is made for it.
        azure: has the Azure ML workspace and the service principal.
        folder: where the admin works; made.
    """
    folder.mkdir()
    databricks.make_volume("sales.ml.azureml", usable_by=())
    principal = {
        "appId": azure.principal.client_id,
        "password": azure.principal.client_secret,
        "tenant": azure.principal.tenant_id,
    }
    # fmt: off
    init = [
        "init", "--host", databricks.host, "--workspace", azure.workspace.resource_id,
        "--location", _LOCATION, "--runtime", RUNTIME, "--group", "data-scientists",
    ]
    # fmt: on
    environment = {
        **os.environ,
        **azure.environment,
        **databricks.environment,
        # The admin's own login to Azure: that of the service principal, here.
        **service_principal(azure),
        "UV_OFFLINE": "1",
    }
    for arguments, stdin in (
        (init, ""),
        (["secrets", "set"], json.dumps(principal)),
        (["deploy", "--yes"], ""),
    ):
        done = subprocess.run(
            [Path(sys.executable).with_name("azureml-databricks"), *arguments],
            cwd=folder,
            env=environment,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        yield f"   $ azureml-databricks {' '.join(arguments)}\n{done.stdout}"
