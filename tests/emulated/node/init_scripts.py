"""What an init script sees of its cluster's variables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

AccessMode = Literal["dedicated", "standard"]
_ALWAYS_SEEN = (
    *("DB_CLUSTER_ID", "DB_CLUSTER_NAME", "DB_CONTAINER_IP", "DB_DRIVER_IP", "DB_INSTANCE_TYPE"),
    *("DB_IS_DRIVER", "DB_IS_JOB_CLUSTER", "HTTP_PROXY", "AWS_ACCESS_KEY_ID", "AZURE_CLIENT_ID", "CATALOG"),
)
"""Of the predefined set, what the vendor names; the whole set is in no public page.

Source: https://learn.microsoft.com/azure/databricks/release-notes/runtime/19,
https://learn.microsoft.com/azure/databricks/init-scripts/environment-variables
"""
# What any process has, and by which ours finds a node under a prefix.
_OF_THE_SYSTEM = ("PATH", "HOME", "LANG", "AZUREML_DATABRICKS_ROOT")
_RESTRICTED_SINCE = 19


def withheld(names: Iterable[str], access_mode: AccessMode, runtime: str) -> list[str]:
    """Return the variables that an init script does not get, of those that other processes have.

    In standard access mode, from runtime 19 on, it gets a predefined set and no other; until then, and in
    other access modes, all.

    Source: https://learn.microsoft.com/azure/databricks/release-notes/runtime/19
    """
    if access_mode != "standard" or int(runtime.partition(".")[0]) < _RESTRICTED_SINCE:
        return []
    return [name for name in names if name not in (*_ALWAYS_SEEN, *_OF_THE_SYSTEM)]
