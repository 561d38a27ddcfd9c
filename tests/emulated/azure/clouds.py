"""The host names of the clouds.

Source: azureml.mlflow._common._cloud.cloud, azure.ai.ml._azure_environments
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cloud:
    """One Azure cloud. ``name`` is what ``AZUREML_CURRENT_CLOUD`` takes."""

    name: str
    login_hosts: tuple[str, ...]
    management_host: str
    api_suffix: str
    storage_suffix: str
    studio_host: str
    portal_host: str
    region: str
    registry_hosts: str = "*.experiments.azureml.net"  # known of the public cloud only

    @property
    def api_host(self) -> str:
        """The data plane of the region where the emulated workspace lives."""
        return f"{self.region}.{self.api_suffix}"

    @property
    def private_link(self) -> str:
        """The pattern of the hosts of workspaces that have a private link, ``*`` standing for a GUID."""
        return f"*.workspace.{self.region}.{self.api_suffix}"

    @property
    def blob_suffix(self) -> str:
        return f"blob.{self.storage_suffix}"

    @property
    def scoring_hosts(self) -> str:
        """The pattern of the hosts of online endpoints, ``*`` standing for the endpoint's name."""
        return f"*.{self.region}.inference.{self.studio_host}"

    @property
    def audiences(self) -> tuple[str, ...]:
        """The resources for which Entra gives a token here."""
        return (
            f"https://{self.management_host}",
            f"https://management.{self.storage_suffix}",
            f"https://{self.studio_host}",
        )

    @property
    def host_patterns(self) -> tuple[str, ...]:
        """All hosts of this cloud, ``*`` standing for one label."""
        return (
            *self.login_hosts,
            self.management_host,
            f"*.{self.api_suffix}",
            self.private_link,
            f"*.{self.blob_suffix}",
            self.registry_hosts,
            self.scoring_hosts,
        )


PUBLIC = Cloud(
    name="AzureCloud",
    login_hosts=("login.microsoftonline.com",),
    management_host="management.azure.com",
    api_suffix="api.azureml.ms",
    storage_suffix="core.windows.net",
    studio_host="ml.azure.com",
    portal_host="portal.azure.com",
    region="westeurope",
)
US_GOVERNMENT = Cloud(
    name="AzureUSGovernment",
    login_hosts=("login.microsoftonline.us",),
    management_host="management.usgovcloudapi.net",
    api_suffix="api.ml.azure.us",
    storage_suffix="core.usgovcloudapi.net",
    studio_host="ml.azure.us",
    portal_host="portal.azure.us",
    region="usgovarizona",
)
CHINA = Cloud(
    name="AzureChinaCloud",
    login_hosts=("login.chinacloudapi.cn", "login.partner.microsoftonline.cn"),
    management_host="management.chinacloudapi.cn",
    api_suffix="api.ml.azure.cn",
    storage_suffix="core.chinacloudapi.cn",
    studio_host="ml.azure.cn",
    portal_host="portal.azure.cn",
    region="chinaeast2",
)
