"""A cluster of emulated nodes (../node) with a real Apache Spark across them, as Databricks runs one.

::

    driver      master; the driver's JVM, with the only      distribution.py: /databricks/spark, a layer
                Spark application; notebooks and jobs        daemons.py; db_shell/: the notebook's Python
    workers     a worker's daemon, its executor, and the     cluster.py
                executor's Python workers
    all         /Volumes and a folder of the driver's        shared.py
                the Spark conf, where it is told to be       conf.py

Each node has its own file system, /dev/shm and address, of 127.0.0.0/8; the network is the machine's. Init
scripts run on each before any of Spark starts::

    with booted_cluster("15.4", ml=True, spark_conf={"spark.azureml.mode": "full"}, prepare=run) as cluster:
        cluster.run_notebook(["spark.range(8).count()", "%sh env"])
        cluster.run_script("/Volumes/main/default/jobs/train.py", "--epochs=3")

Notebooks and jobs are clients of the driver's JVM, which no Python has started: in dedicated access mode by
py4j, as root; in standard access mode by Spark Connect, as an unprivileged user who cannot reach the JVM.

Databricks serves Connect from Spark 3.5 too, and PyPI does not: in standard access mode of such a runtime
notebooks and jobs have its pyspark, and speak to a Spark 4.0.

What it is not: executors of the standard mode are not in sandboxes of their own, there is no cluster
manager that replaces a node, and a UDF's Python is the cluster's, not the notebook's.
"""

from __future__ import annotations

from tests.emulated.spark.cluster import SparkCluster, booted_cluster
from tests.emulated.spark.conf import ConfFile

__all__ = ["ConfFile", "SparkCluster", "booted_cluster"]
