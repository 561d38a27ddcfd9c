"""The address of an Azure Machine Learning workspace, as MLflow's tracking URI.

The forms are those that azure-ai-ml returns and the `azureml-mlflow` plugin parses; the plugin
crashes on near misses (`resourcegroups`, a trailing slash), so all of them become one form here.
"""

from __future__ import annotations

from dataclasses import dataclass

# The name Azure gives a cloud -> the domain of its Azure ML endpoints, as in azure-ai-ml's
# `_azure_environments.py`.
API_DOMAINS = {
    "AzureCloud": "api.azureml.ms",
    "AzureUSGovernment": "api.ml.azure.us",
    "AzureChinaCloud": "api.ml.azure.cn",
}
# As in `cert-eastus2.experiments.azureml.net`, which the discovery of a registry answers with:
# https://learn.microsoft.com/azure/machine-learning/how-to-manage-registries, by REST
_OF_REGISTRIES = ".experiments.azureml.net"
_PROVIDER = "Microsoft.MachineLearningServices"
_WHERE = "take it from the workspace's overview page (MLflow tracking URI)"
_GUID_LENGTHS = [8, 4, 4, 4, 12]


class TrackingUriError(ValueError):
    """What is wrong with a tracking URI and what to do, in one line.

    Attributes:
        part: the setting that the wrong part would come from, where the URI is composed.
    """

    def __init__(self, message: str, part: str = "") -> None:
        """Make the error."""
        super().__init__(message)
        self.part = part


@dataclass(frozen=True)
class Workspace:
    """One Azure Machine Learning workspace.

    Attributes:
        host: the regional endpoint, such as `westeurope.api.azureml.ms`, or a private link's.
        subscription_id: a GUID.
        resource_group: as Azure shows it.
        name: the workspace's name.
    """

    host: str
    subscription_id: str
    resource_group: str
    name: str

    @property
    def resource_id(self) -> str:
        """The workspace's Azure Resource Manager id."""
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/{_PROVIDER}/workspaces/{self.name}"
        )

    @property
    def tracking_uri(self) -> str:
        """The canonical tracking URI, in the v2.0 form that azure-ai-ml returns."""
        return f"azureml://{self.host}/mlflow/v2.0{self.resource_id}"


def compose(*, region: str, subscription_id: str, resource_group: str, name: str, cloud: str) -> Workspace:
    """Return the workspace in `cloud` (a key of `API_DOMAINS`) that these parts name.

    Raises:
        TrackingUriError: a part cannot be one of Azure's.
    """
    # "West Europe" is how the portal shows the region whose name is "westeurope".
    host = f"{region.replace(' ', '').lower()}.{API_DOMAINS[cloud]}"
    return _checked(Workspace(host, subscription_id, resource_group, name))


def parse(uri: str) -> Workspace:
    """Return the workspace that a tracking URI names.

    Forgives what people paste: `https://`, v1.0, another letter case, a query, a trailing slash.

    Raises:
        TrackingUriError: no workspace is named by it.
    """
    scheme, separator, rest = uri.strip().partition("://")
    if not separator or scheme.lower() not in ("azureml", "https"):
        raise TrackingUriError(f"it does not start with azureml://; {_WHERE}")
    host, *path = rest.partition("?")[0].partition("#")[0].strip("/").split("/")
    found = dict(zip((key.lower() for key in path), path[1:], strict=False))
    for key in ("subscriptions", "resourceGroups", "workspaces"):
        if not found.get(key.lower()):
            raise TrackingUriError(f"no /{key}/... in it; {_WHERE}")
    return _checked(
        Workspace(host.lower(), found["subscriptions"], found["resourcegroups"], found["workspaces"])
    )


def cloud_of(workspace: Workspace) -> str | None:
    """Return the name of the cloud whose domain the workspace's host is in, None for another domain."""
    return _cloud_of_host(workspace.host)


def is_azures(host: str) -> bool:
    """Return whether a host, perhaps with a port, is Azure Machine Learning's: private links' are, too."""
    return _is_host(host) and _cloud_of_host(host) is not None


def is_of_a_registry(host: str) -> bool:
    """Return whether a host is one where Azure ML registries take files, in the public cloud."""
    return _is_host(host) and host.endswith(_OF_REGISTRIES)


def _cloud_of_host(host: str) -> str | None:
    name = host.partition(":")[0]
    return next((cloud for cloud, domain in API_DOMAINS.items() if name.endswith("." + domain)), None)


def _is_host(host: str) -> bool:
    # All that may be read in another way by whoever looks it up is no host: other letters, a user, a path.
    name, colon, port = host.partition(":")
    letters = name.replace("-", "").replace(".", "")
    return (
        letters.isascii()
        and letters.isalnum()
        and all(name.split("."))
        and (not colon or (port.isascii() and port.isdigit()))
    )


def _checked(workspace: Workspace) -> Workspace:
    groups = workspace.subscription_id.split("-")
    if [len(group) for group in groups] != _GUID_LENGTHS or not _is_hex("".join(groups)):
        raise TrackingUriError(
            f"subscription {workspace.subscription_id!r} is not a GUID; "
            "take the subscription ID from the workspace's overview page",
            "subscriptionId",
        )
    for part, what, value, is_allowed in (
        ("region", "host", workspace.host, _is_host(workspace.host)),
        ("resourceGroup", "resource group", workspace.resource_group, _is_name(workspace.resource_group)),
        ("workspaceName", "workspace name", workspace.name, _is_name(workspace.name)),
    ):
        if not is_allowed:
            raise TrackingUriError(f"{what} {value!r} is not one that Azure allows; {_WHERE}", part)
    return workspace


def _is_name(text: str) -> bool:
    return bool(text) and all(letter.isascii() and (letter.isalnum() or letter in "_-.()") for letter in text)


def _is_hex(text: str) -> bool:
    return all(letter in "0123456789abcdefABCDEF" for letter in text)
