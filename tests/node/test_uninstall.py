"""`azureml-databricks node status` and `node uninstall`, as an admin runs them in `%sh`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulated.cluster import SCRIPT, cluster_node, left, start, uninstall
from tests.emulated.node import Node
from tests.emulated.workspace import GIVEN, SUBSCRIPTION, TRACKING_URI

COMMAND = "/usr/local/bin/azureml-databricks"
SITECUSTOMIZE = "/usr/lib/python3.11/sitecustomize.py"
HOME = "/databricks/azureml-databricks"


@pytest.fixture
def node(bundle: Path) -> Iterator[Node]:
    principal = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s3cr3t"}
    with cluster_node(bundle, {**GIVEN, **principal}) as node:
        yield node


def test_every_file_is_as_it_was_to_the_byte(node: Node) -> None:
    start(node)
    assert left(node)

    said = uninstall(node)

    assert said == "azureml-databricks: removed\n"
    assert left(node) == {}


def test_also_after_several_runs_and_many_starts(node: Node) -> None:
    for python in ("/usr/bin/python3.11", "/databricks/python3/bin/python") * 2:
        start(node)
        node.run([node.inside(python), "-c", "import json"])

    uninstall(node)

    assert left(node) == {}


def test_folders_for_tokens_that_somebody_else_made_go_too(node: Node) -> None:
    start(node)
    deep = """
        import os
        os.mkdir("/dev/shm/azureml-databricks-0")
        os.chdir("/dev/shm/azureml-databricks-0")
        for _ in range(3000):
            os.mkdir("d")
            os.chdir("d")
        os.symlink("/tmp", "/dev/shm/azureml-databricks-1")
        """
    made = node.run(["/databricks/python3/bin/python", "-c", textwrap.dedent(deep)], user="nobody")
    assert made.returncode == 0, made.stderr

    uninstall(node)

    assert node.run(["ls", "/dev/shm"]).stdout == ""
    assert node.run(["ls", "--directory", "/tmp"]).returncode == 0


def test_a_second_uninstall_finds_nothing_to_do(node: Node) -> None:
    start(node)
    program = node.inside("/databricks/python3/bin/python")
    current = node.run(["readlink", node.inside(f"{HOME}/current")]).stdout.strip()
    node.run(["cp", "-r", current, node.inside("/databricks/copy")])
    uninstall(node)

    again = node.run([program, "-m", "azureml_databricks", "node", "uninstall"], cwd="/databricks/copy")

    assert (again.stdout, again.stderr) == ("azureml-databricks: nothing of ours is installed\n", "")


def test_what_somebody_else_wrote_since_stays(node: Node) -> None:
    start(node)
    with node.path(SITECUSTOMIZE).open("a") as file:
        file.write("theirs = True\n")

    said = uninstall(node)

    assert "was changed by somebody since: only our lines are removed" in said
    text = node.path(SITECUSTOMIZE).read_text()
    assert text.endswith("theirs = True\n")
    assert "azureml" not in text


def test_without_the_ledger_our_own_lines_are_not_taken_for_the_original(node: Node) -> None:
    before = node.path(SITECUSTOMIZE).read_text()
    start(node)
    node.run(["rm", "-r", node.inside(HOME)])

    start(node)
    uninstall(node)

    assert node.path(SITECUSTOMIZE).read_text() == before
    # Only the time of the file and of its compiled form is not known any more, and who made IPython's folder.
    assert {Path(path).name.partition(".")[0] for path in left(node)} <= {
        "sitecustomize",
        "ipython",
        "startup",
    }


def test_status_shows_what_is_in_service_and_no_secret(node: Node) -> None:
    start(node)

    done = node.run([node.inside(COMMAND), "node", "status"])

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("azureml-databricks doctor: all is well\n")
    said = re.sub(r"releases/\w{12}", "releases/...", done.stdout)
    for finding in (
        f"in service: azureml-databricks 0.1.0 for runtime 15.4, {node.inside(HOME)}/releases/...",
        f"trackingUri: {TRACKING_URI} (a variable of the cluster)",
        "clientSecret: *** (a variable of this process)",
        f"workspace: ws in resource group rg, subscription {SUBSCRIPTION}, at westeurope.api.azureml.ms",
    ):
        assert f"  ok         {finding}\n" in said
    for way in ("sitecustomize", ".pth", "IPython startup"):
        assert f"  ok         {way}: " in said
    assert said.count("started now: runs the hooks\n") == 2
    assert "s3cr3t" not in said


def test_status_tells_a_missing_service_principal(node: Node) -> None:
    start(node)

    done = node.run([node.inside(COMMAND), "node", "status"], env={"AZURE_CLIENT_SECRET": ""})

    assert done.returncode == 1
    assert "  wrong      variables: AZURE_CLIENT_SECRET not set in this process\n" in done.stdout


def test_status_tells_that_it_is_switched_off(node: Node) -> None:
    start(node)

    done = node.run([node.inside(COMMAND), "node", "status"], env={"AZUREML_ENABLED": "false"})

    assert "workspace: AZUREML_ENABLED is false (a variable of this process): this process" in done.stdout


def test_a_damaged_ledger_is_told(node: Node) -> None:
    start(node)
    node.path(f"{HOME}/ledger/index.json").write_text("{")

    done = node.run([node.inside(COMMAND), "node", "uninstall"])

    assert done.returncode == 1
    assert "ledger/index.json is damaged (" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_status_tells_a_hook_that_is_gone(node: Node) -> None:
    start(node)
    node.path(SITECUSTOMIZE).write_text("")

    done = node.run([node.inside(COMMAND), "node", "status"])

    assert done.returncode == 1
    assert re.search(r"^  wrong      sitecustomize: .* has none of our lines", done.stdout, re.MULTILINE)
    assert re.search(r"^  wrong      .*, started now: runs no hook$", done.stdout, re.MULTILINE)


def test_status_tells_a_wrong_setting(node: Node) -> None:
    node.run_init_script(SCRIPT, env={"AZUREML_MODE": "both"})

    done = node.run([node.inside(COMMAND), "node", "status"])

    assert done.returncode == 1
    assert (
        "  wrong      workspace: AZUREML_MODE (a variable of the cluster) is 'both': use one of "
        in done.stdout
    )


def test_an_unprivileged_user_is_told_to_be_root(node: Node) -> None:
    if reason := node.cannot.get("other user"):
        pytest.skip(reason)
    start(node)

    done = node.run([COMMAND, "node", "uninstall"], user="nobody")

    assert done.returncode == 1
    assert done.stderr.endswith("; run this as root\n")
    assert "Traceback" not in done.stderr
    assert left(node)
