"""`mlflow.deployments.get_deploy_client` for a workspace: the plugin's client, with our login.

MLflow takes the one class of a client that it finds here.
"""

from __future__ import annotations

from typing import Any, NoReturn

import mlflow
from azureml.mlflow._internal.service_context_loader import _AzureMLServiceContextLoader
from azureml.mlflow.deploy import deployment_client, target_help
from mlflow.exceptions import MlflowException

from azureml_databricks.bridge.workspace import service_context

__all__ = ["WorkspaceDeploymentClient", "run_local", "target_help"]


class WorkspaceDeploymentClient(deployment_client.AzureMLDeploymentClient):  # type: ignore[misc]  # no types
    """The plugin's client, which deploys logged models too."""

    def __init__(self, target_uri: str) -> None:
        """Make the client of the workspace with this tracking URI.

        Raises:
            MlflowException: it is no workspace's.
        """
        # The plugin's own login ends in a browser and a device code.
        _AzureMLServiceContextLoader.add_service_context(target_uri, service_context(target_uri))
        super().__init__(target_uri)

    def create_deployment(self, name: str, model_uri: str, *args: Any, **kwargs: Any) -> Any:
        """Deploy a model; one that is not registered is registered as `NAME-model`."""
        return super().create_deployment(name, _known_to_azure(model_uri, name), *args, **kwargs)

    def update_deployment(self, name: str, model_uri: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Change a deployment, and the model that it serves if one is given."""
        known = model_uri and _known_to_azure(model_uri, name)
        return super().update_deployment(name, known, *args, **kwargs)


def run_local(*args: Any, **kwargs: Any) -> NoReturn:
    """Refuse: the plugin would use azureml-core, with a login of its own.

    Raises:
        MlflowException: always.
    """
    raise MlflowException(
        "Azure Machine Learning deploys no model to this machine; `mlflow models serve -m MODEL` serves one"
    )


def _known_to_azure(model_uri: str, deployment: str) -> str:
    """Return a registered model's address for that of a logged model, which the plugin does not know."""
    if not model_uri.startswith("models:/m-") or "/" in model_uri.removeprefix("models:/"):
        return model_uri
    version = mlflow.register_model(model_uri, f"{deployment}-model")
    return f"models:/{version.name}/{version.version}"
