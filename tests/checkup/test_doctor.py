"""The doctor, on clusters that are well and on clusters that are not: what it says is in golden files."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import uv

from azureml_databricks.checkup.findings import Part
from azureml_databricks.checkup.report import Report
from tests.commands.golden import assert_is_golden
from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import cluster_node, node_in_service, start
from tests.emulated.node import Node
from tests.emulated.preloaded import Preloaded, on_node
from tests.matrices import on_azure

COMMAND = "/usr/local/bin/azureml-databricks"
CLUSTER = "/databricks/python3/bin/python"
HOME = "/databricks/azureml-databricks"
GOLDEN = Path(__file__).parent / "golden"
IN_CODE = "from azureml_databricks import doctor; print(doctor())"
# For one notebook: old enough to lack what we import.
OLD = "azure-identity==1.4.0"
RUNS = "/api/2.0/mlflow/runs/"
MODELS = "/api/2.0/mlflow/model-versions/"


@pytest.fixture(scope="module")
def node(bundle: Path, _azure: EmulatedAzure) -> Iterator[Node]:
    """A node in service; what a test changes is in the variables of its own processes."""
    with node_in_service(bundle, _azure) as node:
        yield node


@pytest.fixture(scope="module")
def python(node: Node) -> Iterator[Preloaded]:
    """Runs programs on the node that have their imports behind them."""
    with on_node(node) as python:
        yield python


@pytest.fixture
def spoilt(bundle: Path, azure: EmulatedAzure) -> Iterator[Node]:
    """A node in service, to be spoilt."""
    with node_in_service(bundle, azure) as node:
        yield node


def in_sh(node: Node, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return node.run([node.inside(COMMAND), "doctor"], env=env)


def with_variables(
    python: Preloaded, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the same command, in a program that differs from those of a healthy cluster in these variables."""
    return python.run(
        "import sys; from azureml_databricks.checkup import cli; sys.exit(cli.main([]))", env=env
    )


def in_code(
    node: Node, code: str = IN_CODE, env: Mapping[str, str] | None = None, python: str = CLUSTER
) -> subprocess.CompletedProcess[str]:
    return node.run([node.inside(python), "-W", "ignore", "-c", code], env=env, cwd="/tmp")


def assert_says(done: subprocess.CompletedProcess[str], name: str, node: Node, azure: EmulatedAzure) -> None:
    """Compare what the doctor printed with the golden file; no traceback and no secret."""
    assert "Traceback" not in done.stdout + done.stderr
    assert_is_golden(same_each_time(done.stdout + done.stderr, node, azure), GOLDEN / f"{name}.txt")


def same_each_time(text: str, node: Node, azure: EmulatedAzure) -> str:
    for secret in (azure.principal.client_secret, azure.principal.expired_secret, "wr0ng", "pa55word"):
        assert secret not in text
    workspace, names = azure.workspace, {"PRINCIPAL": azure.principal, "STRANGER": azure.stranger}
    known = {workspace.subscription_id: "SUBSCRIPTION", workspace.tenant_id: "TENANT"}
    for name, principal in names.items():
        known |= {principal.client_id: name, principal.object_id: f"OBJECT_OF_{name}"}
    known[node.inside("/databricks").removesuffix("/databricks")] = ""
    for value, name in known.items():
        text = text.replace(value, name) if value else text
    for pattern, name in {
        r"releases/[0-9a-f]{12}": "releases/RELEASE",
        r"pythonEnv-[0-9a-f-]{36}": "pythonEnv-NOTEBOOK",
        r"(?<!pythonEnv-)\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b": "RUN",
        r"(?<=, in )\d+\.\d(?= s)": "0.0",
        r"\bversion \d+\b": "version 1",
        r"\b(3\.\d+)\.\d+(?= \(|, by)": r"\1",
        r"127\.0\.0\.1:\d+": "PROXY",
        r"0x[0-9a-f]+": "0x0",
        r"(?m)^(  ok         (kernel|processes above)[^:]*: ).*$": r"\1THIS MACHINE'S",
    }.items():
        text = re.sub(pattern, name, text)
    return text


# Well ----------------------------------------------------------------------------------------------


def test_on_a_healthy_cluster_all_is_well_in_sh(node: Node, azure: EmulatedAzure) -> None:
    done = in_sh(node)

    assert done.returncode == 0
    assert_says(done, "healthy-sh", node, azure)
    # One to see that it can be had, which all processes of the node share then.
    assert len(azure.journal.of("login.microsoftonline.com", "/token")) == 1
    assert azure.journal.refused == []


def test_in_a_notebook_it_is_a_table(node: Node, azure: EmulatedAzure) -> None:
    if reason := node.cannot.get("system paths"):
        pytest.skip(reason)

    notebook = node.run_notebook(["from azureml_databricks import doctor", "doctor()"])

    shown = notebook.cells[1].outputs[-1].data
    assert_is_golden(same_each_time(shown["text/plain"] + "\n", node, azure), GOLDEN / "healthy-notebook.txt")
    assert "<td" in shown["text/html"]
    assert azure.principal.client_secret not in shown["text/html"]


def test_machines_get_one_line_of_json(node: Node, azure: EmulatedAzure) -> None:
    done = node.run([node.inside(COMMAND), "doctor", "--json"])

    report = json.loads(done.stdout)
    assert report["well"] is True
    assert {finding["verdict"] for finding in report["findings"]} == {"ok", "not tried"}
    assert azure.principal.client_secret not in done.stdout


def test_a_terminal_gets_colours_and_a_pipe_none(node: Node) -> None:
    ours, theirs = pty.openpty()
    process = node.popen([node.inside(COMMAND), "doctor"], stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # Linux's way to say that nobody writes any more
        pass
    process.wait()

    assert b"\x1b[32mok" in shown
    assert "\x1b" not in in_sh(node).stdout


def test_nothing_of_it_stays_but_what_azure_ml_cannot_delete(node: Node, azure: EmulatedAzure) -> None:
    code = (
        "import json, mlflow; client = mlflow.MlflowClient()\n"
        "experiment = client.get_experiment_by_name('azureml-databricks-doctor')\n"
        "print(json.dumps([len(client.search_runs([experiment.experiment_id])), "
        "len(client.search_model_versions(\"name = 'azureml-databricks-doctor'\"))]))"
    )

    in_sh(node)

    assert json.loads(in_code(node, code).stdout.splitlines()[-1]) == [0, 0]


def test_a_run_that_a_notebook_has_begun_is_not_disturbed(node: Node) -> None:
    code = (
        "import mlflow\nfrom azureml_databricks import doctor\n"
        "with mlflow.start_run() as run:\n"
        "    assert doctor().well\n"
        "    assert mlflow.active_run().info.run_id == run.info.run_id\n"
        "    mlflow.log_metric('mine', 1)\n"
        "print(mlflow.get_run(run.info.run_id).data.metrics)"
    )

    assert "{'mine': 1.0}" in in_code(node, code, {"AZUREML_EXPERIMENT": "mine"}).stdout


@pytest.mark.parametrize(("mode", "ours", "theirs"), [("tracking", RUNS, MODELS), ("registry", MODELS, RUNS)])
def test_only_what_the_mode_sends_to_azure_ml_is_written_there(
    node: Node, azure: EmulatedAzure, mode: str, ours: str, theirs: str
) -> None:
    done = in_sh(node, {"AZUREML_MODE": mode})

    assert done.returncode == 0, done.stdout
    assert azure.journal.of("*.api.azureml.ms", f"{ours}create")
    assert azure.journal.of("*.api.azureml.ms", f"{theirs}create") == []
    assert "  ok         deleted: " in done.stdout


@pytest.mark.parametrize("version", [pytest.param("2.21.3", marks=pytest.mark.thorough), "3.17.2"])
def test_what_it_writes_comes_back_the_same_with_each_mlflow(version: str, azure: EmulatedAzure) -> None:
    code = """
        import json
        from azureml_databricks.checkup.round_trip import RoundTrip
        trip = RoundTrip()
        found = [*trip.findings(), *trip.clean_up()]
        print(json.dumps([[it.what, it.verdict, it.detail] for it in found]))
        """

    found = on_azure.printed(version, azure, code)

    assert [what for what, verdict, _ in found if verdict == "ok"] == [
        *("run", "artifact", "registered model"),
        *("deleted", "stays"),
    ], found


# Not well: variables and Azure ---------------------------------------------------------------------


def test_a_wrong_secret(node: Node, python: Preloaded, azure: EmulatedAzure) -> None:
    done = with_variables(python, {"AZURE_CLIENT_SECRET": "wr0ng"})

    assert done.returncode == 1
    assert_says(done, "wrong-secret", node, azure)


def test_an_expired_secret(node: Node, python: Preloaded, azure: EmulatedAzure) -> None:
    done = with_variables(python, {"AZURE_CLIENT_SECRET": azure.principal.expired_secret})

    assert_says(done, "expired-secret", node, azure)


def test_no_secret(node: Node, python: Preloaded, azure: EmulatedAzure) -> None:
    assert_says(with_variables(python, {"AZURE_CLIENT_SECRET": ""}), "no-secret", node, azure)


def test_no_role_on_the_workspace(node: Node, python: Preloaded, azure: EmulatedAzure) -> None:
    stranger = azure.stranger
    env = {"AZURE_CLIENT_ID": stranger.client_id, "AZURE_CLIENT_SECRET": stranger.client_secret}

    done = with_variables(python, env)

    assert stranger.client_secret not in done.stdout
    assert_says(done, "no-role", node, azure)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("login-host-unreachable", "login.microsoftonline.com"),
        ("workspace-host-unreachable", "*.api.azureml.ms"),
        ("storage-host-unreachable", "*.blob.core.windows.net"),
    ],
)
def test_a_host_that_the_network_does_not_let_through(
    node: Node, python: Preloaded, azure: EmulatedAzure, name: str, host: str
) -> None:
    azure.faults.add(host=host, cut=True)

    done = with_variables(python)

    assert done.returncode == 1
    assert_says(done, name, node, azure)


def test_a_workspace_that_does_not_exist(node: Node, azure: EmulatedAzure) -> None:
    env = {"AZUREML_TRACKING_URI": azure.workspace.tracking_uri.replace("forecasting", "forcasting")}

    assert_says(in_sh(node, env), "no-such-workspace", node, azure)


def test_a_tracking_uri_that_is_none(node: Node, azure: EmulatedAzure) -> None:
    done = in_sh(node, {"AZUREML_TRACKING_URI": "azureml://westeurope.api.azureml.ms"})

    assert_says(done, "wrong-tracking-uri", node, azure)


def test_a_mode_that_is_none(node: Node, azure: EmulatedAzure) -> None:
    assert_says(in_sh(node, {"AZUREML_MODE": "both"}), "wrong-mode", node, azure)


def test_switched_off(node: Node, azure: EmulatedAzure) -> None:
    done = in_sh(node, {"AZUREML_ENABLED": "false"})

    assert done.returncode == 0
    assert_says(done, "switched-off", node, azure)


def test_nothing_configured(bundle: Path, azure: EmulatedAzure) -> None:
    with cluster_node(bundle, {}) as node:
        start(node)

        done = in_sh(node)

        assert done.returncode == 1
        assert_says(done, "nothing-configured", node, azure)


# Not well: this process ----------------------------------------------------------------------------


def test_a_cell_that_set_another_tracking_uri(node: Node, azure: EmulatedAzure) -> None:
    code = f"import mlflow; mlflow.set_tracking_uri('http://ann:pa55word@mlflow:5000')\n{IN_CODE}"

    assert_says(in_code(node, code), "cell-set-tracking-uri", node, azure)


def test_a_cluster_with_another_tracking_uri(node: Node, azure: EmulatedAzure) -> None:
    done = in_code(node, env={"MLFLOW_TRACKING_URI": "http://ann:pa55word@mlflow:5000"})

    assert_says(done, "cluster-sets-tracking-uri", node, azure)


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("users-sitecustomize", "sitecustomize.py", ""),
        ("file-called-mlflow", "mlflow.py", "print('training')\n"),
    ],
)
def test_a_file_of_the_users_that_stands_before_another(
    node: Node, azure: EmulatedAzure, name: str, file: str, text: str
) -> None:
    project = f"/databricks/{name}"
    node.path("/databricks").joinpath(name).mkdir()
    node.path(f"{project}/{file}").write_text(text)

    done = in_code(node, env={"PYTHONPATH": node.inside(project)})

    assert_says(done, name, node, azure)


def test_a_package_that_a_notebook_installed(node: Node, azure: EmulatedAzure) -> None:
    # Given a notebook that has a version of azure-identity which is too old
    notebook = node.notebook_environment()
    packages = next(node.path(f"{notebook}/lib").glob("python*/site-packages"))
    install = [uv.find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--target", str(packages)]
    subprocess.run([*install, "--python", shutil.which("python3") or "", OLD], check=True)

    done = in_code(node, python=f"{notebook}/bin/python")

    assert_says(done, "package-installed-by-notebook", node, azure)


def test_a_python_that_stands_on_another_than_the_clusters(node: Node) -> None:
    # Given a Python as an environment brings one, with start-up hooks of its own
    if reason := node.cannot.get("system paths"):
        pytest.skip(reason)
    folder = node.path("/databricks/environments/bin")
    folder.mkdir(parents=True)
    python = folder / "python"
    shutil.copy2(node.path("/usr/bin/python3.11"), python)
    code = (
        f"import sys; sys.path.insert(0, '{HOME}/current')\n"
        "from azureml_databricks.checkup import examination; print(examination.of_the_node())"
    )

    def says(runtime: str, *argv: str) -> str:
        return node.run([*argv, "-c", code], env={"DATABRICKS_RUNTIME_VERSION": runtime}).stdout

    of_an_environment = says("19.5", "/databricks/environments/bin/python", "-S")

    assert "  wrong      dependency mode: Environments, it seems: /databricks/env" in of_an_environment
    assert "-> set the cluster's dependency mode to Cluster libraries" in of_an_environment
    assert "dependency mode" not in says("18.3", "/databricks/environments/bin/python", "-S")
    assert "dependency mode" not in says("19.5", CLUSTER)


# Not well: the node --------------------------------------------------------------------------------


def test_a_hook_that_somebody_has_overwritten(spoilt: Node, azure: EmulatedAzure) -> None:
    spoilt.path("/usr/lib/python3.11/sitecustomize.py").write_text("# mine\n")

    assert_says(in_sh(spoilt), "sitecustomize-overwritten", spoilt, azure)


def test_no_bundle_in_service(spoilt: Node, azure: EmulatedAzure) -> None:
    # Given a notebook that has started, and then the link is gone
    code = f"import os; os.remove({spoilt.inside(HOME + '/current')!r})\n{IN_CODE}"

    in_the_notebook, in_a_shell = in_code(spoilt, code), in_sh(spoilt)

    assert_says(in_the_notebook, "no-bundle-notebook", spoilt, azure)
    assert (in_a_shell.returncode, in_a_shell.stdout) == (1, "")
    assert_says(in_a_shell, "no-bundle-sh", spoilt, azure)


# Its own shape -------------------------------------------------------------------------------------


def test_what_others_have_written_is_no_markup_in_a_notebook() -> None:
    report = Report({"runtime": "<15>"}, (Part("settings").wrong("<b>", "<script>1</script>", "a & b"),))

    html = report._repr_html_()

    assert "<script>" not in html
    assert "&lt;script&gt;1&lt;/script&gt;" in html
    assert "a &amp; b" in html
    assert "&lt;15&gt;" in html
