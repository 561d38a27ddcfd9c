"""What this project replaces, to measure beside it: libraries on the cluster, and a cell in each notebook.

It follows Microsoft's guide for MLflow on Azure Databricks: a service principal in a secret scope, the
workspace looked up through azure-ai-ml, `mlflow.set_tracking_uri`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import uv

from tests import REPOSITORY
from tests.emulated.azure import EmulatedAzure
from tests.emulated.node import Node

_FOLDER = Path(__file__).parent
_CACHE = REPOSITORY / ".cache" / "manual_way"

CELL = """\
import os

import mlflow
from azure.ai.ml import MLClient
from azure.identity import DefaultAzureCredential

SCOPE = "azureml"
for variable, key in {
    "AZURE_CLIENT_ID": "clientId",
    "AZURE_CLIENT_SECRET": "clientSecret",
    "AZURE_TENANT_ID": "tenantId",
}.items():
    os.environ[variable] = dbutils.secrets.get(SCOPE, key)

workspaces = MLClient(
    DefaultAzureCredential(),
    dbutils.secrets.get(SCOPE, "subscriptionid"),
    dbutils.secrets.get(SCOPE, "resourcegroup"),
).workspaces
uri = workspaces.get(dbutils.secrets.get(SCOPE, "workspacename")).mlflow_tracking_uri
mlflow.set_tracking_uri(uri)
"""


def install(node: Node) -> None:
    """Put the libraries where the cluster's library page puts them, which notebooks are chained to."""
    python = node.replica.interpreter.version
    libraries = _CACHE / node.replica.runtime.version
    if not libraries.exists():
        partial = Path(f"{libraries}.partial")
        # fmt: off
        subprocess.run(
            [
                uv.find_uv_bin(), "pip", "install", "--quiet", "--target", partial, "--no-deps",
                "--python", node.replica.interpreter.executable, "--require-hashes",
                "--compile-bytecode", "--requirements", lock(node),
            ],
            check=True,
        )
        # fmt: on
        partial.rename(libraries)
    node.copy_in(
        libraries, f"/local_disk0/.ephemeral_nfs/cluster_libraries/python/lib/python{python}/site-packages"
    )


def lock(node: Node) -> Path:
    """Return the requirements of the libraries, locked for the node's runtime."""
    return _FOLDER / f"{node.replica.runtime.version}.txt"


def dbutils(azure: EmulatedAzure) -> str:
    """Return the source of a `dbutils` that knows the secret scope, which the runtime has built in."""
    scope = {
        "clientId": azure.principal.client_id,
        "clientSecret": azure.principal.client_secret,
        "tenantId": azure.principal.tenant_id,
        "subscriptionid": azure.workspace.subscription_id,
        "resourcegroup": azure.workspace.resource_group,
        "workspacename": azure.workspace.name,
    }
    return (
        "import builtins\nfrom types import SimpleNamespace\n"
        f"secrets = SimpleNamespace(get=lambda scope, key: {scope!r}[key])\n"
        # Not a global, where MLflow would look for all of the real one.
        "builtins.dbutils = SimpleNamespace(secrets=secrets)\n"
    )
