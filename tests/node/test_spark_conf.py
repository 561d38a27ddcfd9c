"""Settings from the Spark conf where no session is: files on a node that may have it, and who is trusted."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.emulated.cluster import build_bundle, cluster_node, start
from tests.emulated.node import Node
from tests.emulated.spark import conf
from tests.emulated.workspace import TRACKING_URI

CUSTOM = "/tmp/custom-spark.conf"
PLACES: dict[conf.ConfFile, str] = {
    "spark-defaults.conf": "/databricks/spark/conf/spark-defaults.conf",
    "custom-spark.conf": CUSTOM,
    "driver.conf": "/databricks/driver/conf/00-custom-spark-driver-defaults.conf",
}
OTHER_URI = TRACKING_URI.replace("/workspaces/ws", "/workspaces/other")
GIVEN = {"spark.azureml.trackingUri": TRACKING_URI, "spark.azureml.env.TEAM": "churn"}


@contextmanager
def started(bundle: Path, variables: dict[str, str]) -> Iterator[Node]:
    """A node with a policy's variables, whose init script has run."""
    with cluster_node(bundle, variables) as node:
        if "system paths" in node.cannot:
            pytest.skip(node.cannot["system paths"])
        start(node)
        yield node


@pytest.fixture(scope="module")
def _node(bundle: Path) -> Iterator[Node]:
    """A node whose policy says nothing of a workspace."""
    with started(bundle, {}) as node:
        yield node


@pytest.fixture
def node(_node: Node) -> Iterator[Node]:
    yield _node
    clean(_node)


@pytest.fixture(scope="module")
def _configured(bundle: Path) -> Iterator[Node]:
    """A node whose policy names a workspace."""
    with started(bundle, {"AZUREML_TRACKING_URI": OTHER_URI}) as node:
        yield node


@pytest.fixture
def configured(_configured: Node) -> Iterator[Node]:
    yield _configured
    clean(_configured)


def clean(node: Node) -> None:
    for path in PLACES.values():
        assert node.run(["rm", "-rf", path]).returncode == 0


def sees(node: Node, *names: str, env: dict[str, str] | None = None, user: str | None = None) -> list[Any]:
    """Return the variables of a fresh Python, which must say nothing else."""
    code = f"import json, os; print(json.dumps([os.environ.get(name) for name in {names!r}]))"
    done = node.run(["/databricks/python3/bin/python", "-c", code], env=env, user=user)
    assert done.stderr == ""
    found: list[Any] = json.loads(done.stdout)
    return found


def put(node: Node, content: str, *, path: str = CUSTOM, mode: int = 0o644) -> None:
    file = node.path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    file.chmod(mode)


def mlflow_says(node: Node, code: str = "print(mlflow.get_tracking_uri())", **env: str) -> tuple[str, str]:
    source = f"import mlflow\n{textwrap.dedent(code)}"
    done = node.run(["/databricks/python3/bin/python", "-W", "ignore", "-c", source], env=env, cwd="/tmp")
    return done.stdout.strip(), done.stderr.strip()


# Where ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", PLACES)
def test_every_python_has_what_a_file_says_that_root_has_written(node: Node, where: conf.ConfFile) -> None:
    conf.write_file(node, where, {"spark.master": "local", **GIVEN})

    names = "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "AZUREML_TRACKING_URI", "TEAM"
    for user in (None, "nobody"):
        assert sees(node, *names, user=user) == [TRACKING_URI, TRACKING_URI, TRACKING_URI, "churn"]
    assert mlflow_says(node) == (TRACKING_URI, "")


def test_another_folder_of_sparks_is_where_its_variable_says(node: Node) -> None:
    put(node, f"spark.azureml.trackingUri={TRACKING_URI}\n", path="/opt/conf/spark-defaults.conf")

    assert sees(node, "MLFLOW_TRACKING_URI", env={"SPARK_CONF_DIR": "/opt/conf"}) == [TRACKING_URI]


def test_sparks_own_file_counts_before_the_others(node: Node) -> None:
    for where in PLACES:
        conf.write_file(node, where, {**GIVEN, "spark.azureml.env.TEAM": where})

    assert sees(node, "TEAM") == ["spark-defaults.conf"]


@pytest.mark.parametrize(
    "line", ["{} {}", "{}={}", "{} = {}", "{}: {}", "  {}\t{}  ", "# x\n{} {}", '"{}" = "{}"', '"{}" : "{}",']
)
def test_every_way_of_writing_a_line_is_understood(node: Node, line: str) -> None:
    put(node, line.format("spark.azureml.trackingUri", TRACKING_URI) + "\n")

    assert sees(node, "MLFLOW_TRACKING_URI") == [TRACKING_URI]


def test_a_line_that_is_commented_out_counts_nothing(node: Node) -> None:
    put(node, f"#spark.azureml.trackingUri {TRACKING_URI}\n")

    assert sees(node, "MLFLOW_TRACKING_URI") == ["databricks"]


# Whom to trust -------------------------------------------------------------------------------------


def _by_another_user(node: Node) -> None:
    put(node, f"spark.azureml.trackingUri {TRACKING_URI}\n")
    assert node.run(["chown", "games", CUSTOM]).returncode == 0


def _writable_by_all(node: Node) -> None:
    put(node, f"spark.azureml.trackingUri {TRACKING_URI}\n", mode=0o666)


def _a_link(node: Node) -> None:
    put(node, f"spark.azureml.trackingUri {TRACKING_URI}\n", path="/opt/elsewhere.conf")
    assert node.run(["ln", "-s", "/opt/elsewhere.conf", CUSTOM], user="nobody").returncode == 0


def _a_pipe(node: Node) -> None:
    assert node.run(["mkfifo", "--mode=666", CUSTOM], user="nobody").returncode == 0


def _a_folder(node: Node) -> None:
    assert node.run(["mkdir", CUSTOM], user="nobody").returncode == 0


def _a_socket(node: Node) -> None:
    code = f"import socket; socket.socket(socket.AF_UNIX).bind({CUSTOM!r})"
    assert node.run(["/usr/bin/env", "python3", "-c", code], user="nobody").returncode == 0


def _a_link_to_itself(node: Node) -> None:
    assert node.run(["ln", "-s", CUSTOM, CUSTOM], user="nobody").returncode == 0


def _a_device(node: Node) -> None:
    assert node.run(["mknod", "--mode=666", CUSTOM, "c", "1", "5"]).returncode == 0  # /dev/zero


def _too_large(node: Node) -> None:
    put(node, f"spark.azureml.trackingUri {TRACKING_URI}\n")
    assert node.run(["truncate", "--size=8G", CUSTOM]).returncode == 0


def _no_text(node: Node) -> None:
    node.path(CUSTOM).write_bytes(b"\xff\x00\xfespark.azureml.\x00\n" * 100)


# What a file has no say in, and what is of another kind.
PLANTED = [_by_another_user, _writable_by_all, _a_link, _a_link_to_itself, _a_pipe, _a_folder, _a_socket]
PLANTED += [_a_device, _too_large, _no_text]


@pytest.mark.parametrize("plant", PLANTED)
def test_what_anybody_could_have_put_into_tmp_neither_counts_nor_stops_a_python(
    node: Node, plant: Callable[[Node], None]
) -> None:
    plant(node)

    assert sees(node, "MLFLOW_TRACKING_URI") == ["databricks"]


@pytest.mark.parametrize("plant", PLANTED)
def test_nor_does_it_take_a_python_off_azure_ml(configured: Node, plant: Callable[[Node], None]) -> None:
    plant(configured)

    for user in (None, "nobody"):
        assert sees(configured, "MLFLOW_TRACKING_URI", user=user) == [OTHER_URI]
    status = configured.run(["azureml-databricks", "node", "status"])
    assert status.stderr == ""
    assert OTHER_URI in status.stdout, status.stdout


def test_a_conf_that_cannot_be_counted_is_told_by_mlflow_and_changes_nothing_else(configured: Node) -> None:
    # Given a fault of ours that nobody foresaw, and a conf that makes a Python look
    put(configured, f"spark.azureml.trackingUri {TRACKING_URI}\n")
    (module,) = configured.path("/databricks/azureml-databricks/releases").glob("*/azureml_databricks/node")
    source, (compiled,) = module / "variables.py", module.glob("__pycache__/variables.*")
    whole, compiled_whole = source.read_text(), compiled.read_bytes()
    source.write_text(f"{whole}\n\ndef wanted_now():\n    raise RuntimeError('unforeseen')\n")
    compiled.unlink()

    # Then Pythons are where the node's own settings say, and the first use of MLflow says what is wrong
    assert sees(configured, "MLFLOW_TRACKING_URI") == [OTHER_URI]
    _, warned = mlflow_says(configured, "mlflow.search_experiments(max_results=1)")
    source.write_text(whole)
    compiled.write_bytes(compiled_whole)
    assert "azureml-databricks itself failed, and what the Spark conf says may not count: " in warned
    assert "RuntimeError('unforeseen')" in warned


def test_a_file_of_the_processs_own_user_counts(node: Node) -> None:
    put(node, f"spark.azureml.trackingUri {TRACKING_URI}\n")
    assert node.run(["chown", "nobody", CUSTOM]).returncode == 0

    assert sees(node, "MLFLOW_TRACKING_URI", user="nobody") == [TRACKING_URI]
    assert sees(node, "MLFLOW_TRACKING_URI") == ["databricks"]


def test_a_file_that_a_user_cannot_read_is_as_none(node: Node) -> None:
    put(node, f"spark.azureml.trackingUri {TRACKING_URI}\n", mode=0o600)

    assert sees(node, "MLFLOW_TRACKING_URI", user="nobody") == ["databricks"]


# What wins, and what is told -------------------------------------------------------------------------


def test_it_wins_over_variables_and_these_over_the_settings_file(tmp_path: Path) -> None:
    settings = (
        f'trackingUri = "{OTHER_URI}"\nexperiment = "of-the-file"\n[env]\nTEAM = "file"\nSITE = "file"\n'
    )
    bundle = build_bundle(tmp_path / "out", settings)
    with cluster_node(bundle, {"AZUREML_EXPERIMENT": "of-the-cluster"}) as node:
        if "system paths" in node.cannot:
            pytest.skip(node.cannot["system paths"])
        start(node)
        put(node, f"spark.azureml.trackingUri {TRACKING_URI}\nspark.azureml.env.TEAM conf\n")

        names = "MLFLOW_TRACKING_URI", "AZUREML_EXPERIMENT", "TEAM", "SITE"
        assert sees(node, *names) == [TRACKING_URI, "of-the-cluster", "conf", "file"]
        assert sees(
            node, *names, env={"AZUREML_TRACKING_URI": OTHER_URI, "TEAM": "mine", "SITE": "mine"}
        ) == [
            TRACKING_URI,
            "of-the-cluster",
            "conf",
            "mine",
        ]


def test_the_cloud_of_its_tracking_uri_is_no_clash_with_the_one_before(tmp_path: Path) -> None:
    china = TRACKING_URI.replace("api.azureml.ms", "api.ml.azure.cn")
    with cluster_node(build_bundle(tmp_path / "out", f'trackingUri = "{TRACKING_URI}"'), {}) as node:
        if "system paths" in node.cannot:
            pytest.skip(node.cannot["system paths"])
        start(node)
        put(node, f"spark.azureml.trackingUri {china}\n")

        names = "MLFLOW_TRACKING_URI", "AZUREML_CURRENT_CLOUD"
        assert sees(node, *names) == [china, "AzureChinaCloud"]
        inherited = {"MLFLOW_TRACKING_URI": TRACKING_URI, "AZUREML_CURRENT_CLOUD": "AzureCloud"}
        assert sees(node, *names, env=inherited) == [china, "AzureChinaCloud"]


def test_switched_off_there_nothing_is_set(node: Node) -> None:
    conf.write_file(node, "custom-spark.conf", {**GIVEN, "spark.azureml.enabled": "false"})

    assert sees(node, "MLFLOW_TRACKING_URI", "TEAM") == ["databricks", None]


def test_a_wrong_value_is_told_with_its_key_and_file(node: Node) -> None:
    put(node, "spark.azureml.trackingUri azureml://x\n")

    _, warned = mlflow_says(node, "mlflow.search_experiments(max_results=1)")

    assert f"spark.azureml.trackingUri (in {CUSTOM}) is 'azureml://x': " in warned
    assert sees(node, "MLFLOW_TRACKING_URI") == ["databricks"]


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("regoin", "is not a setting: did you mean spark.azureml.region?"),
        ("trackingURI", "is not a setting: did you mean spark.azureml.trackingUri?"),
        ("qqq", "is not a setting: the settings are enabled, mode, "),
        ("env.A.B", ": 'A.B' is no name for a variable"),
        ("env.AZUREML_MODE", "is the setting spark.azureml.mode: write that"),
    ],
)
def test_a_key_that_is_nobodys_is_told_once_and_all_else_works(node: Node, key: str, told: str) -> None:
    conf.write_file(node, "custom-spark.conf", {**GIVEN, f"spark.azureml.{key}": "x"})

    said, warned = mlflow_says(node, "for _ in range(3): print(mlflow.get_tracking_uri())")

    assert said.split() == [TRACKING_URI] * 3
    assert warned.count(f"spark.azureml.{key} (in {CUSTOM})") == 1
    assert told in warned


def test_a_secret_there_is_used_and_never_shown(node: Node) -> None:
    secret = {"spark.azureml.clientSecret": "s3cr3t", "spark.azureml.clientId": "an id"}
    conf.write_file(node, "custom-spark.conf", {**GIVEN, **secret, "spark.azureml.auth": "wrong"})

    said, warned = mlflow_says(node, "mlflow.search_experiments(max_results=1)")
    status = node.run(["azureml-databricks", "node", "status"])

    assert sees(node, "AZURE_CLIENT_SECRET") == [None]  # since one setting is wrong
    assert f"spark.azureml.auth (in {CUSTOM}) is 'wrong'" in warned
    assert "clientSecret: ***" in status.stdout
    assert "s3cr3t" not in said + warned + status.stdout + status.stderr
