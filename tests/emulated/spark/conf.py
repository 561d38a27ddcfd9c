"""Where a cluster's Spark conf is to be found on its nodes, each place only where a test asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from tests.emulated.node import Node

ConfFile = Literal["spark-defaults.conf", "custom-spark.conf", "driver.conf"]

# What the driver's JVM is started with; no user can read it.
OF_THE_JVM = "/databricks/driver/spark.properties"


def write_for_jvm(node: Node, conf: Mapping[str, str]) -> None:
    """Write `conf` where the driver's JVM reads it, and nobody but root."""
    file = node.path(OF_THE_JVM)
    file.touch(mode=0o600)
    file.write_text(_properties(conf))


def write_file(node: Node, where: ConfFile, conf: Mapping[str, str]) -> None:
    """Write `conf` to a further place, which every user of the node can read."""
    path, form = _FILES[where]
    file = node.path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(form(conf))


def _properties(conf: Mapping[str, str]) -> str:
    # Java's Properties: a backslash begins an escape.
    values = {key: value.replace("\\", "\\\\").replace("\n", "\\n") for key, value in conf.items()}
    return "".join(f"{key} {value}\n" for key, value in values.items())


def _hocon(conf: Mapping[str, str]) -> str:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    lines = (f"  {quoted(key)} = {quoted(value)}\n" for key, value in conf.items())
    return f"[driver] {{\n{''.join(lines)}}}\n"


_FILES: Mapping[ConfFile, tuple[str, Callable[[Mapping[str, str]], str]]] = {
    "spark-defaults.conf": ("/databricks/spark/conf/spark-defaults.conf", _properties),
    "custom-spark.conf": ("/tmp/custom-spark.conf", _properties),
    "driver.conf": ("/databricks/driver/conf/00-custom-spark-driver-defaults.conf", _hocon),
}
"""Files that hold the cluster's Spark conf, where a test has them written:

Source: https://learn.microsoft.com/azure/databricks/archive/external-metastores/external-hive-metastore,
https://spark.apache.org/docs/latest/configuration.html;
facts: seen, /tmp/custom-spark.conf in public init scripts
"""
