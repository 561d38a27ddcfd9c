"""All of an emulated workspace that a deployment might change, to compare one moment with another."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.workspace import ObjectType

from tests.emulated.databricks import EmulatedDatabricks


def state(databricks: EmulatedDatabricks, volume: str, folder: str = "/Workspace/Admins") -> dict[str, Any]:
    """Return what is in a workspace; policies are called by their names, so that ids do not differ.

    Args:
        databricks: the workspace.
        volume: `catalog.schema.volume`, of which the files and the grants are of interest.
        folder: of workspace files.
    """
    client = databricks.cluster_client(databricks.admin)
    catalog, schema, _ = volume.split(".")
    ids = {it.policy_id or "": it.name or "" for it in client.cluster_policies.list()}
    return {
        "files": dict(_volume_files(client, f"/Volumes/{volume.replace('.', '/')}", ids)),
        "workspace files": dict(_workspace_files(client, folder, ids)),
        "allowlist": databricks.allowlists.paths(),
        "grants": {
            name: _grants(client, kind, name)
            for kind, name in (("catalog", catalog), ("schema", f"{catalog}.{schema}"), ("volume", volume))
        },
        "secrets": {
            scope.name: {
                it.key: databricks.vault.value(str(scope.name), str(it.key))
                for it in client.secrets.list_secrets(str(scope.name))
            }
            for scope in client.secrets.list_scopes()
        },
        "acls": {
            scope.name: sorted(
                (it.principal, it.permission.value) for it in client.secrets.list_acls(str(scope.name))
            )
            for scope in client.secrets.list_scopes()
        },
        "policies": {it.name: _policy(client, it.as_dict()) for it in client.cluster_policies.list()},
    }


def _policy(client: WorkspaceClient, policy: dict[str, Any]) -> dict[str, Any]:
    fields = {key: value for key, value in policy.items() if key not in ("policy_id", "created_at_timestamp")}
    definition = json.loads(fields.pop("definition", "{}"))
    acl = client.permissions.get("cluster-policies", policy["policy_id"]).access_control_list or []
    users = sorted(it.user_name or it.group_name or it.service_principal_name or "" for it in acl)
    return {**fields, "definition": definition, "users": users}


def _grants(client: WorkspaceClient, kind: str, name: str) -> dict[str, list[str]]:
    assignments = client.grants.get(kind, name).privilege_assignments or []
    return {str(it.principal): sorted(p.value for p in it.privileges or []) for it in assignments}


def _volume_files(client: WorkspaceClient, folder: str, ids: dict[str, str]) -> Any:
    try:
        entries = list(client.files.list_directory_contents(folder))
    except NotFound:
        return
    for entry in entries:
        assert entry.path
        if entry.is_directory:
            yield from _volume_files(client, entry.path, ids)
        else:
            contents = client.files.download(entry.path).contents
            assert contents
            yield entry.path, _fingerprint(contents.read(), ids)


def _workspace_files(client: WorkspaceClient, folder: str, ids: dict[str, str]) -> Any:
    try:
        entries = list(client.workspace.list(folder))
    except NotFound:
        return
    for entry in entries:
        assert entry.path
        if entry.object_type == ObjectType.DIRECTORY:
            yield entry.path, "folder"
            yield from _workspace_files(client, entry.path, ids)
        else:
            with client.workspace.download(entry.path) as file:
                yield entry.path, _fingerprint(file.read(), ids)


def _fingerprint(content: bytes, ids: dict[str, str]) -> str:
    """Return a small text as it is, without ids of policies, and of anything else a digest."""
    if len(content) > 10_000 or b"\0" in content:
        return hashlib.sha256(content).hexdigest()
    text = content.decode()
    for policy_id, name in ids.items():
        text = text.replace(policy_id, f"ID OF {name}")
    # When secrets and releases were written, in the record: milliseconds since 1970.
    return re.sub(r"\b\d{13}\b", "TIME", text)
