"""The doctor on a real Spark cluster, whose executors do their part: well, and each ill in its own way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.checkup.test_doctor import GOLDEN, same_each_time
from tests.commands import platform_cell
from tests.commands.golden import assert_is_golden
from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import LOCATION, SCRIPT, build_bundle, policy_variables, start
from tests.emulated.node import Node
from tests.emulated.node.boot import no_overlay
from tests.emulated.spark.cluster import SparkCluster, booted_cluster
from tests.matrices.spark.cluster import printed, run, text_of

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
    # Which executor, and what has been imported there, is chance.
    chance = r"sys\.path, in |finders before Python's, in |all of it, in mapInPandas"
    shown = re.sub(rf"(?m)^  ok +({chance}).*\n?", "", shown)
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
    with booted_cluster(
        spark_env_vars=policy_variables(azure), azure=azure, prepare=in_service(bundle)
    ) as cluster:
        said = said_by(cluster, azure)

    assert_is_golden(said + "\n", GOLDEN / "healthy-spark.txt")
    assert azure.journal.refused == []


def test_so_does_each_with_spark_connect_and_an_unprivileged_user(
    azure: EmulatedAzure, tmp_path: Path
) -> None:
    bundle = build_bundle(tmp_path / "out", runtimes=("17.3",))

    with booted_cluster(
        "17.3",
        access_mode="standard",
        spark_env_vars=policy_variables(azure),
        azure=azure,
        prepare=in_service(bundle),
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

    with booted_cluster(
        workers=4, spark_env_vars=policy_variables(azure), azure=azure, prepare=prepare
    ) as cluster:
        said = said_by(cluster, azure)

    # Then each is told, and what is well is so all the same; which of them the platform is seen on is chance
    assert_is_golden(said.partition("\n\nplatform")[0] + "\n", GOLDEN / "ill-executors.txt")


# Standard access mode whose tasks see nothing of ours ------------------------------------------------


PLAIN = """
import json, os
import pandas as pd
def answers(work):
    def map(frames):
        for frame in frames:
            yield pd.DataFrame({"answer": [json.dumps(work())]})
    rows = spark.range(0, 2, 1, 2).mapInPandas(map, "answer string").collect()
    return [json.loads(row.answer) for row in rows]
"""
# What a task can do there: the conf of its session, variables of the cluster, plain MLflow.
IN_A_SANDBOX = """
def work():
    import os, mlflow
    from pyspark import TaskContext
    told = TaskContext.get().getLocalProperty("spark.azureml.env.TEAM")
    mlflow.set_tracking_uri("file:///tmp/runs")
    with mlflow.start_run() as run:
        mlflow.log_metric("m", 1)
    kept = mlflow.get_run(run.info.run_id).data.metrics
    model = mlflow.pyfunc.load_model(path)
    return [os.path.exists("/databricks/azureml-databricks"), told, os.environ["NOTE"], kept,
            int(model.predict(pd.DataFrame({"x": [21]}))[0])]
"""
ON_THE_DRIVER = """
import mlflow
class Doubles(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input.iloc[:, 0] * 2
with mlflow.start_run() as run:
    model = mlflow.pyfunc.log_model(
        name="model", python_model=Doubles(), registered_model_name="doubled", pip_requirements=[]
    )
path = mlflow.artifacts.download_artifacts("models:/doubled/1", dst_path="/Volumes/main/default/models")
"""
BY_THE_DRIVER = """
with mlflow.start_run() as run:
    for number, answer in enumerate(answers(lambda: 21)):
        mlflow.log_metric("of_tasks", answer, step=number)
print(json.dumps([mlflow.get_tracking_uri(), mlflow.get_run(run.info.run_id).data.metrics]))
"""


@pytest.fixture(scope="module")
def sandboxed(tmp_path_factory: pytest.TempPathFactory, _azure: EmulatedAzure) -> Iterator[SparkCluster]:
    """A cluster in standard access mode whose workers have nothing of ours."""
    bundle = build_bundle(tmp_path_factory.mktemp("bundle") / "out", runtimes=("17.3",))
    with booted_cluster(
        "17.3",
        access_mode="standard",
        spark_env_vars={**policy_variables(_azure), "NOTE": "of the cluster"},
        spark_conf={"spark.azureml.env.TEAM": "churn"},
        azure=_azure,
        prepare=in_service(bundle),
        sandboxed=True,
    ) as cluster:
        (cluster.driver.path("/Volumes/main/default/models")).mkdir(mode=0o777)
        yield cluster


def test_the_drivers_doctor_says_that_no_task_sees_our_files(
    sandboxed: SparkCluster, azure: EmulatedAzure
) -> None:
    said = said_by(sandboxed, azure)

    assert "  note       all of them: no task sees our files, on none of 2 executors" in said
    assert "  ok         hooks of azureml-databricks, in a UDF: none ran" in said
    # And nothing is wrong that anybody could mend.
    assert said.startswith("azureml-databricks doctor: 1 note\n"), said


def test_what_a_task_still_has_there_is_its_sessions_conf_the_variables_and_plain_mlflow(
    sandboxed: SparkCluster, azure: EmulatedAzure
) -> None:
    notebook = run(
        sandboxed, PLAIN, ON_THE_DRIVER, f"{IN_A_SANDBOX}\nprint(json.dumps(answers(work)))", BY_THE_DRIVER
    )

    assert printed(notebook, 2) == [[False, "churn", "of the cluster", {"m": 1.0}, 42]] * 2
    assert printed(notebook, 3) == [azure.workspace.tracking_uri, {"of_tasks": 21.0}]
    assert azure.journal.refused == []


# The cell of docs/platform.md ------------------------------------------------------------------------


def seen_by_the_cell(cluster: SparkCluster) -> dict[tuple[str, str], str]:
    """Return what the cell prints: what was seen, by where and what."""
    lines = text_of(run(cluster, platform_cell.on_the_page())).splitlines()[2:]
    return {(where, what): seen for where, what, seen in (line[2:-2].split(" | ", 2) for line in lines)}


def test_the_cell_asks_tasks_of_three_kinds(sandboxed: SparkCluster) -> None:
    seen = seen_by_the_cell(sandboxed)

    assert seen["this process", "session"].startswith("Spark Connect, Spark 4.")
    assert seen["this process", "conf of the session"] == "seen"
    assert seen["a UDF", "conf of the session"] == "seen"
    assert seen["a UDF", "user"] == "not root"
    # The rest is the worker's own: which executor it is of, and what it had imported before.
    of_map = {what for where, what in seen if where == "mapInPandas"}
    assert not of_map & {"user", "places", "variables", "hooks of azureml-databricks", "interpreter"}
    # There is no way to the JVM, so none of RDDs.
    assert "Error" in seen["an RDD", "all of it"]
    assert "/databricks/azureml-databricks" in seen["this process", "places"]
    assert "/databricks/azureml-databricks" not in seen["a UDF", "places"]
