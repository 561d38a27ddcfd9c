"""The columns of the matrix, in the order in which they are run on a runtime's node."""

from __future__ import annotations

from pathlib import Path

import pytest

from azureml_databricks.admin.bundle.archives import RUNTIMES
from tests.emulated import databricks_context
from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import SCRIPT
from tests.matrices.runtimes.conftest import ANOTHER, PYTHON, Row, seen, text_of

MODEL = Path(__file__).with_name("model.py").read_text()


@pytest.mark.column("boots")
def test_the_one_script_takes_the_runtimes_own_bundle_which_proves_itself_on_a_release_that_is_new(
    row: Row,
) -> None:
    done = row.node.run_init_script(SCRIPT)

    said = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    if not row.tried:
        assert said.pop(0) == (
            f"azureml-databricks: note: this is runtime {row.runtime}, and the bundle was tried on "
            f"{', '.join(RUNTIMES[row.bundle_of].tried)}: it is proven here first"
        )
    assert f"-runtime-{row.bundle_of}.tar.gz, SHA-256 as expected" in said[0]


@pytest.mark.column("URIs right")
def test_every_python_points_at_the_workspace(row: Row, azure: EmulatedAzure) -> None:
    uri = azure.workspace.tracking_uri
    ask = "import mlflow; print(mlflow.get_tracking_uri(), mlflow.get_registry_uri())"
    variables = "import os; print(os.environ['MLFLOW_TRACKING_URI'], os.environ['MLFLOW_REGISTRY_URI'])"
    base = row.node.replica.interpreter.on_node

    in_a_notebook = text_of(row.node.run_notebook([ask]))
    in_a_job = row.node.run([row.node.inside(PYTHON), "-c", ask])
    in_the_base = row.node.run([row.node.inside(str(base)), "-c", variables])

    assert in_a_notebook == f"{uri} {uri}\n"
    assert (in_a_job.stdout, in_a_job.stderr) == (f"{uri} {uri}\n", "")
    assert (in_the_base.stdout, in_the_base.stderr) == (f"{uri} {uri}\n", "")


@pytest.mark.column("logs, registers, loads a model")
def test_a_plain_notebook_logs_registers_and_loads_a_model(row: Row, request: pytest.FixtureRequest) -> None:
    name = f"wine-{row.runtime}-{row.node.replica.ml}".replace(".", "-")
    notebook = databricks_context.put(
        row.node, isInNotebook=True, notebookPath=f"/Users/ada@example.com/{name}", notebookId="1"
    )

    row.node.run_notebook([MODEL], env={**notebook, "MODEL": name})


@pytest.mark.column("MLClient")
def test_mlclient_finds_the_workspace_in_a_notebook(row: Row, azure: EmulatedAzure) -> None:
    workspace = azure.workspace
    cell = (
        "from azure.ai.ml import MLClient\n"
        "from azure.identity import DefaultAzureCredential\n"
        f"place = {workspace.subscription_id!r}, {workspace.resource_group!r}\n"
        "client = MLClient(DefaultAzureCredential(), *place)\n"
        f"print(client.workspaces.get({workspace.name!r}).mlflow_tracking_uri)"
    )

    assert text_of(row.with_azure_ai_ml.run_notebook([cell])).strip() == workspace.tracking_uri


@pytest.mark.column("nothing changed")
def test_pip_and_notebooks_see_what_the_runtime_ships_as_it_was(row: Row) -> None:
    after = seen(row.node)
    with_more = seen(row.with_azure_ai_ml)

    for now in (after, with_more):
        assert now["freeze"] == row.before["freeze"]
        assert now["check"] == row.before["check"]
        assert {name: now["notebook"][name] for name in row.before["notebook"]} == row.before["notebook"]


@pytest.mark.column("nothing changed")
def test_a_package_that_a_notebook_installs_wins_there_and_nowhere_else(
    row: Row, another_azure_identity: Path
) -> None:
    node = row.node
    node.copy_in(another_azure_identity, "/wheels")
    ask = "import azure.identity; print(azure.identity.__version__)"
    wheels = f"--no-index --find-links {node.inside('/wheels')}"
    install = f"%pip install --quiet {wheels} azure-identity=={ANOTHER}"
    before = node.run([node.inside(PYTHON), "-c", ask]).stdout

    there = text_of(node.run_notebook([install, ask]))
    elsewhere = text_of(node.run_notebook([ask]))
    in_a_job = node.run([node.inside(PYTHON), "-c", ask]).stdout

    assert there == f"{ANOTHER}\n"
    assert elsewhere == in_a_job == before != there


@pytest.mark.column("nothing changed")
def test_no_file_of_the_runtimes_environment_was_touched(row: Row) -> None:
    assert [path for path in row.node.changes() if path.startswith("/databricks/python3")] == []


@pytest.mark.column("uninstalled")
def test_after_an_uninstall_the_node_is_as_before(row: Row) -> None:
    node = row.node
    # What the tests above put there.
    ours = ("/wheels", "/databricks/context", "/databricks/init_scripts", "/local_disk0", "/tmp", "/root")

    done = node.run([node.inside("/usr/local/bin/azureml-databricks"), "node", "uninstall"])

    assert (done.returncode, done.stdout) == (0, "azureml-databricks: removed\n")
    assert [path for path in node.changes() if not path.startswith(ours)] == []
