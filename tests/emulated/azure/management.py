"""Azure Resource Manager: the workspace, and the clouds' metadata.

Source: https://learn.microsoft.com/rest/api/azureml/workspaces/get
"""

from __future__ import annotations

import re
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from tests.emulated.azure.clouds import CHINA, PUBLIC, US_GOVERNMENT, Cloud
from tests.emulated.azure.identities import Principal, Workspace
from tests.emulated.azure.online_endpoints import OnlineEndpoints
from tests.emulated.azure.tokens import Denial, Guard, Tokens

_WORKSPACE = (
    "/subscriptions/{subscription}/resourceGroups/{group}"
    "/providers/Microsoft.MachineLearningServices/workspaces/{name}"
)


def management_app(
    workspace: Workspace, tokens: Tokens, principals: tuple[Principal, ...], endpoints: OnlineEndpoints
) -> ASGIApp:
    async def get_workspace(request: Request) -> Response:
        """The workspace; group and name in any case, the subscription as it is."""
        return _without_a_version(request) or _get_workspace(workspace, request.path_params)

    resources = Starlette(routes=[Route(_WORKSPACE, get_workspace), *endpoints.routes(workspace.resource_id)])
    guarded = Guard(resources, tokens, workspace.cloud.audiences, principals, _denied)
    return Starlette(
        routes=[Route("/metadata/endpoints", _metadata), Mount("/", guarded)],
    )


def _without_a_version(request: Request) -> Response | None:
    """A request names the version of the API.

    Source: https://learn.microsoft.com/rest/api/azureml/workspaces/get, where api-version is required
    """
    asked = request.query_params.get("api-version", "")
    if not asked:
        message = "The api-version query parameter (?api-version=) is required for all requests."
        return _error(400, "MissingApiVersionParameter", message)
    if not re.fullmatch(r"\d{4}-\d\d-\d\d(-preview)?", asked):
        message = f"The api-version '{asked}' is invalid. The format is YYYY-MM-DD, or YYYY-MM-DD-preview."
        return _error(400, "InvalidApiVersionParameter", message)
    return None


def _get_workspace(workspace: Workspace, asked: dict[str, str]) -> Response:
    subscription, group, name = asked["subscription"], asked["group"], asked["name"]
    if subscription != workspace.subscription_id:
        message = f"The subscription '{subscription}' could not be found."
        return _error(404, "SubscriptionNotFound", message)
    if group.lower() != workspace.resource_group.lower():
        message = f"Resource group '{group}' could not be found."
        return _error(404, "ResourceGroupNotFound", message)
    if name.lower() != workspace.name.lower():
        message = (
            f"The Resource 'Microsoft.MachineLearningServices/workspaces/{name}' under resource "
            f"group '{group}' was not found. For more details please go to "
            "https://aka.ms/ARMResourceNotFoundFix"
        )
        return _error(404, "ResourceNotFound", message)
    return JSONResponse(_as_resource(workspace))


def _as_resource(workspace: Workspace) -> dict[str, Any]:
    group_id = workspace.resource_id.split("/providers/")[0]
    storage = f"{group_id}/providers/Microsoft.Storage/storageAccounts/{workspace.storage_account}"
    return {
        "id": workspace.resource_id,
        "name": workspace.name,
        "type": "Microsoft.MachineLearningServices/workspaces",
        "location": workspace.region,
        "tags": {},
        "kind": "Default",
        "sku": {"name": "Basic", "tier": "Basic"},
        "identity": {"type": "SystemAssigned", "tenantId": workspace.tenant_id},
        "properties": {
            "friendlyName": workspace.name,
            "description": "",
            "storageAccount": storage,
            "workspaceId": workspace.workspace_id,
            "tenantId": workspace.tenant_id,
            "provisioningState": "Succeeded",
            "publicNetworkAccess": "Enabled",
            "hbiWorkspace": False,
            "discoveryUrl": f"https://{workspace.cloud.api_host}/discovery",
            # azure-ai-ml makes v2.0 of it (azureml.mlflow.get_mlflow_tracking_uri_v2).
            "mlFlowTrackingUri": workspace.tracking_uri.replace("/mlflow/v2.0", "/mlflow/v1.0"),
        },
    }


async def _metadata(request: Request) -> JSONResponse:
    """The clouds, to whoever asks.

    Source: azureml.mlflow._common._cloud.cloud, azure.ai.ml._azure_environments
    """
    return JSONResponse([_as_metadata(cloud) for cloud in (PUBLIC, CHINA, US_GOVERNMENT)])


def _as_metadata(cloud: Cloud) -> dict[str, Any]:
    return {
        "name": cloud.name,
        "portal": f"https://{cloud.portal_host}",
        "resourceManager": f"https://{cloud.management_host}/",
        "authentication": {
            "loginEndpoint": f"https://{cloud.login_hosts[0]}/",
            "audiences": [f"https://management.{cloud.storage_suffix}/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "suffixes": {"storage": cloud.storage_suffix},
    }


def _denied(denial: Denial) -> JSONResponse:
    return _error(denial.status, denial.code, denial.message)


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)
