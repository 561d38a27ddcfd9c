"""Boots the kind of node that this machine permits."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from tests.emulated.node.node import Node, NodeError
from tests.emulated.node.overlay import boot_overlay, refusal
from tests.emulated.node.prefix import boot_prefix
from tests.emulated.node.replica import Replica

_OF_THE_CLUSTER = {
    "DATABRICKS_RUNTIME_VERSION": "",
    "DB_CLUSTER_ID": "0101-120000-emulated",
    "DB_CLUSTER_NAME": "emulated",
    "DB_CONTAINER_IP": "127.0.0.1",
    "DB_DRIVER_IP": "127.0.0.1",
    "DB_INSTANCE_TYPE": "Standard_DS3_v2",
    "DB_IS_DRIVER": "",
    "DB_IS_JOB_CLUSTER": "FALSE",
}
"""Variables that init scripts and all later processes have:

Source: https://learn.microsoft.com/azure/databricks/init-scripts/environment-variables
"""
_OF_MLFLOW = {"MLFLOW_REGISTRY_URI": "databricks-uc", "MLFLOW_TRACKING_URI": "databricks"}
"""Variables that the runtime presets for MLflow:

Source: facts: seen, the values that a cluster's processes have; assumed for init scripts
"""


def boot(
    replica: Replica,
    *,
    driver: bool = True,
    spark_env_vars: Mapping[str, str] | None = None,
    layers: Sequence[Path] = (),
    shared: Mapping[str, Path] | None = None,
) -> AbstractContextManager[Node]:
    """Boot a node; at the end of the context nothing is left of it.

    Args:
        replica: the runtime that the node has.
        driver: whether it is the cluster's driver, or a worker.
        spark_env_vars: the cluster's variables, secrets resolved.
        layers: folders laid out as under `/`, which are laid over the replica's; the first hides the others.
        shared: folders of this machine by the path where the node has them, to write to.

    The variable `TEST_NODE=prefix` has all nodes built under a prefix.

    Raises:
        NodeError: this machine permits no overlay, which `layers` and `shared` need: see `no_overlay`.
    """
    environment = {**_always_set(replica, driver), **(spark_env_vars or {})}
    if not (reason := no_overlay()):
        return boot_overlay(replica, environment, layers, shared)
    if layers or shared:
        raise NodeError(f"a node under a prefix has no further layers and shares nothing, and {reason}")
    return boot_prefix(replica, environment, reason)


def no_overlay() -> str | None:
    """Return why nodes are built under a prefix, or None where they are overlays."""
    return "TEST_NODE=prefix asks for it" if os.environ.get("TEST_NODE") == "prefix" else refusal()


def _always_set(replica: Replica, driver: bool) -> dict[str, str]:
    return {
        **_OF_THE_CLUSTER,
        **_OF_MLFLOW,
        "DATABRICKS_RUNTIME_VERSION": replica.runtime.release,
        "DB_IS_DRIVER": "TRUE" if driver else "FALSE",
    }
