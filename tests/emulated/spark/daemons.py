"""Spark's daemons, each on its node, and how long one waits for them."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.emulated.node import Node, NodeError
from tests.emulated.spark.distribution import SPARK, home, java_home

_LOGS = f"{SPARK}/logs"
# Small and quick to start rather than quick to run.
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"
_MASTER_PORT = 7077
_GATEWAY = "/databricks/driver/gateway.json"
_SECONDS = 600.0


def address(node: Node) -> str:
    """Return the node's address."""
    return node.environment["DB_CONTAINER_IP"]


def variables(node: Node, spark: str) -> dict[str, str]:
    """Return what processes that use the Spark in the folder `spark` have besides the node's variables."""
    (py4j,) = node.path(f"{spark}/python/lib").glob("py4j-*.zip")
    return {
        **java_home(node),
        "SPARK_HOME": spark,
        "SPARK_CONF_DIR": f"{SPARK}/conf",
        "SPARK_LOCAL_IP": address(node),
        "PYSPARK_PYTHON": "/databricks/python3/bin/python",
        "PYTHONPATH": f"{spark}/python:{spark}/python/lib/{py4j.name}",
    }


def master_of(driver: Node) -> str:
    """Return the URL of the master."""
    return f"spark://{address(driver)}:{_MASTER_PORT}"


def start_master(driver: Node) -> None:
    """Start the master, and wait until workers can come."""
    at = address(driver)
    options = "--host", at, "--port", str(_MASTER_PORT), "--webui-port", "0"
    process = _start(driver, "master", _class(driver, "master.Master", options), user=None)

    def listens() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((at, _MASTER_PORT), timeout=1):
            return True
        return False

    _wait(driver, "master", process, listens)


def start_worker(worker: Node, master: str, *, cores: int, memory: str, user: str | None) -> None:
    """Start a worker's daemon, whose executors run as `user`."""
    options = [
        *("--host", address(worker), "--webui-port", "0", "--work-dir", "/tmp/spark-work"),
        *("--cores", str(cores), "--memory", memory, master),
    ]
    _start(worker, "worker", _class(worker, "worker.Worker", options), user=user)


def start_driver(driver: Node, properties: str) -> None:
    """Start the driver's JVM, and wait until sessions can be had."""
    env = {"PYSPARK_SUBMIT_ARGS": f"--properties-file {properties} pyspark-shell"}
    python, program = "/databricks/python3/bin/python", "/databricks/python_shell/db_shell/driver.py"
    command = [python, "-I", "-S", program, _GATEWAY]
    process = _start(driver, "driver", command, user=None, env=env)
    _wait(driver, "driver", process, driver.path(_GATEWAY).exists)


def _class(node: Node, name: str, options: Sequence[str]) -> list[str]:
    return [f"{home(node)}/bin/spark-class", f"org.apache.spark.deploy.{name}", *options]


def _start(
    node: Node, name: str, command: Sequence[str], *, user: str | None, env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    log = _log(node, name)
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as output:
        return node.popen(
            command,
            env={
                **variables(node, home(node)),
                "SPARK_DAEMON_MEMORY": "256m",
                "SPARK_DAEMON_JAVA_OPTS": JAVA_OPTIONS,
                "SPARK_LAUNCHER_OPTS": JAVA_OPTIONS,
                **(env or {}),
            },
            user=user,
            stdout=output,
            stderr=output,
        )


def _log(node: Node, name: str) -> Path:
    return node.path(f"{_LOGS}/{name}.log")


def _wait(node: Node, name: str, process: subprocess.Popen[str], ready: Callable[[], bool]) -> None:
    end = time.monotonic() + _SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            what = f"did not start in {_SECONDS:.0f} s" if process.poll() is None else "ended"
            raise NodeError(f"Spark's {name} {what}:\n{_log(node, name).read_text(errors='replace')[-4000:]}")
        time.sleep(0.05)
