"""The files of a model that goes into an Azure ML registry's own storage.

Azure says which host takes them, and that host gets our login. It gives an address that is signed for all
files of one version. The plugin's own upload forgets what goes wrong in its threads, waits for ever for a
file that was not sent, and takes whatever goes wrong for a model that has no version yet.

Source: azureml.mlflow._client.artifact.registry_artifact_client
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from azure.core.exceptions import ResourceNotFoundError
from azureml.mlflow._client.artifact.registry_client import (
    MFE_PATH_PREFIX,
    get_asset_body_for_registry_storage,
)
from azureml.mlflow._restclient.mfe_v2021_10_01_dataplanepreview import (
    AzureMachineLearningWorkspaces as FilesClient,
)
from azureml.mlflow._restclient.registry_discovery import (
    AzureMachineLearningWorkspaces as DiscoveryClient,
)
from mlflow.exceptions import MlflowException

from azureml_databricks.bridge.artifacts import files_below, write
from azureml_databricks.bridge.clients import client, telling
from azureml_databricks.bridge.parallel import in_parallel, threads_for_each
from azureml_databricks.bridge.workspace import require_trusted

if TYPE_CHECKING:
    from azureml.mlflow._internal.utils import RegistryServiceContext

# Knows every registry, as the plugin has it.
_DISCOVERY = "https://eastus.api.azureml.ms/"


def upload(context: RegistryServiceContext, folder: Path, model: str) -> str:
    """Upload a folder as the next version of a model, and return its address.

    Raises:
        MlflowException: in one line; Azure refuses, or names a host that is none of Azure's.
    """
    registry = context.registry_name
    with telling(f"upload the model {model!r} to the registry {registry!r}"):
        details = client(DiscoveryClient, context, base_url=_DISCOVERY).registry_management_non_workspace
        found = details.registry_management_non_workspace(registry)
        host = found.primary_region_resource_provider_uri or ""
        require_trusted(host)
        service = client(
            FilesClient, context, base_url=host + MFE_PATH_PREFIX, subscription_id=found.subscription_id
        )
        where = {"resource_group_name": found.resource_group, "registry_name": registry, "name": model}
        version = _next_version(service, where)
        place = service.temporary_data_references.create_or_get_temporary_data_reference(
            **where,
            version=version,
            body=get_asset_body_for_registry_storage(registry, "models", model, version),
        ).blob_reference_for_consumption
        _send(folder, _signed(place, host), {"name": model, "version": version})
    return f"{place.blob_uri}/{folder.name}/"


def _next_version(service: Any, where: dict[str, str]) -> str:
    try:
        return str(service.model_containers.get(**where).properties.next_version or 1)
    except ResourceNotFoundError:
        return "1"


def _signed(place: Any, host: str) -> str:
    try:
        return str(place.credential.additional_properties["sasUri"])
    except (AttributeError, KeyError):
        raise MlflowException(f"{host} gives no signed address for the files of a model") from None


def _send(folder: Path, signed: str, asset: dict[str, str]) -> None:
    """Send a folder's files; the first one last, since it says that all are there."""
    container, _, signature = signed.partition("?")
    files = {f"{folder.name}/{path}": file for path, file in files_below(folder)}
    threads = threads_for_each(len(files))

    def send(path: str, metadata: dict[str, str] | None = None) -> None:
        with files[path].open("rb") as stream:
            write(f"{container}/{quote(path)}?{signature}", stream, threads, metadata)

    first, *others = sorted(files)
    in_parallel(send, others)
    send(first, {"upload_status": "completed", **asset})
