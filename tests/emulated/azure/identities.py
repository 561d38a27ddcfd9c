"""What exists in the emulated Azure: a workspace, and principals with or without a role in it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from uuid import uuid4

from tests.emulated.azure.clouds import Cloud
from tests.emulated.azure.federation import FederatedCredential


def new_id() -> str:
    return str(uuid4())


@dataclass(frozen=True)
class Workspace:
    """An Azure ML workspace and the storage account that belongs to it."""

    cloud: Cloud = field(repr=False)
    tenant_id: str = field(default_factory=new_id)
    subscription_id: str = field(default_factory=new_id)
    resource_group: str = "analytics"
    name: str = "forecasting"
    storage_account: str = "forecastingstore"
    workspace_id: str = field(default_factory=new_id)

    @property
    def region(self) -> str:
        return self.cloud.region

    @property
    def resource_id(self) -> str:
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"
        )

    @property
    def registry_id(self) -> str:
        """The id of an Azure ML registry that the organisation shares."""
        return self.resource_id.rpartition("/workspaces/")[0] + "/registries/shared"

    @property
    def tracking_uri(self) -> str:
        """The tracking URI as azure-ai-ml gives it (ARM's own says v1.0 where this says v2.0)."""
        return f"azureml://{self.cloud.api_host}/mlflow/v2.0{self.resource_id}"


@dataclass(frozen=True)
class Principal:
    """A service principal with a client secret, or the one of a managed identity.

    ``role`` is its role in the workspace, if any; ``federation`` what it trusts in place of a secret.
    """

    tenant_id: str
    role: str | None
    federation: FederatedCredential | None = None
    display_name: str = "mlflow-on-databricks"
    client_id: str = field(default_factory=new_id)
    object_id: str = field(default_factory=new_id)
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
    expired_secret: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
