"""One script for many runtimes: which bundle a node takes, and what it says where there is none."""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulated.cluster import LOCATION, SCRIPT, build_bundle, cluster_node
from tests.emulated.node import Node
from tests.emulated.workspace import GIVEN, TRACKING_URI

PYTHON = "/databricks/python3/bin/python"
PACKAGES = "/databricks/python3/lib/python3.11/site-packages"


@pytest.fixture(scope="module")
def upload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_bundle(tmp_path_factory.mktemp("many") / "out", runtimes=["16.4", "15.4", "14.3"])


@pytest.fixture
def node(upload: Path) -> Iterator[Node]:
    with cluster_node(upload, GIVEN) as node:
        yield node


def be(node: Node, runtime: str) -> None:
    node.path("/databricks/DBR_VERSION").write_text(runtime)


def boot(node: Node, on_error: str = "warn") -> subprocess.CompletedProcess[str]:
    return node.run_init_script(SCRIPT, env={"AZUREML_ON_ERROR": on_error})


def tracking_uri(node: Node) -> str:
    return node.run(
        [node.inside(PYTHON), "-c", "import os; print(os.environ['MLFLOW_TRACKING_URI'])"]
    ).stdout.strip()


@pytest.mark.parametrize("written", ["15.4", "15.4.1", "15.4\n"])
def test_a_node_takes_its_runtimes_own_bundle(node: Node, written: str) -> None:
    be(node, written)

    done = boot(node)

    assert done.stdout.startswith(
        f"azureml-databricks: archive: {node.inside(LOCATION)}/azureml-databricks-0.1.0-runtime-15.4.tar.gz"
    )
    assert tracking_uri(node) == TRACKING_URI


def test_where_the_runtime_has_no_file_its_variable_counts(node: Node) -> None:
    node.path("/databricks/DBR_VERSION").unlink()

    assert "has no bundle" not in boot(node).stdout


@pytest.mark.parametrize("runtime", ["15.5", "18.0-beta", "custom"])
def test_another_runtime_with_the_same_python_takes_a_bundle_that_works_there(
    node: Node, runtime: str
) -> None:
    be(node, runtime)

    done = boot(node)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == (
        f"azureml-databricks: runtime {runtime.removesuffix('-beta')} (Python 3.11) has no bundle; there are "
        "those for 14.3 (Python 3.10), 15.4 (Python 3.11), 16.4 (Python 3.12); "
        "azureml-databricks-0.1.0-runtime-15.4.tar.gz is tried"
    )
    assert tracking_uri(node) == TRACKING_URI


@pytest.mark.parametrize(("on_error", "code"), [("warn", 0), ("fail", 1)])
def test_a_bundle_that_does_not_work_on_another_runtime_is_not_put_into_service(
    node: Node, on_error: str, code: int
) -> None:
    # Given a runtime whose own version of a package does not go with the bundle's
    be(node, "15.9")
    node.path(f"{PACKAGES}/requests_oauthlib.py").write_text("from oauthlib import no_such_thing\n")

    done = boot(node, on_error)

    assert done.returncode == code
    assert done.stderr.splitlines()[0] == (
        "azureml-databricks: the bundle was not tried on this runtime: azureml.mlflow does not work there "
        "(ImportError: cannot import name 'no_such_thing' from 'oauthlib' "
        f"({node.inside(PACKAGES)}/oauthlib/__init__.py))"
    )
    assert tracking_uri(node) == "databricks"


def test_a_proof_that_hangs_ends(node: Node) -> None:
    boot(node)
    node.path(f"{PACKAGES}/requests_oauthlib.py").write_text("import threading\nthreading.Event().wait()\n")
    code = """
        import pathlib
        from azureml_databricks.node import proof
        proof._PATIENCE_SECONDS = 1
        print(proof.failure(pathlib.Path(proof.__file__).parents[2]))
        """

    done = node.run(["/databricks/python3/bin/python", "-c", textwrap.dedent(code)])

    assert (done.stdout, done.stderr) == ("what it brings is not imported there within 1 seconds\n", "")


@pytest.fixture
def moving(node: Node) -> Node:
    """Return a node whose bundle is for a major version, as from 18 on, and was tried on 15.4."""
    script = node.path(SCRIPT)
    script.write_text(script.read_text().replace("\n15.4 3.11 ", "\n15 3.11 "))
    return node


def test_a_release_that_a_runtimes_bundle_was_tried_on_proves_nothing(moving: Node) -> None:
    moving.path(f"{PACKAGES}/requests_oauthlib.py").write_text("from oauthlib import no_such_thing\n")

    done = boot(moving)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("azureml-databricks: archive: ")


def test_on_a_newer_release_a_runtimes_bundle_proves_itself_once_and_a_note_says_so(moving: Node) -> None:
    # Given a cluster that has got another release by a restart
    be(moving, "15.9")

    first = boot(moving)
    # Had it to prove itself again, it would fail now.
    moving.path(f"{PACKAGES}/requests_oauthlib.py").write_text("from oauthlib import no_such_thing\n")
    again = boot(moving)

    for done in first, again:
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[0] == (
            "azureml-databricks: note: this is runtime 15.9, and the bundle was tried on 15.4: "
            "it is proven here first"
        )
    assert tracking_uri(moving) == TRACKING_URI


def test_a_newer_release_on_which_the_bundle_fails_is_left_alone(moving: Node) -> None:
    be(moving, "15.9")
    moving.path(f"{PACKAGES}/requests_oauthlib.py").write_text("from oauthlib import no_such_thing\n")

    done = boot(moving)

    assert done.returncode == 0
    assert "the bundle was not tried on this runtime: azureml.mlflow does not work there" in done.stderr
    assert tracking_uri(moving) == "databricks"


def test_a_known_runtime_is_not_made_to_prove_anything(node: Node) -> None:
    # The proof imports all of the bundle, which takes seconds.
    node.path(f"{PACKAGES}/requests_oauthlib.py").write_text("from oauthlib import no_such_thing\n")

    assert boot(node).returncode == 0
    assert tracking_uri(node) == TRACKING_URI


def test_a_bundle_in_service_is_no_part_of_the_proof_of_the_next(node: Node) -> None:
    boot(node)
    be(node, "15.9")

    assert (boot(node).returncode, boot(node).stderr) == (0, "")


@pytest.mark.parametrize(("on_error", "code"), [("warn", 0), ("fail", 1)])
def test_without_a_bundle_for_its_python_a_node_is_told_which_there_are(
    tmp_path: Path, on_error: str, code: int
) -> None:
    with cluster_node(build_bundle(tmp_path / "out", runtimes=["14.3", "17.3"]), GIVEN) as node:
        done = boot(node, on_error)

        assert done.returncode == code
        assert done.stderr.splitlines()[0] == (
            "azureml-databricks: runtime 15.4 (Python 3.11) has no bundle; there are those for "
            "14.3 (Python 3.10), 17.3 (Python 3.12): build one with the runtime's Python"
        )
        assert tracking_uri(node) == "databricks"


def test_a_custom_container_with_another_python_than_its_runtimes_is_no_known_runtime(node: Node) -> None:
    # Given an image for 14.3, on which somebody has put the Python of 15.4
    be(node, "14.3")

    assert "runtime 14.3 (Python 3.11) has no bundle" in boot(node).stdout
