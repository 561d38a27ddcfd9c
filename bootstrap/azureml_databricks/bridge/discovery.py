"""Where an Azure ML registry takes files: Azure is asked, and the host that it names gets our login."""

from __future__ import annotations

from azureml.mlflow._client.artifact import registry_client

from azureml_databricks.bridge.workspace import require_trusted


class _TrustedDiscovery(registry_client.RegistryDiscovery):  # type: ignore[misc]  # the plugin has no types
    def _get_registry_details(self) -> None:
        super()._get_registry_details()
        require_trusted(self._base_url)


def trust_only_azures_hosts() -> None:
    """Have the plugin refuse any other: it makes its client of what it finds, and takes none of ours."""
    registry_client.RegistryDiscovery = _TrustedDiscovery
