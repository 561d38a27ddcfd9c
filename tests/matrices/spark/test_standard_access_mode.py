"""Standard access mode: an unprivileged user, Spark Connect and no JVM, system files read-only."""

from __future__ import annotations

import pwd
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import build_bundle
from tests.emulated.node.notebook import read
from tests.emulated.spark import SparkCluster
from tests.matrices.spark.cluster import (
    JOBS,
    PROBE,
    addresses,
    our_cluster,
    printed,
    put_script,
    run,
    said,
    text_of,
)

RUNTIME = "17.3"
CONF = {"spark.azureml.env.TEAM": "churn", "spark.azureml.env.MLFLOW_DFS_TMP": "/Volumes/main/default/tmp"}

# A run as plain MLflow logs it, and a task that logs such a one.
TASK = """
    import json
    import pandas as pd
    def seen():
        import os
        return os.getuid(), os.environ.get("TEAM"), os.environ.get("MLFLOW_TRACKING_URI")
    def logged(**how):
        import mlflow
        with mlflow.start_run(**how) as run:
            mlflow.log_metric("m", 1)
        return [mlflow.get_tracking_uri(), mlflow.get_registry_uri(), run.info.experiment_id]
    def answers(work):
        def map(frames):
            for frame in frames:
                yield pd.DataFrame({"answer": [json.dumps(work())]})
        rows = spark.range(0, 2, 1, 2).mapInPandas(map, "answer string").collect()
        return [json.loads(row.answer) for row in rows]
    """
# What a job's task does, whatever kind it is.
JOB = """
import mlflow
with mlflow.start_run() as run:
    mlflow.log_metric("m", 1)
print(mlflow.get_tracking_uri(), mlflow.get_run(run.info.run_id).data.metrics)
"""
WHERE = "import mlflow; print(mlflow.get_tracking_uri())"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, _azure: EmulatedAzure) -> Iterator[SparkCluster]:
    """17.3, Spark 4; no file has its Spark conf, only the Connect server's sessions."""
    bundle = build_bundle(tmp_path_factory.mktemp("bundle") / "out", runtimes=[RUNTIME])
    with our_cluster(bundle, _azure, RUNTIME, CONF, access_mode="standard") as cluster:
        (cluster.driver.path(JOBS)).mkdir(mode=0o777)
        yield cluster


def put(cluster: SparkCluster, path: str, *cells: str) -> None:
    """Put a notebook where others find it."""
    file = cluster.driver.path(f"{path}.ipynb")
    file.write_text(nbformat.writes(read(cells)))  # type: ignore[no-untyped-call]


# What the emulated cluster promises ------------------------------------------------------------------


def test_standard_access_mode_is_spark_connect_and_nobodys_python(cluster: SparkCluster) -> None:
    # When
    notebook = cluster.run_notebook(
        [
            "import json, os, sys; print(type(spark).__module__, os.getuid(), 'mlflow' in sys.modules)",
            f"print(json.dumps([spark.conf.get(key) for key in {list(CONF)}]))",
            "spark.sparkContext",
            "spark._jvm",
            "open('/databricks/driver/gateway.json')",
            "open('/databricks/DBR_VERSION', 'a')",
            PROBE,
        ],
        allow_errors=True,
    )

    # Then
    assert text_of(notebook, 0) == "pyspark.sql.connect.session 65534 False"
    assert printed(notebook, 1) == list(CONF.values())
    raised = [notebook.cells[number].outputs[-1].ename for number in range(2, 6)]
    no_jvm = "PySparkAttributeError"
    assert raised == [no_jvm, no_jvm, "PermissionError", "PermissionError"]
    workers = printed(notebook)
    assert addresses(workers) == {worker.environment["DB_CONTAINER_IP"] for worker in cluster.workers}
    assert {each["uid"] for each in workers} == {65534}


def test_a_job_in_standard_access_mode_has_a_session_too(cluster: SparkCluster) -> None:
    script = put_script(
        cluster.driver,
        "count.py",
        "import os\nfrom pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "spark.range(5).write.parquet('/Volumes/main/default/written')\n"
        "print(os.getuid(), spark.read.parquet('/Volumes/main/default/written').count())\n",
    )

    done = cluster.run_script(script)

    assert (done.returncode, done.stdout) == (0, "65534 5\n"), done.stderr


# Notebooks -----------------------------------------------------------------------------------------


def test_a_notebook_and_its_tasks_have_all_that_the_spark_conf_says(
    cluster: SparkCluster, azure: EmulatedAzure
) -> None:
    notebook = run(
        cluster,
        TASK,
        "print(json.dumps([seen(), *answers(seen)]))",
        "print(json.dumps([logged(), *answers(logged)]))",
    )

    uri = azure.workspace.tracking_uri
    ((user, *variables), *tasks) = printed(notebook, 1)
    assert user != 0
    assert [variables, *(rest for _, *rest in tasks)] == [["churn", uri]] * 3
    drivers, *of_tasks = printed(notebook, 2)
    assert drivers[:2] == [uri, uri]
    assert of_tasks == [drivers, drivers]
    assert "Traceback" not in said(notebook)


def test_a_pipeline_is_logged_registered_and_scored_on_the_workers(cluster: SparkCluster) -> None:
    notebook = run(
        cluster,
        """
        import json, mlflow
        import pandas as pd
        class Doubles(mlflow.pyfunc.PythonModel):
            def predict(self, context, model_input, params=None):
                return model_input.iloc[:, 0] * 2
        with mlflow.start_run() as run:
            mlflow.pyfunc.log_model(
                name="model", python_model=Doubles(), registered_model_name="doubles", pip_requirements=[],
                input_example=None,
            )
            child = [mlflow.start_run(parent_run_id=run.info.run_id, nested=True), mlflow.end_run()][0]
        model = mlflow.pyfunc.load_model("models:/doubles/1")
        def score(frames):
            import mlflow
            loaded = mlflow.pyfunc.load_model("models:/doubles/1")
            for frame in frames:
                yield pd.DataFrame({"y": loaded.predict(frame)})
        rows = spark.range(0, 4, 1, 2).mapInPandas(score, "y long").collect()
        parent = mlflow.get_run(child.info.run_id).data.tags["mlflow.parentRunId"]
        print(json.dumps([sorted(row.y for row in rows), parent == run.info.run_id]))
        """,
    )

    assert printed(notebook) == [[0, 2, 4, 6], True]


def test_each_node_has_one_token_that_is_the_users_own(cluster: SparkCluster, azure: EmulatedAzure) -> None:
    run(cluster, TASK, "answers(logged)", "logged()")

    for node in (cluster.driver, *cluster.workers):
        (folder,) = node.path("/dev/shm").glob("azureml-databricks-*")
        assert [file.suffix for file in sorted(folder.iterdir())] == ["", ".lock"]
        for path in (folder, *folder.iterdir()):
            assert path.stat().st_uid == pwd.getpwnam(str(cluster.user)).pw_uid
            assert not path.stat().st_mode & 0o077
    assert azure.journal.refused == []


def test_cells_that_start_other_processes_have_it_too(cluster: SparkCluster, azure: EmulatedAzure) -> None:
    put(cluster, f"{JOBS}/child", f"{JOB}dbutils.notebook.exit(mlflow.get_tracking_uri())")
    put(cluster, f"{JOBS}/inline", "shared = 1")

    notebook = run(
        cluster,
        f"%sh\nmlflow experiments search\npython -c '{WHERE}'\n",
        f"%sh\nenv -i PATH=$PATH python -c '{WHERE}'\n",
        f"%run {JOBS}/inline",
        "import json, subprocess, sys\n"
        f"done = subprocess.run([sys.executable, '-c', '{WHERE}'], capture_output=True, text=True)\n"
        f"print(json.dumps([shared, done.stdout.strip(), dbutils.notebook.run('{JOBS}/child')]))",
    )

    uri = azure.workspace.tracking_uri
    shell = "".join(output.text for output in notebook.cells[0].outputs if output.get("name") == "stdout")
    assert shell.splitlines()[-1] == uri
    assert "Experiment Id" in shell
    assert printed(notebook) == [1, uri, uri]
    # An empty environment, on a cluster that only the Spark conf tells where to log, knows of nothing.
    bare = "".join(output.text for output in notebook.cells[1].outputs if output.get("name") == "stdout")
    assert uri not in bare


def test_after_pip_install_and_a_restart_it_is_all_the_same(
    cluster: SparkCluster, azure: EmulatedAzure, tmp_path: Path
) -> None:
    environment = cluster.driver.notebook_environment()
    packages = cluster.driver.path(environment)
    assert cluster.driver.run(["chown", "-R", str(cluster.user), environment]).returncode == 0
    wheel = make_wheel(tmp_path)
    cluster.driver.copy_in(wheel, f"{JOBS}/{wheel.name}")

    run(cluster, f"%pip install --no-index --no-deps {JOBS}/{wheel.name}", environment=environment)
    notebook = run(
        cluster,
        "import json, mlflow, of_a_team; print(json.dumps([of_a_team.ANSWER, mlflow.get_tracking_uri()]))",
        environment=environment,
    )

    assert packages.exists()
    assert printed(notebook) == [42, azure.workspace.tracking_uri]


# Jobs ----------------------------------------------------------------------------------------------


def make_wheel(folder: Path) -> Path:
    """Make a wheel with an entry point that does what a job's task does."""
    wheel = folder / "of_a_team-1.0-py3-none-any.whl"
    info = "of_a_team-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        body = "\n    ".join(JOB.strip().splitlines())
        archive.writestr("of_a_team.py", f"ANSWER = 42\ndef main():\n    {body}\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: of-a-team\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\nmain = of_a_team:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def test_the_tasks_of_a_job_have_it(cluster: SparkCluster, azure: EmulatedAzure, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    cluster.driver.copy_in(wheel, f"{JOBS}/{wheel.name}")
    cluster.driver.path(f"{JOBS}/task.py").write_text(JOB)

    script = cluster.run_script(f"{JOBS}/task.py")
    of_wheel = cluster.run_wheel(f"{JOBS}/{wheel.name}", "of_a_team", "main")
    notebook = run(cluster, JOB)

    expected = f"{azure.workspace.tracking_uri} {{'m': 1.0}}"
    assert script.stdout.splitlines()[-1] == expected, script.stderr
    assert of_wheel.stdout.splitlines()[-1] == expected, of_wheel.stderr
    outputs = [output.text for output in notebook.cells[0].outputs if output.get("name") == "stdout"]
    assert "".join(outputs).splitlines()[-1] == expected


# What the user may -----------------------------------------------------------------------------------


def test_the_user_can_neither_change_what_is_ours_nor_needs_to(cluster: SparkCluster) -> None:
    for node in (cluster.driver, *cluster.workers):
        for path in (
            "/databricks/azureml-databricks/current/azureml_databricks/settings.py",
            "/databricks/azureml-databricks/current",
            "/etc/ipython/startup/00-azureml-databricks.py",
        ):
            done = node.run(["sh", "-c", f"echo '' >> {path}"], user=cluster.user)
            assert done.returncode != 0
