"""`mlflow.deployments.get_deploy_client` for a workspace: the plugin's client, with our login and limits.

MLflow takes the one class of a client that it finds here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from urllib.parse import urlsplit

import mlflow
import requests
from azure.core.exceptions import AzureError, DeserializationError, ServiceRequestError
from azureml.mlflow._internal.service_context_loader import _AzureMLServiceContextLoader
from azureml.mlflow._restclient.mfe_v2022_02_01_preview._azure_machine_learning_workspaces import (
    AzureMachineLearningWorkspaces as EndpointsClient,
)
from azureml.mlflow._restclient.mms._azure_machine_learning_workspaces import (
    AzureMachineLearningWorkspaces as ServicesClient,
)
from azureml.mlflow.deploy import deployment_client, target_help
from mlflow.deployments import BaseDeploymentClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

from azureml_databricks.bridge import refusals
from azureml_databricks.bridge.clients import client, seconds_for, telling
from azureml_databricks.bridge.credential import AzureLoginError
from azureml_databricks.bridge.workspace import service_context

__all__ = ["WorkspaceDeploymentClient", "run_local", "target_help"]

# A deployment may take three minutes for a prediction:
# https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-managed-online
_PREDICTION_SECONDS = 200.0


class WorkspaceDeploymentClient(BaseDeploymentClient):
    """What the plugin's client does, for logged models too.

    Raises:
        MlflowException: at construction, if the target is no workspace's; at each call, in one line.
    """

    def __init__(self, target_uri: str) -> None:
        """Make the client of the workspace with this tracking URI."""
        super().__init__(target_uri)  # type: ignore[no-untyped-call]
        context = service_context(target_uri)
        # The plugin's own login ends in a browser and a device code.
        _AzureMLServiceContextLoader.add_service_context(target_uri, context)
        self._plugins = deployment_client.AzureMLDeploymentClient(target_uri)
        self._plugins._v2_predict = _of_one_that_is_there(self._plugins._v2_predict)
        self._plugins._mms_client._client = client(ServicesClient, context)
        self._plugins._mir_client._client = client(
            EndpointsClient,
            context,
            base_url=context.cloud.endpoints.resource_manager,
            subscription_id=context.subscription_id,
        )

    def create_deployment(self, name: str, model_uri: str, *args: Any, **kwargs: Any) -> Any:
        """Deploy a model; one that is not registered is registered as `NAME-model`."""
        with _in_one_line(f"create the deployment {name!r}"):
            known = _known_to_azure(model_uri, name)
            return self._plugins.create_deployment(name, known, *args, **kwargs)

    def update_deployment(self, name: str, model_uri: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Change a deployment, and the model that it serves if one is given."""
        with _in_one_line(f"update the deployment {name!r}"):
            known = model_uri and _known_to_azure(model_uri, name)
            return self._plugins.update_deployment(name, known, *args, **kwargs)

    def delete_deployment(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Delete a deployment."""
        with _in_one_line(f"delete the deployment {name!r}"):
            return self._plugins.delete_deployment(name, *args, **kwargs)

    def list_deployments(self, *args: Any, **kwargs: Any) -> Any:
        """Return the deployments, of one endpoint or all."""
        with _in_one_line("list the deployments"):
            return self._plugins.list_deployments(*args, **kwargs)

    def get_deployment(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Return a deployment."""
        with _in_one_line(f"get the deployment {name!r}"):
            return self._plugins.get_deployment(name, *args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Return what a deployment or an endpoint predicts; it is asked once."""
        with _in_one_line("predict"):
            return self._plugins.predict(*args, **kwargs)

    def create_endpoint(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Create an endpoint."""
        with _in_one_line(f"create the endpoint {name!r}"):
            return self._plugins.create_endpoint(name, *args, **kwargs)

    def update_endpoint(self, endpoint: str, *args: Any, **kwargs: Any) -> Any:
        """Change an endpoint."""
        with _in_one_line(f"update the endpoint {endpoint!r}"):
            return self._plugins.update_endpoint(endpoint, *args, **kwargs)

    def delete_endpoint(self, endpoint: str) -> Any:
        """Delete an endpoint."""
        with _in_one_line(f"delete the endpoint {endpoint!r}"):
            return self._plugins.delete_endpoint(endpoint)

    def list_endpoints(self) -> Any:
        """Return the endpoints."""
        with _in_one_line("list the endpoints"):
            return self._plugins.list_endpoints()

    def get_endpoint(self, endpoint: str) -> Any:
        """Return an endpoint."""
        with _in_one_line(f"get the endpoint {endpoint!r}"):
            return self._plugins.get_endpoint(endpoint)


def run_local(*args: Any, **kwargs: Any) -> NoReturn:
    """Refuse: the plugin would use azureml-core, with a login of its own.

    Raises:
        MlflowException: always.
    """
    raise MlflowException(
        "Azure Machine Learning deploys no model to this machine; `mlflow models serve -m MODEL` serves one"
    )


@contextmanager
def _in_one_line(what: str) -> Iterator[None]:
    """Say what went wrong in one line, whatever the plugin has made of it."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # the plugin wraps what it gets in errors of any kind
        with telling(what):
            raise _said_first(error) from None


def _said_first(error: BaseException) -> BaseException:
    """Return what Azure, its login or the network said; an error of the plugin's own in one line."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (AzureError, AzureLoginError, DeserializationError)):
            return cause
        if isinstance(cause, requests.RequestException):
            return ServiceRequestError(str(cause))
        cause = cause.__cause__
    if isinstance(error, MlflowException):
        return MlflowException(refusals.plain(error.message), ErrorCode.Value(error.error_code))
    return error


def _of_one_that_is_there(predict: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse an endpoint that there is not, of which the plugin asks what None has."""

    def ask(endpoint: Any, *args: Any, **kwargs: Any) -> Any:
        if endpoint is None:
            raise MlflowException("there is no such endpoint", RESOURCE_DOES_NOT_EXIST)
        return predict(endpoint, *args, **kwargs)

    return ask


def _predict(url: str, json: Any, headers: dict[str, str]) -> requests.Response:
    """Ask an endpoint, in limited time: the plugin would wait for ever."""
    answer = requests.post(url, json=json, headers=headers, timeout=seconds_for(_PREDICTION_SECONDS))
    try:
        document = answer.json()
    except ValueError as error:
        if answer.ok:
            raise DeserializationError(str(error)) from None
        document = {"message": answer.text or answer.reason}
    if not answer.ok:
        said = refusals.said(document) if isinstance(document, dict) else refusals.plain(str(document))
        raise MlflowException(
            f"{urlsplit(url).hostname} refuses to predict: {answer.status_code}, {said}",
            ErrorCode.Value(refusals.code_of(answer.status_code)),
        )
    return answer


def _read(url: str, **asked: Any) -> requests.Response:
    """Ask what an endpoint says of itself, in limited time; without it the plugin goes on."""
    return requests.get(url, timeout=seconds_for(), **asked)


# The plugin takes no other way to ask.
deployment_client.post_and_validate_response = _predict
deployment_client.get_and_validate_response = _read


def _known_to_azure(model_uri: str, deployment: str) -> str:
    """Return a registered model's address for that of a logged model, which the plugin does not know."""
    if not model_uri.startswith("models:/m-") or "/" in model_uri.removeprefix("models:/"):
        return model_uri
    version = mlflow.register_model(model_uri, f"{deployment}-model")
    return f"models:/{version.name}/{version.version}"
