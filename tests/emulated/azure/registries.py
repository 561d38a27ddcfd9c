"""The discovery of an Azure ML registry: which host takes its files, another than that of its models.

Source: azureml.mlflow._client.artifact.registry_client; facts: seen, `cert-eastus2.experiments.azureml.net`
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse

from tests.emulated.azure.identities import Workspace


class Registries:
    """What is said of every registry; ``provider`` is the address of the host, of whoever is asked next."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.provider = f"https://cert-{workspace.region}.experiments.azureml.net/"

    async def discovery(self, request: Request) -> JSONResponse:
        """Where the registry's files are taken."""
        return JSONResponse(
            {
                "registryName": request.path_params["name"],
                "primaryRegionResourceProviderUri": self.provider,
                "resourceGroup": self._workspace.resource_group,
                "subscriptionId": self._workspace.subscription_id,
            }
        )
