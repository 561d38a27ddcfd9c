"""Who can write to the location, where what lies there runs as root on every cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.catalog import Privilege
from databricks.sdk.service.iam import PermissionLevel

from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.objects.storage import Storage, Volume
from azureml_databricks.admin.services.databricks import telling

# Whoever manages can give the rest to themselves:
# https://learn.microsoft.com/azure/databricks/data-governance/unity-catalog/manage-privileges/privileges
_WRITE_VOLUME = {Privilege.WRITE_VOLUME, Privilege.ALL_PRIVILEGES, Privilege.MANAGE}
# https://learn.microsoft.com/azure/databricks/security/auth/access-control/#folders
_WRITE_FOLDER = {PermissionLevel.CAN_EDIT, PermissionLevel.CAN_MANAGE, PermissionLevel.IS_OWNER}
_ADMINS = "admins"


def check(client: WorkspaceClient, storage: Storage, user: str, accepted: Collection[str]) -> None:
    """Look who can write to a location, by rights of its own or inherited ones.

    Args:
        client: of the workspace.
        storage: the location; it need not exist.
        user: who deploys.
        accepted: whom the file accepts.

    Raises:
        AdminError: somebody can who neither deploys, nor is the owner, the admins or accepted.
    """
    is_volume = isinstance(storage, Volume)
    what = f"volume {storage.name}" if isinstance(storage, Volume) else f"folder {storage.location}"
    needs = f"MANAGE on {what}, or its owner" if is_volume else "CAN MANAGE on it, or the admin role"
    with telling(f"who may write to {what} cannot be read", needs):
        found = _of_volume(client, storage) if isinstance(storage, Volume) else _of_folder(client, storage)
        writers = list(dict.fromkeys(found))
    known = {name.lower() for name in (user, _ADMINS, *accepted, *_owner(storage))}
    if others := [name for name in writers if name.lower() not in known]:
        raise AdminError(
            f"{', '.join(others)} may write to {what}, and what lies there runs as root on every cluster: "
            "take that right from them, use a location that only admins may write to (clusters.location), or "
            "name them in clusters.allowWriters"
        )


def _owner(storage: Storage) -> list[str]:
    return [storage.owner] if isinstance(storage, Volume) else []


def _of_volume(client: WorkspaceClient, volume: Volume) -> Iterator[str]:
    # Of a group's members each may write, so that the group is what has to be accepted.
    for assignment in client.grants.get_effective("volume", volume.name).privilege_assignments or []:
        if _WRITE_VOLUME & {it.privilege for it in assignment.privileges or []}:
            yield assignment.principal or ""


def _of_folder(client: WorkspaceClient, storage: Storage) -> Iterator[str]:
    for entry in client.permissions.get("directories", _nearest(client, storage)).access_control_list or []:
        if _WRITE_FOLDER & {it.permission_level for it in entry.all_permissions or []}:
            yield entry.user_name or entry.group_name or entry.service_principal_name or ""


def _nearest(client: WorkspaceClient, storage: Storage) -> str:
    """Return the ID of the folder, or of the one above it whose rights it will inherit."""
    for folder in (PurePosixPath(storage.location), *PurePosixPath(storage.location).parents):
        try:
            return str(client.workspace.get_status(str(folder)).object_id)
        except NotFound:
            continue
    raise AdminError(f"{storage.location} is in no folder of this workspace (clusters.location)")
