"""What the plugin's classes need to know of a workspace: its address and how to log in."""

from __future__ import annotations

from azureml.mlflow._common._cloud.cloud import _get_cloud_or_default
from azureml.mlflow._internal.utils import ServiceContext
from mlflow.exceptions import MlflowException

from azureml_databricks import tracking_uri
from azureml_databricks.bridge.credential import credential


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
