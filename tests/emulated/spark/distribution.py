"""Apache Spark as layers of a node; as Databricks has it, it lies at `/databricks/spark`.

What PyPI has as pyspark is all of Spark: its JVM's archives and its commands, around the Python package.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import uv

from tests import REPOSITORY
from tests.emulated.node import Node
from tests.emulated.node.interpreter import Interpreter

SPARK = "/databricks/spark"
"""Where Spark lies: /databricks/spark.

Source: facts: seen, in paths that notebooks print
"""
SERVER = "/databricks/spark-connect-server"

_OF_RUNTIMES = {"14.3": "3.5", "15.4": "3.5", "16.4": "3.5", "17.3": "4.0"}
"""Which Spark a runtime has:

Source: https://docs.databricks.com/aws/en/release-notes/runtime/
"""
_FIRST_WITH_SERVER = "4.0"
VERSIONS = sorted(set(_OF_RUNTIMES.values()))
_CACHE = REPOSITORY / ".cache" / "spark"
REQUIREMENTS = Path(__file__).parent / "requirements"
# All else in the package is Python.
_NO_PYTHON = "bin", "jars", "licenses", "sbin"
_LEFT_OUT = "data", "examples"


def spark_layers(runtime: str, interpreter: Interpreter, *, connect: bool) -> list[Path]:
    """Return the folders with Spark, each laid out as under `/`; they are made now if they never were.

    Args:
        runtime: whose Spark it is.
        interpreter: the Python that it is compiled for.
        connect: whether it shall serve Spark Connect. PyPI has no such server before Spark 4: one of that
            version then lies beside the runtime's own at `SERVER`, and runs all there is of daemons.

    Raises:
        KeyError: it is not known which Spark the runtime has.
        subprocess.CalledProcessError: uv could not fetch it; it has said why.
    """
    own = _OF_RUNTIMES[runtime]
    layers = [_layer(own, interpreter, SPARK)]
    if connect and own < _FIRST_WITH_SERVER:
        layers.append(_layer(_FIRST_WITH_SERVER, interpreter, SERVER))
    return layers


def home(node: Node) -> str:
    """Return the folder of the Spark whose daemons a node runs."""
    return SERVER if node.path(SERVER).exists() else SPARK


def _layer(spark: str, interpreter: Interpreter, where: str) -> Path:
    lock = REQUIREMENTS / f"{spark}.txt"
    version = lock.read_text().split()[0].removeprefix("pyspark==")
    layer = _CACHE / f"{version}-python{interpreter.version}{'-server' if where == SERVER else ''}"
    if layer.exists():
        return layer
    _CACHE.mkdir(parents=True, exist_ok=True)
    with layer.with_name(f"{layer.name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not layer.exists():
            # A killed build leaves this name behind, and never the final one.
            building = layer.with_name(f"{layer.name}.building")
            shutil.rmtree(building, ignore_errors=True)
            _build(building / where.lstrip("/"), lock, interpreter)
            os.replace(building, layer)
    return layer


def _build(home: Path, lock: Path, interpreter: Interpreter) -> None:
    packages = home / "python"
    subprocess.run(
        [
            *(uv.find_uv_bin(), "pip", "install", "--quiet", "--require-hashes", "--no-deps"),
            *("--compile-bytecode", "--python", interpreter.executable),
            *("--target", packages, "--requirements", lock),
        ],
        check=True,
    )
    shutil.rmtree(packages / "bin")
    package = packages / "pyspark"
    for folder in _LEFT_OUT:
        shutil.rmtree(package / folder)
    for folder in _NO_PYTHON:
        (package / folder).rename(home / folder)
    (package / "python/lib").rename(packages / "lib")
    # It would come before the package itself, and nothing in an archive is compiled.
    (packages / "lib/pyspark.zip").unlink()
    shutil.rmtree(package / "python")
