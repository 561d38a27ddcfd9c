"""An Azure ML registry's own storage: which host takes its files, and a container for each new version.

Its models are those of the workspace (api.py).

Source: azureml.mlflow._client.artifact.registry_client; facts: seen, `cert-eastus2.experiments.azureml.net`
"""

from __future__ import annotations

from secrets import token_hex

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, Router

from tests.emulated.azure.azurite import Azurite
from tests.emulated.azure.errors import azureml_denied, azureml_error
from tests.emulated.azure.identities import Principal, Workspace
from tests.emulated.azure.tokens import Guard, Tokens

_REGISTRY = (
    "/mferp/managementfrontend/subscriptions/{subscription}/resourceGroups/{group}"
    "/providers/Microsoft.MachineLearningServices/registries/{registry}"
)


class Registries:
    """What is said of every registry; ``provider`` is the address of the host, of whoever is asked next.

    ``containers`` has the container that was given out last for each version, as `NAME/VERSION`.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.provider = f"https://{workspace.cloud.registry_hosts.replace('*', f'cert-{workspace.region}')}/"
        self.containers: dict[str, str] = {}

    def files_app(self, azurite: Azurite, tokens: Tokens, principals: tuple[Principal, ...]) -> Guard:
        """What the host serves that takes the files."""
        self.azurite = azurite
        services = Router(
            routes=[
                Route(_REGISTRY + "/models/{name}", self.model),
                Route(_REGISTRY + "/tempdatarefs/{name}/versions/{version}", self.container, methods=["PUT"]),
            ],
            default=azureml_error(404, "The emulated Azure has no such endpoint for registries."),
        )
        return Guard(services, tokens, self._workspace.cloud.audiences, principals, azureml_denied)

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

    async def model(self, request: Request) -> JSONResponse:
        """What the next version of a model is; none is known that has no version."""
        name = request.path_params["name"]
        known = [key for key in self.containers if key.rpartition("/")[0] == name]
        if not known:
            return azureml_error(404, f"Model container {name} not found.", component="managementfrontend")
        return JSONResponse({"name": name, "properties": {"nextVersion": str(len(known) + 1)}})

    async def container(self, request: Request) -> JSONResponse:
        """A container for the files of a new version, and an address that is signed for all of it."""
        asked = (await request.json())["assetId"]
        name, version = request.path_params["name"], request.path_params["version"]
        registry = request.path_params["registry"]
        if asked != f"azureml://registries/{registry}/models/{name}/versions/{version}":
            return azureml_error(400, f"Asset id {asked} is not that of the request.")
        container = self.containers[f"{name}/{version}"] = f"shared-{token_hex(8)}"
        uri, signed = self.azurite.signed_container(container)
        return JSONResponse(
            {
                "blobReferenceForConsumption": {
                    "blobUri": uri,
                    "credential": {"credentialType": "SAS", "sasUri": signed},
                },
                "temporaryDataReferenceType": "TemporaryBlobReference",
            }
        )
