"""What a notebook's or job's Python has before any code of the user's: MLflow on ML runtimes, and Spark.

Source: https://learn.microsoft.com/azure/databricks/mlflow/databricks-autologging;
facts: seen, `mlflow.autolog()` in an older runtime's kernel
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

_GATEWAY = Path("/databricks/driver/gateway.json")


def prepare(*, ml: bool) -> SparkSession:
    """Import MLflow as ML runtimes do, and connect to Spark; returns the process's session."""
    if not ml:
        return _connect()
    import mlflow

    spark = _connect()
    if spark.conf.get("spark.databricks.mlflow.autologging.enabled", "true") == "true":
        # Of data sources: its archive for the JVM is in ML runtimes, and PyPI has none.
        mlflow.spark.autolog(disable=True)
        mlflow.autolog()
    return spark


def _connect() -> SparkSession:
    # Standard access mode: Spark Connect, and no way to the JVM.
    return SparkSession.builder.getOrCreate() if "SPARK_REMOTE" in os.environ else _session_of_driver()


def _session_of_driver() -> SparkSession:
    """Return a new session of the application that the driver's JVM has."""
    to = json.loads(_GATEWAY.read_text())
    os.environ.update(PYSPARK_GATEWAY_PORT=str(to["port"]), PYSPARK_GATEWAY_SECRET=to["secret"])
    gateway = launch_gateway()
    # Not for the process's children: a second context is none that the JVM would make.
    del os.environ["PYSPARK_GATEWAY_PORT"], os.environ["PYSPARK_GATEWAY_SECRET"]
    of_driver = gateway.jvm.SparkSession.getDefaultSession().get()
    java_context = gateway.jvm.JavaSparkContext.fromSparkContext(of_driver.sparkContext())
    context = SparkContext(gateway=gateway, jsc=java_context, conf=SparkConf(_jconf=java_context.getConf()))
    return SparkSession(context, of_driver.newSession())
