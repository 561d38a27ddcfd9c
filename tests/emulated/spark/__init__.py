"""A cluster of emulated nodes (../node) with a real Apache Spark across them, as Databricks runs one.

How it works, what it does not do, how to add to it: README.md beside this file.
"""

from __future__ import annotations

from tests.emulated.spark.cluster import SparkCluster, booted_cluster
from tests.emulated.spark.conf import ConfFile

__all__ = ["ConfFile", "SparkCluster", "booted_cluster"]
