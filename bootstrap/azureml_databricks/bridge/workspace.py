"""What the plugin's classes need to know of a workspace or a registry: its address and how to log in.

Every request that carries a token is made by what is here: nowhere else is a login given away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from azureml.mlflow._common._cloud.cloud import Cloud, _get_cloud_or_default
from mlflow.exceptions import MlflowException

from azureml_databricks import tracking_uri
from azureml_databricks.bridge.credential import AzureCredential, credential
from azureml_databricks.node import variables
from azureml_databricks.settings import foreign

if TYPE_CHECKING:
    from azureml.mlflow._internal.utils import RegistryServiceContext

# As the plugin has it, save that letter case is no matter.
_REGISTRY = re.compile(
    r"azureml://(?P<host>[^/]+)/.*subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    r"/providers/Microsoft\.MachineLearningServices/registries/(?P<name>[^/?#]+)/?",
    re.IGNORECASE,
)
# Where a token is asked for, and where deployments are, by cloud: as in the plugin's `cloud.py`.
_OF_AZURE = frozenset(
    {
        *("login.microsoftonline.com", "management.azure.com"),
        *("login.microsoftonline.us", "management.usgovcloudapi.net"),
        *("login.chinacloudapi.cn", "management.chinacloudapi.cn"),
    }
)


@dataclass(frozen=True)
class WorkspaceContext:
    """What the plugin's classes ask of a workspace: its own class would import all that it can do besides.

    Attributes:
        host_url: such as `https://westeurope.api.azureml.ms`.
        subscription_id: the workspace's subscription.
        resource_group_name: the workspace's resource group.
        workspace_name: its name.
        auth: the login.
        cloud: the Azure cloud.
        location: the plugin knows none either.
    """

    host_url: str
    subscription_id: str
    resource_group_name: str
    workspace_name: str
    auth: AzureCredential
    cloud: Cloud
    location: str | None = None

    def _get_scope(self) -> str:
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group_name}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.workspace_name}"
        )

    _get_workspace_scope = _get_scope


def model_registry_context(uri: str) -> WorkspaceContext | RegistryServiceContext:
    """Return the context of where models are registered: in a workspace, or in an Azure ML registry.

    Raises:
        MlflowException: `uri` names neither.
    """
    found = _REGISTRY.fullmatch(uri)
    if found is None:
        return service_context(uri)
    # A plugin of the user's own may be older than this.
    from azureml.mlflow._internal.utils import RegistryServiceContext

    cloud = _get_cloud_or_default()
    host = found["host"].lower()
    return RegistryServiceContext(
        subscription_id=found["subscription"],
        resource_group_name=found["group"],
        registry_name=found["name"],
        auth=_login(host, cloud),
        host_url=f"https://{host}",
        cloud=cloud,
    )


def service_context(uri: str) -> WorkspaceContext:
    """Return the context of the workspace that `uri` names: a tracking URI, or one of its artifacts'.

    Raises:
        MlflowException: `uri` names no workspace.
    """
    try:
        workspace = tracking_uri.parse(uri)
    except tracking_uri.TrackingUriError as wrong:
        raise MlflowException.invalid_parameter_value(f"{uri!r}: {wrong}") from None
    cloud = _get_cloud_or_default()
    return WorkspaceContext(
        host_url=f"https://{workspace.host}",
        subscription_id=workspace.subscription_id,
        resource_group_name=workspace.resource_group,
        workspace_name=workspace.name,
        auth=_login(workspace.host, cloud),
        cloud=cloud,
    )


def require_trusted(address: str) -> None:
    """Refuse to take a login to an address that Azure ML is said to have named.

    Raises:
        MlflowException: its host is none of Azure ML's, nor named by the admin's file; or it is not https.
    """
    parts = urlsplit(address)
    host = parts.netloc.lower()
    is_trusted = tracking_uri.is_of_a_registry(host) or variables.settings_now().trusts(host)
    if parts.scheme != "https" or not is_trusted:
        raise MlflowException.invalid_parameter_value(foreign(host or address))


def _login(host: str, cloud: Cloud) -> AzureCredential:
    """Return the login for a host.

    Raises:
        MlflowException: neither Azure nor the admin's file says that the host is Azure ML's; or what this
            process takes for the cloud's endpoints (`ARM_CLOUD_METADATA_URL`) is none of Azure's.
    """
    if not variables.settings_now().trusts(host):
        raise MlflowException.invalid_parameter_value(foreign(host))
    for endpoint in (cloud.endpoints.active_directory, cloud.endpoints.resource_manager):
        if (name := urlsplit(endpoint).hostname) not in _OF_AZURE:
            raise MlflowException.invalid_parameter_value(
                f"host {name!r} is none of Azure's, and no login goes there; unset ARM_CLOUD_METADATA_URL"
            )
    return credential(cloud._get_authority())
