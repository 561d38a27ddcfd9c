"""Processes that a notebook or job starts log where it logs, and their runs say who runs it and where."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.emulated import databricks_context
from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import node_in_service
from tests.emulated.node import Node
from tests.matrices.on_azure import printed_alone

NOTEBOOK = "/Users/ada@example.com/Churn (v2)"
CONTEXT: Mapping[str, object] = {
    "isInNotebook": True,
    "notebookPath": NOTEBOOK,
    "notebookId": "42",
    "isInJob": False,
    "user": "ada@example.com",
}

ON_DATABRICKS = {"DATABRICKS_RUNTIME_VERSION": "17.3"}

# Beside the notebook, as a data scientist has it there: what `spawn` and `%sh python` run must be in a file.
TRAINING = """
import os, sys, mlflow

def train(way):
    with mlflow.start_run():
        mlflow.set_tags({"way": way, "session": os.environ["SESSION"]})

if __name__ == "__main__":
    train(sys.argv[1])
"""
FOLDER = "/databricks/driver"

CHILDREN = """
import multiprocessing, subprocess, sys, training
from joblib import Parallel, delayed
Parallel(n_jobs=2)(delayed(training.train)("joblib") for _ in range(2))
for way in ("fork", "spawn", "forkserver"):
    child = multiprocessing.get_context(way).Process(target=training.train, args=(way,))
    child.start()
    child.join()
subprocess.run([sys.executable, "training.py", "subprocess"], check=True)
"""
SHELL = "%%bash\npython training.py shell"
WAYS = {"joblib", "fork", "spawn", "forkserver", "subprocess", "shell"}

FOUND = """
import json, mlflow, os
client = mlflow.MlflowClient()
names = {each.experiment_id: each.name for each in client.search_experiments()}
found = client.search_runs(list(names), f"tags.session = '{os.environ['SESSION']}'")
print(json.dumps([
    {**run.data.tags, "experiment": names[run.info.experiment_id], "run_id": run.info.run_id} for run in found
]))
"""


@pytest.fixture(scope="module")
def node(bundle: Path, _azure: EmulatedAzure) -> Iterator[Node]:
    """MLflow 2.13, which keeps to itself which experiment is set."""
    with node_in_service(bundle, _azure) as node:
        (node.path(FOLDER) / "training.py").write_text(TRAINING)
        yield node


def runs_of_notebook(node: Node, *cells: str, **env: str) -> list[dict[str, Any]]:
    """Run a notebook, and return the tags of the runs that its cells and their processes logged."""
    context = databricks_context.put(node, **CONTEXT)
    env = {**context, "SESSION": uuid4().hex, **env}
    notebook = node.run_notebook([textwrap.dedent(cell) for cell in (*cells, FOUND)], env=env)
    runs: list[dict[str, Any]] = json.loads(notebook.cells[-1].outputs[-1].text.splitlines()[-1])
    return runs


def by_way(runs: list[dict[str, Any]], tag: str) -> dict[str, set[Any]]:
    return {way: {run.get(tag) for run in runs if run["way"] == way} for way in {run["way"] for run in runs}}


def same_for_all(value: str) -> dict[str, set[Any]]:
    return {way: {value} for way in WAYS}


def test_they_log_to_the_notebooks_own_experiment_if_it_sets_none(node: Node) -> None:
    runs = runs_of_notebook(node, "import mlflow", CHILDREN, SHELL)

    assert by_way(runs, "experiment") == same_for_all("Churn (v2)")
    assert by_way(runs, "databricks.notebook_path") == same_for_all(NOTEBOOK)
    assert by_way(runs, "databricks.user") == same_for_all("ada@example.com")
    assert by_way(runs, "mlflow.user") == same_for_all("ada@example.com")


def test_they_log_to_the_experiment_that_the_notebook_has_set(node: Node) -> None:
    # Given one process of a kind: joblib's workers, a copy, an interpreter of its own
    children = """
        import multiprocessing, training
        from joblib import Parallel, delayed
        Parallel(n_jobs=2)(delayed(training.train)("joblib") for _ in range(2))
        child = multiprocessing.get_context("fork").Process(target=training.train, args=("fork",))
        child.start()
        child.join()
        """
    runs = runs_of_notebook(node, "import mlflow\nmlflow.set_experiment('parent')", children, SHELL)

    assert by_way(runs, "experiment") == {way: {"parent"} for way in ("joblib", "fork", "shell")}


def test_a_choice_of_their_own_wins(node: Node) -> None:
    runs = runs_of_notebook(
        node,
        "import mlflow\nmlflow.set_experiment('parent')",
        "%%bash\nMLFLOW_EXPERIMENT_NAME=of-variable python training.py variable",
        "%%bash\nAZUREML_EXPERIMENT=of-setting python training.py setting",
    )

    assert by_way(runs, "experiment") == {"variable": {"of-variable"}, "setting": {"of-setting"}}


def test_a_process_that_is_given_the_notebooks_run_logs_to_it(node: Node) -> None:
    cell = """
        import mlflow, os, subprocess, sys
        mlflow.set_experiment("parent")
        with mlflow.start_run() as run:
            mlflow.set_tag("mine", run.info.run_id)
            env = {**os.environ, "MLFLOW_RUN_ID": run.info.run_id}
            subprocess.run([sys.executable, "training.py", "given"], env=env, check=True)
        """

    (run,) = runs_of_notebook(node, cell)

    assert (run["way"], run["mine"], run["experiment"]) == ("given", run["run_id"], "parent")


def test_processes_of_a_job_log_to_the_jobs_experiment(node: Node) -> None:
    context = databricks_context.put(node, isInNotebook=False, isInJob=True, jobId="77", idInJob="78")
    code = f"import mlflow, subprocess, sys\nsubprocess.run([sys.executable, 'training.py', 'job'])\n{FOUND}"

    done = node.run(
        [node.inside("/databricks/python3/bin/python"), "-c", code],
        env={**context, "SESSION": uuid4().hex},
        cwd=FOLDER,
    )

    (run,) = json.loads(done.stdout.splitlines()[-1])
    assert (run["experiment"], run["databricks.job_id"], run["databricks.job_run_id"]) == (
        "job-77",
        "77",
        "78",
    )


def test_it_is_so_with_the_newest_mlflow_which_tells_processes_itself(
    azure: EmulatedAzure, tmp_path: Path
) -> None:
    databricks_context.write(tmp_path, **CONTEXT)
    (tmp_path / "training.py").write_text(TRAINING)
    code = f"""
        import mlflow
        from joblib import Parallel, delayed
        import training
        Parallel(n_jobs=2)(delayed(training.train)("before") for _ in range(2))
        mlflow.set_experiment("parent")
        import subprocess, sys
        subprocess.run([sys.executable, training.__file__, "after"], check=True)
        {textwrap.indent(FOUND, " " * 8)}"""

    runs = printed_alone(
        "3.17.2", azure, code, PYTHONPATH=str(tmp_path), SESSION=uuid4().hex, **ON_DATABRICKS
    )

    assert by_way(runs, "experiment") == {"before": {"Churn (v2)"}, "after": {"parent"}}
    assert by_way(runs, "databricks.user") == {"before": {"ada@example.com"}, "after": {"ada@example.com"}}


def test_a_script_logs_there_even_if_the_notebook_does_not_use_mlflow(node: Node) -> None:
    runs = runs_of_notebook(node, SHELL)

    assert by_way(runs, "experiment") == {"shell": {"Churn (v2)"}}
    assert by_way(runs, "databricks.user") == {"shell": {"ada@example.com"}}
