"""The Azure Machine Learning workspace: its tracking URI, looked up so that no cluster asks Azure.

azure-core asks Azure Resource Manager. azure-ai-ml would ask it the same, and importing it takes longer than
all else that a plan does.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import requests
from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.policies import BearerTokenCredentialPolicy
from azure.core.rest import HttpRequest, HttpResponse
from azure.identity import AzureAuthorityHosts, ClientSecretCredential, DefaultAzureCredential

from azureml_databricks.admin.errors import AdminError, silence
from azureml_databricks.admin.file import deployment
from azureml_databricks.tracking_uri import parse

AUTHORITIES = {
    "AzureCloud": AzureAuthorityHosts.AZURE_PUBLIC_CLOUD,
    "AzureUSGovernment": AzureAuthorityHosts.AZURE_GOVERNMENT,
    "AzureChinaCloud": AzureAuthorityHosts.AZURE_CHINA,
}
_RUNTIME_ROLE = "AzureML Data Scientist"
_ROLE = "Reader (or AzureML Data Scientist) on the workspace"
_CONNECTION_SECONDS = 10
_ANSWER_SECONDS = 30
silence("azure")
# Azure Resource Manager, as in azure-mgmt-core's `get_arm_endpoints`.
_MANAGEMENT = {
    "AzureCloud": "https://management.azure.com",
    "AzureUSGovernment": "https://management.usgovcloudapi.net",
    "AzureChinaCloud": "https://management.chinacloudapi.cn",
}
# https://learn.microsoft.com/rest/api/azureml/workspaces/get
_API_VERSION = "2024-10-01"


class NotYetKnownError(AdminError):
    """Azure does not know a service principal or its secret, which may be since it was made a moment ago."""


# What Entra ID refuses what it does not know with: application, secret, service principal; and that it cannot
# tell now. https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_NOT_YET_KNOWN = re.compile(r"AADSTS(?:700016|7000215|7000229|90033)\b")


def tracking_uri(workspace: deployment.Workspace, login: TokenCredential | None = None) -> str:
    """Return the MLflow tracking URI of a workspace, in the form that nodes use.

    Azure is asked, unless the file says it.

    Args:
        workspace: which.
        login: whose, None for the admin's.

    Raises:
        AdminError: there is no such workspace, no right to read it, no login, or no way to Azure.
    """
    if workspace.tracking_uri:
        return workspace.tracking_uri
    subscription_id, resource_group, name = workspace.parts
    where = f"Azure ML workspace {name!r} (resource group {resource_group!r}, subscription {subscription_id})"
    credential = login or DefaultAzureCredential(
        authority=AUTHORITIES[workspace.cloud],
        connection_timeout=_CONNECTION_SECONDS,
        retry_total=1,
    )
    try:
        found = _properties(workspace, credential).get("mlFlowTrackingUri")
    except ClientAuthenticationError as error:
        raise AdminError(_no_login(error)) from None
    except (ServiceRequestError, ServiceResponseError) as error:
        raise AdminError(
            f"Azure cannot be reached ({_message(error)}): does the network (HTTPS_PROXY) let it through?"
        ) from None
    except HttpResponseError as error:
        if error.status_code == 404:
            raise AdminError(f"there is no {where}: {_message(error)}") from None
        if error.status_code == 403:
            raise AdminError(f"{where} may not be read with this login: it takes the role {_ROLE}") from None
        raise AdminError(f"{where} cannot be read: {_message(error)}") from None
    if not found:
        raise AdminError(f"{where} has no MLflow tracking URI: is it being made still?")
    return parse(found).tracking_uri


def _properties(workspace: deployment.Workspace, login: TokenCredential) -> dict[str, str]:
    """Return what Azure Resource Manager knows of a workspace.

    https://learn.microsoft.com/rest/api/azureml/workspaces/get

    Raises:
        AzureError: it cannot be reached, refuses, or what answers in its place is something else.
    """
    subscription_id, resource_group, name = (quote(part, safe="") for part in workspace.parts)
    request = HttpRequest(
        "GET",
        f"/subscriptions/{subscription_id}/resourceGroups/{resource_group}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{name}",
        params={"api-version": _API_VERSION},
    )
    policy = BearerTokenCredentialPolicy(login, _scope(workspace.cloud))
    client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
        _MANAGEMENT[workspace.cloud],
        per_retry_policies=policy,
        connection_timeout=_CONNECTION_SECONDS,
        read_timeout=_ANSWER_SECONDS,
        retry_total=1,
    )
    with client:
        request.url = client.format_url(request.url)
        response = client.send_request(request)
        response.raise_for_status()
        try:
            return dict(response.json()["properties"])
        except (json.JSONDecodeError, KeyError, TypeError, ValueError):
            raise ServiceResponseError("what answers is not Azure Resource Manager") from None


def _scope(cloud: str) -> str:
    return f"{_MANAGEMENT[cloud]}/.default"


def prove_login(tenant_id: str, client_id: str, client_secret: str, cloud: str) -> None:
    """Log in to Azure as a service principal.

    Raises:
        NotYetKnownError: Azure does not know it, or not yet.
        AdminError: Azure refuses it; the message holds no secret.
    """
    try:
        # A new one each time: MSAL remembers for a minute what it was refused with.
        ClientSecretCredential(
            tenant_id,
            client_id,
            client_secret,
            authority=AUTHORITIES[cloud],
            connection_timeout=_CONNECTION_SECONDS,
            retry_total=1,
        ).get_token(_scope(cloud))
    except (AzureError, ValueError) as error:
        if isinstance(error, ServiceRequestError | ServiceResponseError):
            raise AdminError(
                f"{AUTHORITIES[cloud]} cannot be reached, nothing was changed ({_message(error)}): does the "
                "network (HTTPS_PROXY) let it through?"
            ) from None
        refused = NotYetKnownError if _NOT_YET_KNOWN.search(str(error)) else AdminError
        raise refused(
            f"service principal {client_id} cannot log in to Azure, nothing was changed: {_message(error)}"
        ) from None


def prove_role(workspace: deployment.Workspace, tenant_id: str, client_id: str, client_secret: str) -> None:
    """Ask the workspace something that a run's code asks, as a service principal.

    Raises:
        AdminError: it refuses, or cannot be reached.
    """
    credential = ClientSecretCredential(
        tenant_id,
        client_id,
        client_secret,
        authority=AUTHORITIES[workspace.cloud],
        connection_timeout=_CONNECTION_SECONDS,
        retry_total=1,
    )
    found = tracking_uri(workspace, credential)
    try:
        token = credential.get_token(_scope(workspace.cloud)).token
        response = requests.post(
            f"{found.replace('azureml://', 'https://')}/api/2.0/mlflow/experiments/search",
            json={"max_results": 1},
            headers={"Authorization": f"Bearer {token}"},
            timeout=(_CONNECTION_SECONDS, _ANSWER_SECONDS),
        )
    except (AzureError, requests.RequestException) as error:
        raise AdminError(f"Azure ML cannot be reached, nothing was changed: {_message(error)}") from None
    if response.status_code != 200:
        raise AdminError(
            f"Azure ML answers {response.status_code} to service principal {client_id}, nothing was changed: "
            f"it takes the role {_RUNTIME_ROLE} on the workspace"
        )


def _no_login(error: ClientAuthenticationError) -> str:
    if "AADSTS" in str(error):
        return f"Azure refuses the login: {_message(error)}"
    if tried := re.search(r"^\s*(\w+: Authentication failed: .*)$", str(error), re.MULTILINE):
        return f"the login to Azure fails ({tried[1]}): does the network (HTTPS_PROXY) let it through?"
    return (
        "no login to Azure: `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET "
        "of a service principal"
    )


def _message(error: BaseException) -> str:
    text = str(error).strip() or repr(error)
    of_entra = re.search(r"AADSTS\d+: .*?(?= Trace ID:|\n|$)", text)
    of_arm = re.search(r"^Message: (.*)$", text, re.MULTILINE)
    found = of_entra[0] if of_entra else of_arm[1] if of_arm else text.splitlines()[0]
    return found.partition(" For more details")[0].rstrip(". ")
