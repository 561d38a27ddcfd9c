"""What the admin types in the demo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from azureml_databricks.admin.file import starter
from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import service_principal
from tests.emulated.databricks import EmulatedDatabricks

VOLUME = "sales.ml.azureml"
_LOCATION = f"/Volumes/{VOLUME.replace('.', '/')}"
_TMP = "/Volumes/main/default/tmp"


def deploy(runtime: str, databricks: EmulatedDatabricks, azure: EmulatedAzure, folder: Path) -> Iterator[str]:
    """Run the admin's commands, and yield each with what it says.

    Args:
        runtime: of the clusters, in its ML variant.
        databricks: the workspace, in which a volume is made for it.
        azure: has the Azure ML workspace and the service principal.
        folder: where the admin works; made.
    """
    folder.mkdir()
    databricks.make_volume(VOLUME, usable_by=())
    principal = {
        "appId": azure.principal.client_id,
        "password": azure.principal.client_secret,
        "tenant": azure.principal.tenant_id,
    }
    # fmt: off
    init = [
        "init", "--host", databricks.host, "--workspace", azure.workspace.resource_id,
        "--location", _LOCATION, "--group", "data-scientists",
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
    yield _run(init, folder, environment)
    file = folder / "azureml-databricks.toml"
    # Spark ML needs its own JVM, and what its models pass through a folder that all nodes have.
    lines = {
        f'["{starter.RUNTIME}"]': f'["{runtime}-ml"]',
        'accessMode = "standard"': 'accessMode = "dedicated"',
    }
    text = file.read_text() + f'\n[settings.env]\nMLFLOW_DFS_TMP = "{_TMP}"\n'
    for was, now in lines.items():
        assert was in text
        text = text.replace(was, now)
    file.write_text(text)
    yield (
        f'   in an editor: runtimes = ["{runtime}-ml"], accessMode = "dedicated", '
        f'MLFLOW_DFS_TMP = "{_TMP}" below [settings.env]\n'
    )
    yield _run(["secrets", "set"], folder, environment, stdin=json.dumps(principal))
    yield _run(["deploy", "--yes"], folder, environment)


def _run(arguments: list[str], folder: Path, environment: dict[str, str], stdin: str = "") -> str:
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
    return f"   $ azureml-databricks {' '.join(arguments)}\n{done.stdout}"
