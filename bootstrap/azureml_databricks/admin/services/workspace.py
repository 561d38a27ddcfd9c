"""The Azure Machine Learning workspace: its tracking URI, looked up so that no cluster asks Azure.

azure-core asks Azure Resource Manager. azure-ai-ml would ask it the same, and importing it takes longer than
all else that a plan does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.core.rest import HttpRequest
from azure.identity import AzureAuthorityHosts, ClientSecretCredential, DefaultAzureCredential

from azureml_databricks.admin.errors import AdminError, silence
from azureml_databricks.admin.file import deployment
from azureml_databricks.admin.services import network
from azureml_databricks.admin.services.azure import Patience, ToldToWaitError
from azureml_databricks.tracking_uri import parse

AUTHORITIES = {
    "AzureCloud": AzureAuthorityHosts.AZURE_PUBLIC_CLOUD,
    "AzureUSGovernment": AzureAuthorityHosts.AZURE_GOVERNMENT,
    "AzureChinaCloud": AzureAuthorityHosts.AZURE_CHINA,
}
RUNTIME_ROLE = "AzureML Data Scientist"
_ROLE = "Reader (or AzureML Data Scientist) on the workspace"
silence("azure")
silence("msal")
# Azure Resource Manager, as in azure-mgmt-core's `get_arm_endpoints`.
_MANAGEMENT = {
    "AzureCloud": "https://management.azure.com",
    "AzureUSGovernment": "https://management.usgovcloudapi.net",
    "AzureChinaCloud": "https://management.chinacloudapi.cn",
}
# https://learn.microsoft.com/rest/api/azureml/workspaces/get
_API_VERSION = "2024-10-01"


class NotYetKnownError(AdminError):
    """Azure does not know a service principal or its secret, which may be since it was made a moment ago.

    Attributes:
        code: what Entra ID calls that, such as `AADSTS7000215`.
    """

    @property
    def code(self) -> str:
        """As the message has it."""
        found = _NOT_YET_KNOWN.search(str(self))
        return found[0] if found else ""


# What Entra ID refuses what it does not know with: application, secret, service principal; and that it cannot
# tell now. https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_NOT_YET_KNOWN = re.compile(r"AADSTS(?:700016|7000215|7000229|90033)\b")


def tracking_uri(workspace: deployment.Workspace) -> str:
    """Return the MLflow tracking URI of a workspace, in the form that nodes use.

    Azure is asked, unless the file says it.

    Raises:
        AdminError: there is no such workspace, no right to read it, no login, or no way to Azure.
    """
    authority = AUTHORITIES[workspace.cloud]
    patience = Patience(authority)
    return _looked_up(
        workspace, lambda: DefaultAzureCredential(authority=authority, **patience.limits), patience
    )


def _looked_up(
    workspace: deployment.Workspace, login: Callable[[], TokenCredential], patience: Patience
) -> str:
    if workspace.tracking_uri:
        return workspace.tracking_uri
    network.check()
    subscription_id, resource_group, name = workspace.parts
    where = f"Azure ML workspace {name!r} (resource group {resource_group!r}, subscription {subscription_id})"
    try:
        found = _properties(workspace, login(), patience).get("mlFlowTrackingUri")
    except (AzureError, ToldToWaitError) as error:
        raise AdminError(patience.told or _why_not(where, error)) from None
    if not found:
        raise AdminError(f"{where} has no MLflow tracking URI: is it being made still?")
    return parse(found).tracking_uri


def _why_not(where: str, error: Exception) -> str:
    """Return why a workspace cannot be looked up."""
    if isinstance(error, ClientAuthenticationError):
        return _no_login(error)
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status is None:
        return f"Azure cannot be reached ({_message(error)}): does the network (HTTPS_PROXY) let it through?"
    if status == 401:
        return f"Azure does not take the login ({_message(error)}): log in anew (`az login`)"
    if status == 403:
        return f"{where} may not be read with this login: it takes the role {_ROLE}"
    if status == 404:
        return f"there is no {where}: {_message(error)}"
    return f"{where} cannot be read ({status}): {_message(error)}"


def _properties(
    workspace: deployment.Workspace, login: TokenCredential, patience: Patience
) -> dict[str, Any]:
    """Return what Azure Resource Manager knows of a workspace.

    https://learn.microsoft.com/rest/api/azureml/workspaces/get

    Raises:
        AzureError: it cannot be reached, refuses, or what answers in its place is something else.
        ToldToWaitError: it has this wait.
    """
    subscription_id, resource_group, name = (quote(part, safe="") for part in workspace.parts)
    address = (
        f"{_MANAGEMENT[workspace.cloud]}/subscriptions/{subscription_id}/resourceGroups/{resource_group}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{name}"
    )
    request = HttpRequest("GET", address, params={"api-version": _API_VERSION})
    properties = patience.answer(request, login, _scope(workspace.cloud)).get("properties")
    return properties if isinstance(properties, dict) else {}


def _scope(cloud: str) -> str:
    return f"{_MANAGEMENT[cloud]}/.default"


def prove_login(tenant_id: str, client_id: str, client_secret: str, cloud: str) -> None:
    """Log in to Azure as a service principal.

    Raises:
        NotYetKnownError: Azure does not know it, or not yet.
        AdminError: Azure refuses it; the message holds no secret.
    """
    patience = Patience(AUTHORITIES[cloud])
    try:
        # A new one each time: MSAL remembers for a minute what it was refused with.
        _login_of(tenant_id, client_id, client_secret, cloud, patience).get_token(_scope(cloud))
    except (AzureError, ValueError) as error:
        if patience.told or (why := _unreached(error)):
            raise AdminError(f"nothing was changed: {patience.told or why}") from None
        refused = NotYetKnownError if _NOT_YET_KNOWN.search(str(error)) else AdminError
        raise refused(
            f"service principal {client_id} cannot log in to Azure, nothing was changed: {_message(error)}"
        ) from None


def prove_role(workspace: deployment.Workspace, tenant_id: str, client_id: str, client_secret: str) -> None:
    """Ask the workspace something that a run's code asks, as a service principal.

    Raises:
        AdminError: it refuses, or cannot be reached.
    """
    patience = Patience(AUTHORITIES[workspace.cloud])
    login = _login_of(tenant_id, client_id, client_secret, workspace.cloud, patience)
    found = _looked_up(workspace, lambda: login, patience)
    address = f"{found.replace('azureml://', 'https://')}/api/2.0/mlflow/experiments/search"
    request = HttpRequest("POST", address, json={"max_results": 1})
    try:
        answer = patience.answer(request, login, _scope(workspace.cloud))
    except (AzureError, ToldToWaitError) as error:
        status = error.status_code if isinstance(error, HttpResponseError) else None
        if patience.told or status is None:
            why = patience.told or f"Azure ML cannot be reached ({_message(error)})"
            raise AdminError(why) from None
        to_do = f"it takes the role {RUNTIME_ROLE} on the workspace"
        raise AdminError(
            f"Azure ML answers {status} to service principal {client_id}: "
            f"{to_do if status in (401, 403) else _message(error)}"
        ) from None
    # MLflow leaves out what is empty.
    if answer and "experiments" not in answer:
        raise AdminError(f"what answers at {address} is not Azure ML's MLflow")


def _login_of(
    tenant_id: str, client_id: str, client_secret: str, cloud: str, patience: Patience
) -> ClientSecretCredential:
    return ClientSecretCredential(
        tenant_id, client_id, client_secret, authority=AUTHORITIES[cloud], **patience.limits
    )


def _no_login(error: ClientAuthenticationError) -> str:
    if "AADSTS" in str(error):
        return f"Azure refuses the login: {_message(error)}"
    return _unreached(error) or (
        "no login to Azure: `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET "
        "of a service principal"
    )


def _unreached(error: Exception) -> str:
    """Return what azure-identity says where it got no answer; empty where Entra ID has answered."""
    tried = re.search(r"^\s*((?:\w+: )?Authentication failed: .*)$", str(error), re.MULTILINE)
    if "AADSTS" in str(error) or not tried:
        return ""
    return f"the login to Azure fails ({tried[1]}): does the network (HTTPS_PROXY) let it through?"


def _message(error: BaseException) -> str:
    text = str(error).strip() or repr(error)
    of_entra = re.search(r"AADSTS\d+: .*?(?= Trace ID:|\n|$)", text)
    of_arm = re.search(r"^Message: (.*)$", text, re.MULTILINE)
    found = of_entra[0] if of_entra else of_arm[1] if of_arm else text.splitlines()[0]
    return found.partition(" For more details")[0].rstrip(". ")
