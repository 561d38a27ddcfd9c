"""Python workers on executors have what the driver has: URIs, variables, one login a node, the experiment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulated import databricks_context
from tests.emulated.azure import EmulatedAzure
from tests.emulated.spark import SparkCluster
from tests.matrices.spark.cluster import (
    forget_all_tokens,
    our_cluster,
    printed,
    put_script,
    run,
    said,
    text_of,
)

NOTEBOOK = "/Users/ada@example.com/churn-model"
CONF = {"spark.azureml.env.TEAM": "churn", "spark.azureml.regoin": "x"}

# What a task sees, and a run that it logs as plain MLflow.
TASK = """
    import json
    import pandas as pd
    def seen():
        import os
        names = "TEAM", "MLFLOW_TRACKING_URI", "AZUREML_TRACKING_URI", "DB_IS_DRIVER"
        return {name: os.environ.get(name) for name in names}
    def logged(**how):
        import mlflow
        with mlflow.start_run(**how) as run:
            mlflow.log_metric("m", 1)
        uris = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
        return {"uris": uris, "run": run.info.run_id, "experiment": run.info.experiment_id}
    def of_frames(work):
        def map(frames):
            for frame in frames:
                yield pd.DataFrame({"answer": [json.dumps(work())]})
        return map
    def answers(work):
        rows = spark.range(0, 2, 1, 2).mapInPandas(of_frames(work), "answer string").collect()
        return [json.loads(row.answer) for row in rows]
    """


@pytest.fixture(scope="module")
def workers(pytestconfig: pytest.Config) -> int:
    """How many Python workers there are at once, on two nodes; each of them imports MLflow."""
    return 64 if pytestconfig.getoption("thorough") else 16


@pytest.fixture(scope="module")
def cluster(bundle: Path, _azure: EmulatedAzure, workers: int) -> Iterator[SparkCluster]:
    """15.4 ML, Spark 3.5, dedicated access mode: MLflow is imported before there is a session.

    No file has its Spark conf, only the driver's sessions.
    """
    with our_cluster(bundle, _azure, "15.4", CONF, ml=True, cores=workers // 2) as cluster:
        yield cluster


@pytest.fixture
def context(cluster: SparkCluster) -> dict[str, str]:
    """The variables of a notebook that knows its path."""
    return databricks_context.put(
        cluster.driver, isInNotebook=True, notebookPath=NOTEBOOK, notebookId="1", isInJob=False
    )


# What the emulated cluster promises ------------------------------------------------------------------


def test_a_notebook_of_an_ml_runtime_has_mlflow_before_its_first_cell(cluster: SparkCluster) -> None:
    notebook = cluster.run_notebook(
        [
            "import sys; mlflow = sys.modules['mlflow']; import sklearn\n"
            "from mlflow.utils.autologging_utils import autologging_is_disabled\n"
            "print(mlflow.__version__, autologging_is_disabled('sklearn'), spark.sparkContext.master)",
        ]
    )

    master = f"spark://{cluster.driver.environment['DB_CONTAINER_IP']}:7077"
    mlflow = cluster.driver.replica.packages["mlflow-skinny"]
    assert text_of(notebook) == f"{mlflow} False {master}"


def test_a_jobs_script_has_a_session_and_its_arguments(cluster: SparkCluster) -> None:
    script = put_script(
        cluster.driver,
        "count.py",
        "import sys\n"
        "from pyspark.sql import SparkSession\n"
        "print(__name__, sys.argv[1:], 'mlflow' in sys.modules)\n"
        "print(SparkSession.builder.getOrCreate().range(5).count())\n"
        "sys.exit(3)\n",
    )

    done = cluster.run_script(script, "--epochs", "3")

    assert (done.returncode, done.stdout) == (3, "__main__ ['--epochs', '3'] True\n5\n"), done.stderr


# Variables -----------------------------------------------------------------------------------------


def test_variables_are_in_the_notebook_and_in_tasks_before_anybody_imports_mlflow(
    cluster: SparkCluster, azure: EmulatedAzure
) -> None:
    uri = azure.workspace.tracking_uri

    notebook = run(
        cluster,
        TASK,
        "print(json.dumps(seen()))",
        "print(json.dumps(answers(seen)))",
        """
        tasks = spark.sparkContext.parallelize(range(2), 2)
        print(json.dumps(tasks.map(lambda _: seen()).collect()))
        """,
    )

    seen = {"TEAM": "churn", "MLFLOW_TRACKING_URI": uri, "AZUREML_TRACKING_URI": uri}
    assert printed(notebook, 1) == {**seen, "DB_IS_DRIVER": "TRUE"}
    assert printed(notebook, 2) == printed(notebook, 3) == [{**seen, "DB_IS_DRIVER": "FALSE"}] * 2
    assert said(notebook).count("did you mean spark.azureml.region?") == 1  # in its first cell


# What a task of one session sees, with the process that it is in: there are a few for all sessions.
SESSIONS = """
    def seen_by_a_task():
        import os
        import mlflow
        from azureml_databricks.bridge import experiment
        variables = [os.environ.get(name) for name in ("PROJECT", "TEAM", "AZUREML_EXPERIMENT")]
        uris = [mlflow.get_tracking_uri(), mlflow.get_registry_uri()]
        return os.getpid(), [*variables, experiment.variables.settings_now()["experiment"], *uris]
    def of(session):
        rows = session.range(0, 8, 1, 8).mapInPandas(of_frames(seen_by_a_task), "answer string").collect()
        seen = [json.loads(row.answer) for row in rows]
        return [pid for pid, _ in seen], [rest for _, rest in seen]
    """


def test_a_reused_worker_has_nothing_of_what_another_sessions_conf_gave_it(
    cluster: SparkCluster, azure: EmulatedAzure
) -> None:
    # Given two sessions besides the notebook's: one that says much, and one that says something else
    other = azure.workspace.tracking_uri.replace(azure.workspace.name, "other")
    notebook = run(
        cluster,
        TASK,
        SESSIONS,
        f"""
        a, b = spark.newSession(), spark.newSession()
        a.conf.set("spark.azureml.trackingUri", "{other}")
        a.conf.set("spark.azureml.experiment", "of-a")
        a.conf.set("spark.azureml.env.PROJECT", "a")
        b.conf.set("spark.azureml.env.TEAM", "b")
        print(json.dumps([of(session) for session in (spark, a, b, a, spark)]))
        """,
    )

    # Then a task has what its own session says, in whichever process it is
    (_, first), (pids_of_a, as_a), (pids_of_b, as_b), (_, as_a_again), (pids, last) = printed(notebook)
    uri = azure.workspace.tracking_uri
    assert set(pids_of_a) & set(pids_of_b) & set(pids), "no worker was reused"
    assert as_a == as_a_again == [["a", "churn", "of-a", "of-a", other, other]] * 8
    assert as_b == [[None, "b", None, "", uri, uri]] * 8
    assert first == last == [[None, "churn", None, "", uri, uri]] * 8


def test_a_session_that_appears_after_mlflow_counts_before_its_first_call(
    cluster: SparkCluster, azure: EmulatedAzure
) -> None:
    script = cluster.driver.path("/Volumes/main/default/late.py")
    script.write_text(
        "import mlflow\n"
        "assert not mlflow.get_tracking_uri().startswith('azureml:')\n"
        "from db_shell.session import _session_of_driver\n"
        "spark = _session_of_driver()\n"
        "print(mlflow.get_tracking_uri(), mlflow.get_registry_uri())\n"
        "mlflow.log_metric('m', 1)\n"
    )

    python = f"{cluster.driver.notebook_environment()}/bin/python"
    done = cluster.driver.run(
        [python, "-W", "ignore", "/Volumes/main/default/late.py"],
        env=cluster.variables,
        cwd="/databricks/driver",
    )

    assert done.stdout.split() == [azure.workspace.tracking_uri] * 2, done.stderr
    assert done.stderr.count("did you mean spark.azureml.region?") == 1


# Runs ----------------------------------------------------------------------------------------------


def test_each_way_to_run_python_on_executors_logs_where_the_driver_does(
    cluster: SparkCluster, azure: EmulatedAzure, context: dict[str, str]
) -> None:
    notebook = run(
        cluster,
        TASK,
        """
        import mlflow
        from pyspark.sql.functions import pandas_udf, udf
        with mlflow.start_run() as driver:
            pass
        found = {"mapInPandas": answers(logged)}
        """,
        """
        of_rows = udf(lambda _: json.dumps(logged()))
        rows = spark.range(0, 2, 1, 2).select(of_rows("id").alias("answer")).collect()
        found["udf"] = [json.loads(row.answer) for row in rows]
        """,
        """
        @pandas_udf("string")
        def of_series(ids: pd.Series) -> pd.Series:
            return ids.map(lambda _: json.dumps(logged()))
        rows = spark.range(0, 2, 1, 2).select(of_series("id").alias("answer")).collect()
        found["pandas_udf"] = [json.loads(row.answer) for row in rows]
        """,
        """
        def of_group(group):
            return pd.DataFrame({"answer": [json.dumps(logged())]})
        rows = spark.range(2).groupBy("id").applyInPandas(of_group, "answer string").collect()
        found["applyInPandas"] = [json.loads(row.answer) for row in rows]
        """,
        """
        found["RDD"] = spark.sparkContext.parallelize(range(2), 2).map(lambda _: logged()).collect()
        """,
        """
        # As TorchDistributor does: a barrier, and a process of its own in each task.
        def distributed(_):
            import inspect, subprocess, sys, textwrap
            from pyspark import BarrierTaskContext
            BarrierTaskContext.get().barrier()
            code = textwrap.dedent(SOURCE) + "print(json.dumps(logged()))"
            command = [sys.executable, "-W", "ignore", "-c", code]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            yield json.loads(done.stdout.splitlines()[-1])
        """
        f"SOURCE = {TASK!r}\n"
        """
        tasks = spark.sparkContext.parallelize(range(2), 2).barrier()
        found["processes"] = tasks.mapPartitions(distributed).collect()
        """,
        """
        print(json.dumps({"driver": driver.info.experiment_id, "found": found}))
        """,
    )

    answers = printed(notebook)
    ways: dict[str, list[dict[str, Any]]] = answers["found"]
    assert {way: len(each) for way, each in ways.items()} == dict.fromkeys(ways, 2)
    for each in (each for way in ways.values() for each in way):
        assert each["uris"] == [azure.workspace.tracking_uri] * 2
        assert each["experiment"] == answers["driver"]
    # One login a node: the driver's and each worker's.
    assert azure.journal.refused == []


def test_a_task_logs_in_the_notebooks_experiment_where_the_driver_has_logged_nothing(
    cluster: SparkCluster, context: dict[str, str]
) -> None:
    notebook = run(
        cluster,
        TASK,
        "import mlflow\nfound = answers(logged)",
        "print(json.dumps([mlflow.get_experiment(each['experiment']).name for each in found]))",
        env=context,
    )

    assert printed(notebook) == ["churn-model"] * 2


def test_a_task_logs_in_the_experiment_that_the_driver_has_set(cluster: SparkCluster) -> None:
    notebook = run(
        cluster,
        TASK,
        """
        import mlflow
        names = []
        for name in ("first", "second"):
            mlflow.set_experiment(name)
            names += [mlflow.get_experiment(each["experiment"]).name for each in answers(logged)]
        print(json.dumps(names))
        """,
    )

    assert printed(notebook) == ["first", "first", "second", "second"]


def test_a_search_for_hyperparameters_has_its_trials_below_the_drivers_run(cluster: SparkCluster) -> None:
    notebook = run(
        cluster,
        TASK,
        """
        import mlflow
        from sklearn.datasets import load_wine
        with mlflow.start_run() as parent:
            tags = {"mlflow.parentRunId": parent.info.run_id}
            def trial(depth):
                import mlflow
                from sklearn.model_selection import cross_val_score
                from sklearn.tree import DecisionTreeClassifier
                tree = DecisionTreeClassifier(max_depth=depth)
                score = cross_val_score(tree, *load_wine(return_X_y=True)).mean()
                with mlflow.start_run(tags=tags):
                    mlflow.log_param("depth", depth)
                    mlflow.log_metric("score", score)
                return score
            scores = spark.sparkContext.parallelize([1, 2, 4], 3).map(trial).collect()
            mlflow.log_metric("best", max(scores))
        below = mlflow.search_runs(
            [parent.info.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
        )
        print(json.dumps([sorted(below["params.depth"]), bool(max(below["metrics.score"]) == max(scores))]))
        """,
    )

    assert printed(notebook) == [["1", "2", "4"], True]


def test_a_registered_model_scores_on_executors(cluster: SparkCluster, azure: EmulatedAzure) -> None:
    notebook = run(
        cluster,
        """
        import json, mlflow
        from sklearn.linear_model import LogisticRegression
        model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        with mlflow.start_run():
            name = "on-executors"
            mlflow.sklearn.log_model(model, "model", registered_model_name=name, pip_requirements=[])
        score = mlflow.pyfunc.spark_udf(spark, "models:/on-executors/1", env_manager="local")
        numbers = spark.createDataFrame([(0.0,), (1.0,)], ["x"]).repartition(2)
        print(json.dumps(sorted(row.p for row in numbers.select(score("x").alias("p")).collect())))
        """,
    )

    assert printed(notebook) == [0, 1]


# Logins --------------------------------------------------------------------------------------------


def test_all_workers_at_once_log_in_once_a_node(
    cluster: SparkCluster, azure: EmulatedAzure, workers: int
) -> None:
    # Given a run of the driver's, and no token on any node
    forget_all_tokens(cluster)
    azure.journal.clear()

    # When as many tasks as there are cores wait for each other, and then log a metric each
    notebook = run(
        cluster,
        f"""
        import json, mlflow
        with mlflow.start_run() as run:
            run_id = run.info.run_id
            def log(index, _):
                import mlflow, os
                from pyspark import BarrierTaskContext
                BarrierTaskContext.get().barrier()
                mlflow.MlflowClient().log_metric(run_id, "worker", index, step=index)
                yield os.getpid(), os.environ["DB_CONTAINER_IP"]
            tasks = spark.sparkContext.parallelize(range({workers}), {workers}).barrier()
            seen = tasks.mapPartitionsWithIndex(log).collect()
        points = [point.step for point in mlflow.MlflowClient().get_metric_history(run_id, "worker")]
        print(json.dumps([len(set(map(tuple, seen))), len({{ip for _, ip in seen}}), sorted(points)]))
        """,
        timeout=600,
    )

    # Then each was a process of its own, and each node asked for one token
    processes, nodes, points = printed(notebook)
    assert (processes, nodes) == (workers, 2)
    assert points == list(range(workers))
    assert len(azure.journal.of("login.*", "/token")) == 3  # the driver's too
    assert len(azure.journal.of("*.api.azureml.ms", "log-batch")) == workers + 1  # and the run's source
    print(azure.journal.hosts())
    print(Counter(request.path.rpartition("/")[2] for request in azure.journal))
