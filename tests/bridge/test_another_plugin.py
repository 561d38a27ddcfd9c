"""A user's own azureml-mlflow, of another version, beside ours: Microsoft's guide has users install one."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import node_in_service
from tests.emulated.node import Node

# The oldest that a user of these runtimes may have, and one whose own artifacts are broken; two between.
ENDS = ("1.52.0", "1.61.0")
BETWEEN = ("1.56.0", "1.60.0.post1")
VERSIONS = (*ENDS, *BETWEEN)

USE = """
    import json, mlflow
    from pathlib import Path
    from sklearn.linear_model import LogisticRegression
    mlflow.set_experiment("both")
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 1.0)
        mlflow.log_text("hello", "notes/hello.txt")
        model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        needs, named = ["scikit-learn"], "both"
        mlflow.sklearn.log_model(model, "model", registered_model_name=named, pip_requirements=needs)
    client = mlflow.MlflowClient()
    loaded = mlflow.pyfunc.load_model(f"models:/{named}/{client.get_latest_versions(named)[0].version}")
    import azureml.mlflow
    print(json.dumps({
        "plugin": azureml.mlflow.__version__,
        "store": type(client._tracking_client.store).__name__,
        "status": client.get_run(run.info.run_id).info.status,
        "artifacts": [item.path for item in client.list_artifacts(run.info.run_id)],
        "predicted": loaded.predict([[0.0], [1.0]]).tolist(),
    }))
    """


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the versions' wheels, and what is in each."""
    folder = tmp_path_factory.mktemp("plugins")
    for version in VERSIONS:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={folder}"]
        subprocess.run([*download, f"azureml-mlflow=={version}"], check=True)
        (wheel,) = folder.glob(f"azureml_mlflow-{version}-*.whl")
        zipfile.ZipFile(wheel).extractall(folder / version)
    return folder


@pytest.fixture(scope="module")
def node(bundle: Path, _azure: EmulatedAzure, wheels: Path) -> Iterator[Node]:
    with node_in_service(bundle, _azure) as node:
        node.copy_in(wheels, "/plugins")
        yield node


def check(found: dict[str, Any], azure: EmulatedAzure) -> None:
    """All is as with our plugin alone, with one login, which is ours."""
    assert found["store"] == "WorkspaceTrackingStore"
    assert found["status"] == "FINISHED"
    assert found["artifacts"] == ["model", "notes"]
    assert found["predicted"] == [0, 1]
    assert len(azure.journal.of("login.microsoftonline.com", "/token")) <= 1
    assert azure.journal.of("management.azure.com") == azure.journal.refused == []


def used(node: Node, place: str) -> dict[str, Any]:
    """Return what a script found with a change of `sys.path`, having said nothing of a plugin."""
    python = node.inside("/databricks/python3/bin/python")
    code = f"import sys; sys.path.{place}\n{textwrap.dedent(USE)}"
    done = node.run([python, "-c", code], cwd="/tmp")
    assert done.returncode == 0, done.stderr
    assert "plugin" not in done.stderr
    assert "Failure attempting to register" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    "version", [*ENDS, *(pytest.param(it, marks=pytest.mark.thorough) for it in BETWEEN)]
)
def test_the_users_own_is_imported_and_our_stores_are_used(
    node: Node, azure: EmulatedAzure, version: str
) -> None:
    found = used(node, f"insert(0, {node.inside(f'/plugins/{version}')!r})")

    check(found, azure)
    assert found["plugin"].startswith(version.partition(".post")[0])


def test_so_they_are_where_the_users_own_comes_after_ours(node: Node, azure: EmulatedAzure) -> None:
    check(used(node, f"append({node.inside('/plugins/1.56.0')!r})"), azure)


def test_a_notebook_that_installs_its_own_logs_as_ever(node: Node, azure: EmulatedAzure) -> None:
    (wheel,) = node.path("/plugins").glob("azureml_mlflow-1.56.0-*.whl")
    install = f"%pip install --quiet --no-index --no-deps {node.inside(f'/plugins/{wheel.name}')}"

    notebook = node.run_notebook([install, textwrap.dedent(USE)])

    outputs = notebook.cells[-1].outputs
    (printed,) = (output.text for output in outputs if output.get("name") == "stdout")
    found = json.loads(printed.splitlines()[-1])
    check(found, azure)
    assert found["plugin"].startswith("1.56.0")
