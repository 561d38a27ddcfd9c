"""What the plugin's classes need to know of a workspace or a registry: its address and how to log in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from azureml.mlflow._common._cloud.cloud import _get_cloud_or_default
from azureml.mlflow._internal.utils import ServiceContext
from mlflow.exceptions import MlflowException

from azureml_databricks import tracking_uri
from azureml_databricks.bridge.credential import credential

if TYPE_CHECKING:
    from azureml.mlflow._internal.utils import RegistryServiceContext

# As the plugin has it, save that letter case is no matter.
_REGISTRY = re.compile(
    r"azureml://(?P<host>[^/]+)/.*subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    r"/providers/Microsoft\.MachineLearningServices/registries/(?P<name>[^/?#]+)/?",
    re.IGNORECASE,
)


def model_registry_context(uri: str) -> ServiceContext | RegistryServiceContext:
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
    return RegistryServiceContext(
        subscription_id=found["subscription"],
        resource_group_name=found["group"],
        registry_name=found["name"],
        auth=credential(cloud._get_authority()),
        host_url=f"https://{found['host']}",
        cloud=cloud,
    )


def service_context(uri: str) -> ServiceContext:
    """Return the context of the workspace that `uri` names: a tracking URI, or one of its artifacts'.

    Raises:
        MlflowException: `uri` names no workspace.
    """
    try:
        workspace = tracking_uri.parse(uri)
    except tracking_uri.TrackingUriError as wrong:
        raise MlflowException.invalid_parameter_value(f"{uri!r}: {wrong}") from None
    cloud = _get_cloud_or_default()
    return ServiceContext(
        host_url=f"https://{workspace.host}",
        subscription_id=workspace.subscription_id,
        resource_group_name=workspace.resource_group,
        workspace_name=workspace.name,
        auth=credential(cloud._get_authority()),
        cloud=cloud,
    )
