"""Other deployments in the workspace, which share a secret scope or a volume with ours.

They are known by their policies, which only admins write: nobody else makes a deployment up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.compute import Policy

from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.objects import storage
from azureml_databricks.admin.objects.pointing import deployment_at, points_at
from azureml_databricks.admin.objects.record import Record
from azureml_databricks.admin.objects.secret_scope import SECRET


@dataclass(frozen=True)
class Neighbour:
    """A policy of another deployment.

    Attributes:
        location: where that has its files.
        policy: what the policy is called.
    """

    location: str
    policy: str

    def __str__(self) -> str:
        """Say which deployment it is."""
        return f"the deployment in {self.location} (policy {self.policy})"

    def known_id(self, client: WorkspaceClient, scope: str, key: str) -> str:
        """Return the ID that its record says is in a scope, empty where it does not or cannot be read."""
        try:
            record = Record(storage.at(client, self.location))
        except AdminError:
            return ""
        return str((record.details(SECRET, f"{scope}/{key}") or {}).get("is", ""))


def with_secret(listed: Sequence[Policy], scope: str, key: str, location: str) -> Iterator[Neighbour]:
    """Yield the policies of other deployments that refer to a secret.

    Args:
        listed: all policies of the workspace.
        scope: the scope's name.
        key: the secret's, empty for any secret of the scope.
        location: where our deployment has its files.
    """
    place = f"{{{{secrets/{scope}/{key}" + ("}}" if key else "")
    for policy in listed:
        known = policy.as_dict()
        theirs = deployment_at(known)
        if theirs and theirs != location and points_at(known, place):
            yield Neighbour(theirs, policy.name or "")


def in_volume(listed: Sequence[Policy], location: str) -> Iterator[Neighbour]:
    """Yield the policies of other deployments whose files are in the same volume as ours.

    Args:
        listed: all policies of the workspace.
        location: where our deployment has its files.
    """
    volume = "/".join(location.split("/")[:5])
    for policy in listed:
        theirs = deployment_at(policy.as_dict())
        if theirs and theirs != location and f"{theirs}/".startswith(f"{volume}/"):
            yield Neighbour(theirs, policy.name or "")
