"""Apache Spark as a layer of a node, laid out as Databricks has it: `/databricks/spark`.

What PyPI has as pyspark is all of Spark: its JVM's archives and its commands, around the Python package.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import uv

from tests.node.interpreter import Interpreter
from tests.node.replica import REPOSITORY

# https://docs.databricks.com/aws/en/release-notes/runtime/
_SPARK_OF_RUNTIME = {"14.3": "3.5", "15.4": "3.5", "16.4": "3.5", "17.3": "4.0"}
_CACHE = REPOSITORY / ".cache" / "spark"
_LOCKS = Path(__file__).parent / "requirements"
# All else in the package is Python.
_NO_PYTHON = "bin", "jars", "licenses", "sbin"
_LEFT_OUT = "data", "examples"


def spark_of(runtime: str) -> str:
    """Return the Spark that stands for a runtime's own, such as "3.5"; KeyError for a runtime not known."""
    return _SPARK_OF_RUNTIME[runtime]


def spark_layer(spark: str, interpreter: Interpreter) -> Path:
    """Return the folder with Spark `spark`, laid out as under `/`; it is made now if it never was.

    Args:
        spark: what `spark_of` returned.
        interpreter: the Python that it is compiled for.

    Raises:
        subprocess.CalledProcessError: uv could not fetch it; it has said why.
    """
    lock = _LOCKS / f"{spark}.txt"
    version = lock.read_text().split()[0].removeprefix("pyspark==")
    layer = _CACHE / f"{version}-python{interpreter.version}"
    if layer.exists():
        return layer
    _CACHE.mkdir(parents=True, exist_ok=True)
    with layer.with_name(f"{layer.name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not layer.exists():
            # A killed build leaves this name behind, and never the final one.
            building = layer.with_name(f"{layer.name}.building")
            shutil.rmtree(building, ignore_errors=True)
            _build(building, lock, interpreter)
            os.replace(building, layer)
    return layer


def _build(layer: Path, lock: Path, interpreter: Interpreter) -> None:
    home = layer / "databricks/spark"
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
