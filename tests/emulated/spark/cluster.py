"""A cluster of emulated nodes with a real Spark across them."""

from __future__ import annotations

import random
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import way_to
from tests.emulated.node import Node, Replica, Runtime, boot
from tests.emulated.node.init_scripts import AccessMode
from tests.emulated.spark import conf, daemons
from tests.emulated.spark.conf import ConfFile
from tests.emulated.spark.distribution import SPARK, spark_layers
from tests.emulated.spark.shared import make_shared

UNPRIVILEGED = "nobody"
"""Standard access mode: users' code runs as a user without rights, by Spark Connect, with no way to the JVM.

Source: https://learn.microsoft.com/azure/databricks/compute/standard-limitations
"""

_SHELL = "/databricks/python_shell"
_LAUNCHER = f"{_SHELL}/scripts/db_ipykernel_launcher.py"
"""The program of a notebook's kernel: /databricks/python_shell/scripts/db_ipykernel_launcher.py.

Source: facts: seen, https://github.com/databrickslabs/tempo (python/tempo/utils.py), tracebacks of notebooks
"""
_CONNECT_PORT = 15002
_EXECUTOR_MEMORY = "640m"


@dataclass(frozen=True)
class SparkCluster:
    """A cluster that is up.

    Attributes:
        driver: its node.
        workers: theirs.
        access_mode: "dedicated", which is as no isolation here: users' code is root's on the driver, with a
            session of the driver's JVM. "standard": it is an unprivileged user's, with Spark Connect.
        ml: whether its runtime is the ML variant.
        shared: the folder of this machine with what all nodes have in common.
    """

    driver: Node
    workers: Sequence[Node]
    access_mode: AccessMode
    ml: bool
    shared: Path

    @property
    def user(self) -> str | None:
        """Who runs notebooks, jobs and executors; None is root."""
        return UNPRIVILEGED if self.access_mode == "standard" else None

    @property
    def variables(self) -> dict[str, str]:
        """What a user's Python has on the driver besides the node's own variables."""
        variables = daemons.variables(self.driver, SPARK)
        variables["PYTHONPATH"] += f":{_SHELL}"
        if self.access_mode == "standard":
            at = daemons.address(self.driver)
            # Not through the proxy that leads to Azure.
            variables |= {"SPARK_REMOTE": f"sc://{at}:{_CONNECT_PORT}", "no_grpc_proxy": at}
        return variables

    def run_notebook(
        self,
        cells: Path | Sequence[str],
        *,
        environment: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str = "/databricks/driver",
        timeout: float = 600,
        allow_errors: bool = False,
    ) -> NotebookNode:
        """Run a notebook, or a job's notebook task, on the driver; parameters as of `Node.run_notebook`."""
        return self.driver.run_notebook(
            cells,
            launcher=[_LAUNCHER, *self._flags],
            environment=environment,
            env=self._with(env),
            user=self.user,
            cwd=cwd,
            timeout=timeout,
            allow_errors=allow_errors,
        )

    def run_script(
        self, script: str, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run a job's Python script task; `script` is a path of the driver's."""
        python = f"{self.driver.notebook_environment()}/bin/python"
        return self._run_task(python, "script", script, *arguments, env=env, timeout=timeout)

    def run_wheel(
        self,
        wheel: str,
        package: str,
        entry_point: str,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        timeout: float = 600,
    ) -> subprocess.CompletedProcess[str]:
        """Run a job's Python wheel task; `wheel` is a path of the driver's, installed for this task."""
        python = f"{self.driver.notebook_environment()}/bin/python"
        installed = self.driver.run([python, "-m", "pip", "install", "--no-index", "--no-deps", wheel])
        assert installed.returncode == 0, installed.stderr
        return self._run_task(python, "wheel", package, entry_point, *arguments, env=env, timeout=timeout)

    def _run_task(
        self, python: str, *task: str, env: Mapping[str, str] | None, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        return self.driver.run(
            [python, "-m", "db_shell.task", *self._flags, *task],
            env=self._with(env),
            user=self.user,
            cwd="/databricks/driver",
            timeout=timeout,
        )

    @property
    def _flags(self) -> list[str]:
        return ["--ml"] if self.ml else []

    def _with(self, env: Mapping[str, str] | None) -> dict[str, str]:
        """Return `env` over the cluster's own, but its PYTHONPATH before it."""
        own, given = self.variables, dict(env or {})
        if path := given.pop("PYTHONPATH", ""):
            own["PYTHONPATH"] = f"{path}:{own['PYTHONPATH']}"
        return {**own, **given}


@contextmanager
def booted_cluster(
    runtime: str = "15.4",
    *,
    ml: bool = False,
    access_mode: AccessMode = "dedicated",
    workers: int = 2,
    cores: int = 1,
    spark_env_vars: Mapping[str, str] | None = None,
    spark_conf: Mapping[str, str] | None = None,
    conf_files: Collection[ConfFile] = (),
    azure: EmulatedAzure | None = None,
    prepare: Callable[[Node], None] | None = None,
    sandboxed: bool = False,
) -> Iterator[SparkCluster]:
    """Boot a cluster; at the end of the context nothing is left of it.

    Args:
        runtime: that its nodes have.
        ml: whether it is the ML variant.
        access_mode: see `SparkCluster`.
        workers: how many nodes there are besides the driver.
        cores: how many tasks, and so Python workers, each of them runs at a time.
        spark_env_vars: the cluster's variables, secrets resolved.
        spark_conf: the cluster's Spark conf, secrets resolved; the driver's JVM has it, and its sessions.
        conf_files: where it is to be read besides, from when the daemons start.
        azure: what the nodes' processes reach instead of the internet.
        prepare: called with each node before any of Spark's daemons starts; it runs the init scripts.
        sandboxed: whether tasks run in sandboxes that see nothing of what init scripts did to their node.
            Then no worker is prepared, as all that runs there are tasks.

    Raises:
        NodeError: this machine permits no overlay (`node.boot.no_overlay`), or Spark did not start.

    Source: facts: seen, names of the conf (spark.databricks.safespark); what a sandbox sees is not known, and
    is assumed: strictest reading
    """
    replica = Replica(Runtime.load(runtime), ml=ml)
    layers = spark_layers(runtime, replica.interpreter, connect=access_mode == "standard")
    network = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shared-")))
        shared = make_shared(folder)

        def booted(number: int) -> Node:
            addresses = {"DB_CONTAINER_IP": f"{network}.{number}", "DB_DRIVER_IP": f"{network}.1"}
            node = stack.enter_context(
                boot(
                    replica,
                    driver=number == 1,
                    spark_env_vars={**addresses, **(spark_env_vars or {})},
                    layers=layers,
                    shared=shared,
                )
            )
            if azure:
                node.environment.update(way_to(azure, node))
            node.access_mode = access_mode
            return node

        driver, *others = (booted(number) for number in range(1, workers + 2))
        cluster = SparkCluster(driver, others, access_mode, ml, folder)
        _lay_shell(driver)
        for node in (driver, *others):
            node.checkpoint()
            if prepare and (node is driver or not sandboxed):
                prepare(node)
        _start(cluster, cores, spark_conf or {}, conf_files)
        yield cluster


def _lay_shell(driver: Node) -> None:
    driver.copy_in(Path(__file__).with_name("db_shell"), f"{_SHELL}/db_shell")
    launcher = driver.path(_LAUNCHER)
    launcher.parent.mkdir()
    launcher.write_text("from db_shell.kernel import main\nmain()\n")


def _start(
    cluster: SparkCluster, cores: int, spark_conf: Mapping[str, str], conf_files: Collection[ConfFile]
) -> None:
    driver = cluster.driver
    for node in (driver, *cluster.workers):
        for where in conf_files:
            conf.write_file(node, where, spark_conf)
    conf.write_for_jvm(driver, {**_of_databricks(cluster, cores), **spark_conf})
    daemons.start_master(driver)
    for worker in cluster.workers:
        daemons.start_worker(
            worker, daemons.master_of(driver), cores=cores, memory=_EXECUTOR_MEMORY, user=cluster.user
        )
    daemons.start_driver(driver, conf.OF_THE_JVM)


def _of_databricks(cluster: SparkCluster, cores: int) -> dict[str, str]:
    """Return the Spark conf that the cluster has before what its policy says.

    Source: assumed: Spark's own standalone mode in the place of Databricks' cluster manager
    """
    at = daemons.address(cluster.driver)
    total = str(cores * len(cluster.workers))
    own = {
        "spark.app.name": "Databricks Shell",
        "spark.master": daemons.master_of(cluster.driver),
        "spark.driver.host": at,
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": daemons.JAVA_OPTIONS,
        "spark.executor.memory": _EXECUTOR_MEMORY,
        "spark.executor.extraJavaOptions": daemons.JAVA_OPTIONS,
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": total,
        "spark.sql.warehouse.dir": "/Volumes/main/default/warehouse",
        # Volumes know no owners, and Hadoop changes modes itself (shared.py does the rest).
        "spark.hadoop.fs.permissions.umask-mode": "000",
        # No job begins before all workers are there, and each has a part of it.
        "spark.cores.max": total,
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        "spark.locality.wait": "0s",
    }
    if cluster.access_mode == "standard":
        own |= {
            "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
            "spark.connect.grpc.binding.address": at,
            "spark.connect.grpc.binding.port": str(_CONNECT_PORT),
        }
    return own
