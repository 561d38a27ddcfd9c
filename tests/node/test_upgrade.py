"""From one bundle to the next on a running node."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulated.cluster import LOCATION, SCRIPT, build_bundle, cluster_node, start
from tests.emulated.node import Node
from tests.emulated.workspace import GIVEN

PYTHON = "/databricks/python3/bin/python"
RELEASES = "/databricks/azureml-databricks/releases"
GO = "/databricks/go"
WAITS = "import sys, time; print(sys.azureml_databricks, flush=True); time.sleep(600)"


@pytest.fixture(scope="module")
def next_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_bundle(tmp_path_factory.mktemp("next") / "out", '[env]\nTEAM = "churn"\n')


@pytest.fixture
def node(bundle: Path) -> Iterator[Node]:
    with cluster_node(bundle, GIVEN) as node:
        start(node)
        yield node


def releases(node: Node) -> set[str]:
    return {node.inside(f"{RELEASES}/{folder.name}") for folder in node.path(RELEASES).iterdir()}


def upgrade(node: Node, bundle: Path) -> None:
    node.copy_in(bundle, LOCATION)
    start(node)


def in_service(node: Node) -> str:
    return node.run([node.inside(PYTHON), "-c", "import sys; print(sys.azureml_databricks)"]).stdout.strip()


def test_new_processes_have_the_next_and_running_ones_keep_what_they_have(
    node: Node, next_bundle: Path
) -> None:
    # Given a process that has imported nothing of the bundle yet
    later = (
        "import sys; print(sys.azureml_databricks, flush=True)\n"
        "import os, time\n"
        f"while not os.path.exists({node.inside(GO)!r}): time.sleep(0.05)\n"
        "import azureml.mlflow; print(azureml.mlflow.__file__)"
    )
    running = node.popen([node.inside(PYTHON), "-c", later])
    assert running.stdout
    old = running.stdout.readline().strip()

    # When the next bundle is put into service
    upgrade(node, next_bundle)
    new = in_service(node)
    node.path(GO).touch()

    # Then both are there, and the old process goes on with its own
    assert releases(node) == {old, new}
    assert old != new
    assert running.communicate()[0].strip() == f"{old}/azureml/mlflow/__init__.py"


def test_the_old_is_removed_when_no_running_python_can_use_it(node: Node, next_bundle: Path) -> None:
    old = in_service(node)
    running = node.popen([node.inside(PYTHON), "-c", WAITS])
    assert running.stdout
    running.stdout.readline()
    upgrade(node, next_bundle)
    assert old in releases(node)
    status = node.run([node.inside("/usr/local/bin/azureml-databricks"), "node", "status"])
    assert f"older: {old}, which 1 running Pythons may use" in status.stdout

    running.kill()
    running.wait()
    start(node)

    assert releases(node) == {in_service(node)}


def test_with_no_python_running_the_old_goes_at_once(node: Node, next_bundle: Path) -> None:
    time.sleep(1.1)  # starts are compared by the second

    upgrade(node, next_bundle)

    assert releases(node) == {in_service(node)}


def test_back_to_the_first_is_a_step_like_any_other(node: Node, bundle: Path, next_bundle: Path) -> None:
    first = in_service(node)
    upgrade(node, next_bundle)
    node.path(f"{LOCATION}/azureml-databricks.json").unlink()

    upgrade(node, bundle)

    assert in_service(node) == first


def test_an_uninstall_after_an_upgrade_leaves_nothing_of_either(bundle: Path, next_bundle: Path) -> None:
    with cluster_node(bundle, GIVEN) as node:
        start(node)
        node.copy_in(next_bundle, LOCATION)
        node.run_init_script(SCRIPT)

        node.run([node.inside("/usr/local/bin/azureml-databricks"), "node", "uninstall"])

        left = [
            path for path in node.changes() if not path.startswith(("/databricks/init_scripts", LOCATION))
        ]
        assert left == []
