"""The doctor on a real Spark cluster, whose executors do their part: well, and each ill in its own way."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checkup.test_doctor import GOLDEN, policy, same_each_time
from tests.commands.golden import assert_is_golden
from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import LOCATION, SCRIPT, build_bundle, start
from tests.emulated.node import Node
from tests.emulated.node.boot import no_overlay
from tests.emulated.spark.cluster import SparkCluster, booted_cluster

pytestmark = pytest.mark.skipif(bool(no_overlay()), reason=no_overlay() or "")


def in_service(bundle: Path) -> Callable[[Node], None]:
    """Return what makes a node one under our policy."""

    def prepare(node: Node) -> None:
        node.copy_in(bundle, LOCATION)
        start(node)

    return prepare


def said_by(cluster: SparkCluster, azure: EmulatedAzure) -> str:
    """Return what the doctor says in a notebook, the same each time."""
    notebook = cluster.run_notebook(["from azureml_databricks import doctor", "doctor()"])
    shown = same_each_time(notebook.cells[1].outputs[-1].data["text/plain"], cluster.driver, azure)
    shown = re.sub(r"\b[0-9a-f]{12}\b(?=, than)|(?<=this process, )[0-9a-f]{12}\b", "RELEASE", shown)
    return re.sub(
        r"executor \d+ on 127\.\d+\.\d+\.(\d+)",
        r"executor ID on NODE_\1",
        re.sub(r"executor_\d+", "executor_ID", shown),
    )


@pytest.mark.thorough
def test_each_executor_of_a_healthy_cluster_logs_to_the_doctors_run(
    bundle: Path, azure: EmulatedAzure
) -> None:
    with booted_cluster(spark_env_vars=policy(azure), azure=azure, prepare=in_service(bundle)) as cluster:
        said = said_by(cluster, azure)

    assert_is_golden(said + "\n", GOLDEN / "healthy-spark.txt")
    assert azure.journal.refused == []


def test_so_does_each_with_spark_connect_and_an_unprivileged_user(
    azure: EmulatedAzure, tmp_path: Path
) -> None:
    bundle = build_bundle(tmp_path / "out", runtimes=("17.3",))

    with booted_cluster(
        "17.3", access_mode="standard", spark_env_vars=policy(azure), azure=azure, prepare=in_service(bundle)
    ) as cluster:
        said = said_by(cluster, azure)

    assert_is_golden(said + "\n", GOLDEN / "healthy-standard-mode.txt")


def test_executors_that_are_ill_are_named_with_the_cause(bundle: Path, azure: EmulatedAzure) -> None:
    # Given workers without a bundle, with another than the driver's, with a wrong secret, with another URI
    healthy = in_service(bundle)
    nodes: list[Node] = []

    def prepare(node: Node) -> None:
        nodes.append(node)
        if len(nodes) == 3:
            node.copy_in(bundle, LOCATION)
            assert node.run_init_script(SCRIPT, env={"AZUREML_EXPERIMENT": "before"}).returncode == 0
        elif len(nodes) != 2:
            healthy(node)
        if of_its_own := {4: "AZURE_CLIENT_SECRET=wr0ng", 5: "MLFLOW_TRACKING_URI=http://m:5"}.get(
            len(nodes)
        ):
            with node.path("/databricks/spark/conf/spark-env.sh").open("a") as file:
                file.write(f"export {of_its_own}\n")

    with booted_cluster(workers=4, spark_env_vars=policy(azure), azure=azure, prepare=prepare) as cluster:
        said = said_by(cluster, azure)

    # Then each is told, and what is well is so all the same
    assert_is_golden(said + "\n", GOLDEN / "ill-executors.txt")
