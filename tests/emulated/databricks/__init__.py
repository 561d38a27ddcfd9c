"""An Azure Databricks workspace of this machine's own, for tests: unmodified clients, real requests.

How it works, what it does not do, how to add to it: README.md beside this file.
"""

from __future__ import annotations

from tests.emulated.databricks.callers import Caller
from tests.emulated.databricks.cluster import LaunchError, started_cluster, started_spark_cluster
from tests.emulated.databricks.emulator import EmulatedDatabricks

__all__ = ["Caller", "EmulatedDatabricks", "LaunchError", "started_cluster", "started_spark_cluster"]
