"""The init script, on a node, by what it promises the cluster: it starts, whatever is wrong with us."""

from __future__ import annotations

import os
import re
import signal
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulated.cluster import LOCATION, SCRIPT, build_bundle, cluster_node, left, start, tracking_uri
from tests.emulated.node import Node
from tests.emulated.workspace import GIVEN, TRACKING_URI

HOME = "/databricks/azureml-databricks"


@pytest.fixture
def node(bundle: Path) -> Iterator[Node]:
    with cluster_node(bundle, {**GIVEN, "AZURE_CLIENT_SECRET": "s3cr3t"}) as node:
        yield node


def archive(node: Node) -> Path:
    return next(node.path(LOCATION).glob("*.tar.gz"))


@pytest.mark.parametrize("driver", [True, False], ids=["driver", "worker"])
def test_it_prints_a_line_a_step_and_no_secret(bundle: Path, driver: bool) -> None:
    with cluster_node(bundle, {**GIVEN, "AZURE_CLIENT_SECRET": "s3cr3t"}, driver=driver) as node:
        done = node.run_init_script(SCRIPT)

        assert done.returncode == 0
        assert done.stderr == ""
        assert [line.partition(": ")[2] for line in done.stdout.splitlines()] == [
            f"archive: {node.inside(LOCATION)}/azureml-databricks-0.1.0-runtime-15.4.tar.gz, "
            "SHA-256 as expected",
            "unpacked",
            f"in service: {node.run(['readlink', node.inside(HOME + '/current')]).stdout.strip()}",
            f"tracking URI: {TRACKING_URI}",
        ]
        assert tracking_uri(node) == TRACKING_URI


def test_no_secret_is_in_any_file_it_writes(node: Node) -> None:
    start(node)

    for path in node.changes():
        file = node.path(path)
        if file.is_file():
            assert b"s3cr3t" not in file.read_bytes()


def test_a_second_run_changes_nothing(node: Node) -> None:
    start(node)
    node.checkpoint()

    start(node)

    assert left(node).keys() <= {f"{HOME}/lock"}


def test_two_runs_at_once_end_as_one(node: Node) -> None:
    runs = [node.popen(["bash", node.inside(SCRIPT)]) for _ in range(3)]

    assert [run.wait() for run in runs] == [0, 0, 0]
    assert len(list(node.path(f"{HOME}/releases").iterdir())) == 1
    assert not list(node.path(HOME).glob("unpacking.*"))
    assert tracking_uri(node) == TRACKING_URI


def test_it_needs_no_network_no_pip_and_few_tools(node: Node) -> None:
    tools = node.inside("/databricks/tools")
    needed = ("bash", "env", "cp", "tar", "gzip", "sha256sum", "mkdir", "rm", "unshare")
    node.run(["bash", "-c", f"mkdir {tools}; ln -s $(which {' '.join(needed)}) {tools}"])

    done = node.run(["env", f"PATH={tools}", f"{tools}/unshare", "--net", "bash", node.inside(SCRIPT)])

    assert (done.returncode, done.stderr) == (0, "")
    assert tracking_uri(node) == TRACKING_URI


def test_disabled_by_the_policy_it_does_nothing(node: Node) -> None:
    done = node.run_init_script(SCRIPT, env={"AZUREML_ENABLED": "false"})

    assert done.returncode == 0
    assert left(node) == {}


def test_what_was_checked_is_what_runs(node: Node) -> None:
    # Given somebody who exchanges the archive once it has been checked: here, by the checksum's own program
    if "system paths" in node.cannot:
        pytest.skip(node.cannot["system paths"])
    evil = f"printf evil >{LOCATION}/{archive(node).name}"
    node.path("/usr/local/bin/sha256sum").write_text(f"#!/bin/sh\n/usr/bin/sha256sum && {evil}\n")
    node.path("/usr/local/bin/sha256sum").chmod(0o755)

    done = node.run_init_script(SCRIPT)

    assert (done.returncode, done.stderr) == (0, "")
    assert tracking_uri(node) == TRACKING_URI


def test_a_lock_that_somebody_holds_is_told_in_time(node: Node) -> None:
    start(node)
    lock = node.inside("/databricks/azureml-databricks/lock")
    code = f"""
        import fcntl, pathlib
        from azureml_databricks.node import install, paths
        install._PATIENCE_SECONDS = 0
        with open({lock!r}) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            try:
                install.uninstall(paths.Paths.of_this_node())
            except OSError as error:
                print(error)
        """

    done = node.run(["/databricks/python3/bin/python", "-c", textwrap.dedent(code)])

    assert done.stdout == (
        f"{lock} is held by another process since 0 seconds: end the one that `fuser {lock}` names, and "
        "start the cluster again\n"
    )
    # Who can open it could hold it
    assert node.run(["cat", lock], user="nobody").returncode == 1


def _damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _deleted(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            _damaged,
            r"is not the archive this script was made with \(SHA-256 \w+, expected \w+\): upload both",
        ),
        (_deleted, r"cannot be read: upload it again, or let the cluster's user read it"),
    ],
)
@pytest.mark.parametrize(("on_error", "code"), [("warn", 0), ("fail", 1)])
def test_a_bad_archive_ends_as_on_error_says(
    node: Node, damage: object, said: str, on_error: str, code: int
) -> None:
    assert callable(damage)
    damage(archive(node))
    node.checkpoint()

    done = node.run_init_script(SCRIPT, env={"AZUREML_ON_ERROR": on_error})

    assert done.returncode == code
    assert re.search(said, done.stderr)
    assert "Traceback" not in done.stderr
    assert tracking_uri(node) == "databricks"


@pytest.mark.parametrize(("on_error", "code"), [("warn", 0), ("fail", 1)])
def test_a_wrong_setting_ends_as_on_error_says(node: Node, on_error: str, code: int) -> None:
    done = node.run_init_script(
        SCRIPT, env={"AZUREML_TRACKING_URI": "azureml://x", "AZUREML_ON_ERROR": on_error}
    )

    assert done.returncode == code
    assert (
        "AZUREML_TRACKING_URI (a variable of the cluster) is 'azureml://x': no /subscriptions/... in it; "
        "take it from the workspace's overview page (MLflow tracking URI)\n"
    ) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_node_without_our_python_starts(node: Node) -> None:
    node.run(["rm", node.inside("/databricks/python3/bin/python")])

    done = node.run_init_script(SCRIPT)

    assert done.returncode == 0
    assert "/databricks/python3/bin/python is not there" in done.stderr


def test_logs_that_cannot_be_written_stop_no_launch(node: Node) -> None:
    for output in (">/dev/full", ">/dev/full 2>&1", "| true"):
        env = {"AZUREML_ON_ERROR": "fail"}
        done = node.run(["bash", "-c", f"set -o pipefail; bash {node.inside(SCRIPT)} {output}"], env=env)

        assert done.returncode == 0
        assert done.stderr == ""
    assert tracking_uri(node) == TRACKING_URI


def test_a_signal_stops_no_launch_and_leaves_nothing(node: Node) -> None:
    run = node.popen(["bash", node.inside(SCRIPT)])
    while not list(node.path(HOME).parent.glob("azureml-databricks/unpacking.*")) and run.poll() is None:
        time.sleep(0.001)
    os.kill(run.pid, signal.SIGTERM)

    assert run.wait() == 0
    assert not list(node.path(HOME).glob("unpacking.*"))


def test_an_onerror_that_is_none_is_told(node: Node) -> None:
    done = node.run_init_script(SCRIPT, env={"AZUREML_ON_ERROR": "Fail"})

    assert done.returncode == 0
    assert "AZUREML_ON_ERROR (a variable of the cluster) is 'Fail': use one of warn, fail\n" in done.stderr


def test_a_later_run_that_fails_leaves_what_is_in_service(node: Node) -> None:
    start(node)
    _damaged(archive(node))

    done = node.run_init_script(SCRIPT)

    assert "the cluster starts, with what an earlier run put into service" in done.stderr
    assert tracking_uri(node) == TRACKING_URI


def test_a_broken_sitecustomize_of_the_distribution_is_named_and_a_notebook_is_told(node: Node) -> None:
    if reason := node.cannot.get("system paths"):
        pytest.skip(reason)
    node.path("/usr/lib/python3.11/sitecustomize.py").write_text("def (:\n")

    done = node.run_init_script(SCRIPT)
    notebook = node.run_notebook(["import mlflow"])

    assert done.returncode == 0
    said = [line for line in done.stderr.splitlines() if line.startswith("azureml-databricks: ")]
    assert "/sitecustomize.py, which every Python runs, does not compile (" in said[0]
    assert "the bundle cannot be put into service" in said[1]
    assert "MLflow is not connected to Azure Machine Learning" in notebook.cells[0].outputs[0].text


def test_where_nothing_of_ours_runs_a_notebook_is_told_once_it_uses_mlflow(node: Node) -> None:
    if reason := node.cannot.get("system paths"):
        pytest.skip(reason)
    # Given a node whose archive is gone
    _deleted(archive(node))
    assert node.run_init_script(SCRIPT).returncode == 0

    # When a notebook runs
    notebook = node.run_notebook(["1 + 1", "import mlflow", "mlflow.get_tracking_uri()"])

    # Then it is told with MLflow's first cell, and only then
    told = [
        "".join(output.text for output in cell.outputs if output.get("name") == "stderr")
        for cell in notebook.cells
    ]
    assert told[0] == told[2] == ""
    assert told[1].startswith(
        "MLflow is not connected to Azure Machine Learning, and works as it would without: "
    )
    assert "cannot be read: upload it again" in told[1]
    assert told[1].count("\n") == 1


# Runtime 19, standard access mode: few variables reach the script ------------------------------------


@pytest.fixture
def of_runtime_19(tmp_path: Path) -> Iterator[Node]:
    """A node in standard access mode on 19, whose settings are in the file and its secret in a variable."""
    bundle = build_bundle(tmp_path / "out", f'trackingUri = "{TRACKING_URI}"\nauth = "service-principal"\n')
    variables = {"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_CLIENT_SECRET": "s3cr3t"}
    with cluster_node(bundle, {**variables, "DATABRICKS_RUNTIME_VERSION": "19.5"}) as node:
        node.access_mode = "standard"
        yield node


def test_it_needs_none_of_the_variables_that_runtime_19_withholds(of_runtime_19: Node) -> None:
    node = of_runtime_19

    start(node)

    assert tracking_uri(node) == TRACKING_URI


@pytest.mark.parametrize(
    ("variable", "text", "uri"),
    [
        # The script does not see it, each process does.
        ("AZUREML_ENABLED", "false", "databricks"),
        ("AZUREML_MODE", "registry", "databricks"),
        ("AZUREML_TRACKING_URI", TRACKING_URI.replace("westeurope", "eastus"), "eastus"),
    ],
)
def test_a_variable_that_it_does_not_see_counts_in_each_process_all_the_same(
    of_runtime_19: Node, variable: str, text: str, uri: str
) -> None:
    node = of_runtime_19
    node.environment[variable] = text

    start(node)

    assert uri in tracking_uri(node)


def test_whether_a_failure_stops_the_launch_there_is_up_to_the_file(of_runtime_19: Node) -> None:
    node = of_runtime_19
    node.environment["AZUREML_ON_ERROR"] = "fail"
    archive(node).write_bytes(b"")

    done = node.run_init_script(SCRIPT)

    assert done.returncode == 0
    assert "the cluster starts as if azureml-databricks were not there" in done.stderr
