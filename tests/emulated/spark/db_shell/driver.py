"""Keeps the driver's JVM, with the cluster's one Spark application, for notebooks and jobs to connect to.

Source: assumed: no Python starts that JVM, so that none of the node's hooks runs there
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

# Started with `-I -S`: on Databricks no Python starts this JVM, so none of the node's hooks may run here.
_PYTHON = Path(os.environ["SPARK_HOME"], "python")
sys.path[:0] = [str(_PYTHON), *map(str, _PYTHON.glob("lib/py4j-*.zip"))]

from pyspark.sql import SparkSession  # noqa: E402


def main(to: Path) -> None:
    """Start it, and write to a file of the user's own how to connect; go on until killed."""
    context = SparkSession.builder.getOrCreate().sparkContext
    gateway = context._gateway.gateway_parameters
    written = to.with_suffix(".part")
    with open(os.open(written, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        json.dump({"port": gateway.port, "secret": gateway.auth_token}, file)
    written.rename(to)
    signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
