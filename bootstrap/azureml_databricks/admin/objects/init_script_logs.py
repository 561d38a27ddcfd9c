"""What our init script has written on a cluster that delivers its logs to a volume: the last lines of it.

https://learn.microsoft.com/azure/databricks/init-scripts/logs
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

from databricks.sdk import WorkspaceClient

from azureml_databricks.admin import printable
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.objects import storage
from azureml_databricks.admin.objects.record import LOGS
from azureml_databricks.admin.objects.release import SCRIPT
from azureml_databricks.admin.objects.storage import Storage

# Of a cluster that has ended all of it is delivered; how soon, no page says. Seconds between two looks.
PAUSES = [0, 1, 2, 3, 4, *[10] * 5]
CONF = "cluster_log_conf"
_ESCAPE = re.compile(r"\x1b(\][^\x07\x1b]*(\x07|\x1b\\)|\[[0-?]*[ -/]*[@-~]|[@-_])")


@contextmanager
def folder(storage: Storage) -> Iterator[str]:
    """Have a folder for clusters to deliver their logs to, which is gone afterwards.

    Yields:
        Its path; empty where there can be none: logs are delivered to volumes, and to no workspace folder.
    """
    if not storage.location.startswith("/Volumes/"):
        yield ""
        return
    name = f"{LOGS}/{uuid4().hex[:8]}"
    try:
        yield f"{storage.location}/{name}"
    finally:
        # What comes later goes with the location.
        with suppress(AdminError):
            storage.delete_all(name)
            if not storage.entries(LOGS):
                storage.delete(LOGS)


def delivered_to(path: str, said: Collection[str]) -> dict[str, str]:
    """Return what a cluster's spec says, by path, so that its logs go to a folder.

    Args:
        path: of the folder, empty for none.
        said: the paths that a policy or an admin says something of; what they say of logs counts.
    """
    is_said = any(it.partition(".")[0] == CONF for it in said)
    return {} if is_said or not path else {f"{CONF}.volumes.destination": path}


def last_lines(client: WorkspaceClient, cluster_id: str) -> list[str]:
    """Return the last lines that our init script has written to standard error, waiting for them.

    Args:
        client: of the workspace.
        cluster_id: of a cluster that has ended.

    Raises:
        AdminError: the volume cannot be read.
    """
    conf = client.clusters.get(cluster_id).cluster_log_conf
    if not conf or not conf.volumes:
        return []
    logs = storage.at(client, conf.volumes.destination.removeprefix("dbfs:").rstrip("/"))
    for pause in PAUSES:
        time.sleep(pause)
        for text in _delivered(logs, f"{cluster_id}/init_scripts"):
            if lines := printable.last_lines(_ESCAPE.sub("", text)):
                return lines
    return []


def _delivered(logs: Storage, folder: str) -> Iterator[str]:
    """Yield what the script has written, node by node."""
    for node in logs.entries(folder):
        for name in logs.entries(f"{folder}/{node}"):
            if name.endswith(f"_{SCRIPT}.stderr.log"):
                yield (logs.read(f"{folder}/{node}/{name}") or b"").decode(errors="replace")
