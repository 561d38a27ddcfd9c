"""MLflow's stores for a workspace: the plugin's, with our credential and legal experiment names."""

from __future__ import annotations

from typing import Any

from azureml.mlflow._common._cloud.cloud import _get_cloud_or_default
from azureml.mlflow._internal.utils import ServiceContext
from azureml.mlflow._store.tracking.store import AzureMLRestStore
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException

from azureml_databricks import tracking_uri
from azureml_databricks.bridge.credential import credential
from azureml_databricks.bridge.experiment import legal_name


def service_context(store_uri: str) -> ServiceContext:
    """Return what the plugin's classes need to know of a workspace.

    Raises:
        MlflowException: `store_uri` names no workspace.
    """
    try:
        workspace = tracking_uri.parse(store_uri)
    except tracking_uri.TrackingUriError as wrong:
        raise MlflowException.invalid_parameter_value(f"{store_uri!r}: {wrong}") from None
    cloud = _get_cloud_or_default()
    return ServiceContext(
        host_url=f"https://{workspace.host}",
        subscription_id=workspace.subscription_id,
        resource_group_name=workspace.resource_group,
        workspace_name=workspace.name,
        auth=credential(cloud._get_authority()),
        cloud=cloud,
    )


class WorkspaceTrackingStore(AzureMLRestStore):  # type: ignore[misc]  # the plugin has no types
    """The plugin's tracking store, under experiment names that Azure ML allows."""

    def create_experiment(self, name: str, *args: Any, **kwargs: Any) -> str:
        """Create the experiment that `legal_name` says, and return its id."""
        created: str = super().create_experiment(_allowed(name), *args, **kwargs)
        return created

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return the experiment that `legal_name` says, None if there is none."""
        found: Experiment | None = super().get_experiment_by_name(_allowed(name))
        return found

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Rename it to what `legal_name` says."""
        super().rename_experiment(experiment_id, _allowed(new_name))


def _allowed(name: str) -> str:
    allowed = legal_name(name)
    if not allowed:
        raise MlflowException.invalid_parameter_value(
            f"experiment name {name!r} has nothing in it that Azure Machine Learning allows in a name: "
            "use the letters a to z, digits, _ and -"
        )
    return allowed
