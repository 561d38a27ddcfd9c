"""Where a cluster's logs go, if its spec names a volume: of init scripts, what each has written.

Source: https://learn.microsoft.com/azure/databricks/init-scripts/logs,
https://learn.microsoft.com/azure/databricks/compute/configure#compute-log-delivery
"""

from __future__ import annotations

import contextlib
import io
import time

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.compute import ClusterDetails

from tests.emulated.node import Node

_FOLDER = "/databricks/init_scripts"
_ADDRESS = "10_0_0_1"
"""The container's, in the name of its folder.

Source: https://learn.microsoft.com/azure/databricks/init-scripts/logs, of which the form is
"""


def deliver(node: Node, cluster: ClusterDetails, client: WorkspaceClient) -> None:
    """Put what a node's init scripts have written into the volume; who may not write there gets nothing.

    Of a cluster that has ended all of it is there; how long after, nobody says. Here it is before.

    Args:
        node: which.
        cluster: whose it is.
        client: of whom its init scripts run as.
    """
    conf = cluster.cluster_log_conf
    if not conf or not conf.volumes:
        return
    begun = time.strftime("%Y%m%d_%H%M%S")
    container = f"{cluster.cluster_id}_{_ADDRESS}"
    to = conf.volumes.destination.removeprefix("dbfs:")
    folder = f"{to}/{cluster.cluster_id}/init_scripts/{container}"
    with contextlib.suppress(DatabricksError):
        client.files.create_directory(folder)
        for log in sorted(node.path(_FOLDER).glob("*.log")):
            number, _, name = log.name.partition("_")
            target = f"{folder}/{begun}_{int(number):02}_{name}"
            client.files.upload(target, io.BytesIO(log.read_bytes()), overwrite=True)
