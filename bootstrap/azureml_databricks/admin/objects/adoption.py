"""What is ours without a record: what points at our location, or lies there in our form."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.compute import Policy

from azureml_databricks.admin.objects import allowlist, policy, release
from azureml_databricks.admin.objects.pointing import deployment_at
from azureml_databricks.admin.objects.storage import Storage, Volume

Thing = tuple[str, str, dict[str, Any]]


def pointing_here(listed: Sequence[Policy], location: str) -> list[Policy]:
    """Return the policies whose init script is of a release in a location."""
    return [it for it in listed if deployment_at(it.as_dict()) == location]


def found(
    client: WorkspaceClient, storage: Storage, listed: Sequence[Policy], names: Collection[str]
) -> Iterator[Thing]:
    """Yield what is ours by the look of it: its kind, its name and what is to be known of it.

    A secret does not say who has put it there: none is taken for ours.

    Args:
        client: of the workspace.
        storage: the location.
        listed: all policies of the workspace.
        names: of the file's policies; another one that points here is somebody's copy.

    Raises:
        AdminError: Databricks refuses to tell.
    """
    for it in pointing_here(listed, storage.location):
        if it.name and it.name in names:
            yield policy.KIND, it.name, {"id": it.policy_id}
    for name, entry in storage.entries("").items():
        if (
            entry.size is None
            and re.fullmatch("[0-9a-f]{12}", name)
            and release.SCRIPT in storage.entries(name)
        ):
            yield release.KIND, name, {}
    if isinstance(storage, Volume):
        form = re.compile(rf"{re.escape(storage.location)}/([0-9a-f]{{12}}/{re.escape(release.SCRIPT)})?")
        for script in allowlist.entries(client):
            if form.fullmatch(script):
                yield allowlist.KIND, script, {}
