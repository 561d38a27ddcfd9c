"""What a Python's start is given, and what it costs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from azureml_databricks.node.pip import is_pip as is_pip_argv
from tests.commands.measure import instructions_at_start
from tests.emulated.cluster import LOCATION, build_bundle, cluster_node, start
from tests.emulated.node import Node
from tests.emulated.workspace import GIVEN, SUBSCRIPTION, TRACKING_URI

CLUSTER = "/databricks/python3/bin/python"
BASE = "/usr/bin/python3.11"
OTHER_URI = TRACKING_URI.replace("/workspaces/ws", "/workspaces/other")


def dump(node: Node, expression: str, env: Mapping[str, str] | None = None, python: str = CLUSTER) -> Any:
    """Return what a fresh interpreter says of itself, with an empty stderr."""
    code = f"import sys; names = sorted(sys.modules); import json, os; print(json.dumps({expression}))"
    done = node.run([node.inside(python), "-c", code], env=env)
    assert done.stderr == ""
    return json.loads(done.stdout)


def mlflow_uris(node: Node, env: Mapping[str, str] | None = None) -> object:
    return dump(node, "[os.environ.get('MLFLOW_TRACKING_URI'), os.environ.get('MLFLOW_REGISTRY_URI')]", env)


@pytest.fixture(scope="module")
def node(bundle: Path) -> Iterator[Node]:
    with cluster_node(bundle, GIVEN) as node:
        start(node)
        yield node


# What is set ---------------------------------------------------------------------------------------


def test_with_nothing_configured_the_bundle_waits_for_a_spark_session_and_all_else_is_as_before(
    bundle: Path,
) -> None:
    with cluster_node(bundle, {}) as node:
        state = "[dict(os.environ), sys.path, names]"
        before = [dump(node, state, python=python) for python in (CLUSTER, BASE)]

        start(node)

        (release,) = node.path("/databricks/azureml-databricks/releases").iterdir()
        there = f"/databricks/azureml-databricks/releases/{release.name}"
        for state_before in before:
            state_before[1].append(node.inside(there))
        assert [dump(node, state, python=python) for python in (CLUSTER, BASE)] == before


def test_switched_off_everything_is_as_before(bundle: Path) -> None:
    with cluster_node(bundle, {"AZUREML_ENABLED": "false"}) as node:
        state = "[dict(os.environ), sys.path, names]"
        before = dump(node, state), dump(node, state, python=BASE)

        start(node)

        assert (dump(node, state), dump(node, state, python=BASE)) == before


def test_nothing_is_imported_that_a_bare_interpreter_has_not(bundle: Path) -> None:
    with cluster_node(bundle, GIVEN) as node:
        before = dump(node, "names"), dump(node, "names", python=BASE)

        start(node)

        assert (dump(node, "names"), dump(node, "names", python=BASE)) == before


@pytest.mark.parametrize("registry", ["", "databricks", "databricks-uc"])
def test_databricks_presets_give_way(node: Node, registry: str) -> None:
    env = {"MLFLOW_TRACKING_URI": "databricks", "MLFLOW_REGISTRY_URI": registry}

    assert mlflow_uris(node, env) == [TRACKING_URI, TRACKING_URI]


@pytest.mark.parametrize("choice", ["databricks://profile", "http://mlflow:5000", OTHER_URI])
def test_a_users_own_choice_stays(node: Node, choice: str) -> None:
    env = {"MLFLOW_TRACKING_URI": choice, "MLFLOW_REGISTRY_URI": choice}

    assert mlflow_uris(node, env) == [choice, choice]


@pytest.mark.parametrize(
    ("mode", "uris"),
    [
        ("full", [TRACKING_URI, TRACKING_URI]),
        ("tracking", [TRACKING_URI, "databricks-uc"]),
        ("registry", ["databricks", TRACKING_URI]),
    ],
)
def test_the_mode_says_what_goes_to_azure(bundle: Path, node: Node, mode: str, uris: list[str]) -> None:
    # Set for one process
    assert mlflow_uris(node, {"AZUREML_MODE": mode}) == uris
    # Set for the cluster
    with cluster_node(bundle, {**GIVEN, "AZUREML_MODE": mode}) as other:
        start(other)
        assert mlflow_uris(other) == uris


def test_with_tracking_only_an_unset_registry_does_not_follow_the_tracking_uri(node: Node) -> None:
    assert mlflow_uris(node, {"AZUREML_MODE": "tracking", "MLFLOW_REGISTRY_URI": ""}) == [
        TRACKING_URI,
        "databricks-uc",
    ]


def test_a_process_may_name_another_workspace(node: Node) -> None:
    assert mlflow_uris(node, {"AZUREML_TRACKING_URI": OTHER_URI}) == [OTHER_URI, OTHER_URI]


def test_a_process_may_be_left_out(node: Node) -> None:
    assert mlflow_uris(node, {"AZUREML_ENABLED": "false"}) == ["databricks", "databricks-uc"]


@pytest.mark.parametrize(
    ("env", "uris"),
    [
        ({"AZUREML_ENABLED": "false"}, ["databricks", "databricks-uc"]),
        ({"AZUREML_TRACKING_URI": OTHER_URI}, [OTHER_URI, OTHER_URI]),
        ({"AZUREML_MODE": "tracking"}, [TRACKING_URI, "databricks-uc"]),
        ({"AZUREML_MODE": "registry"}, ["databricks", TRACKING_URI]),
    ],
)
def test_so_may_a_child_that_inherits_what_we_exported(
    node: Node, env: dict[str, str], uris: list[str]
) -> None:
    names = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
    show = f"import json, os; print(json.dumps([os.environ[name] for name in {names}]))"
    code = (
        "import os, subprocess, sys; "
        f"subprocess.run([sys.executable, '-c', {show!r}], env={{**os.environ, **{env!r}}})"
    )

    done = node.run([node.inside(CLUSTER), "-c", code])

    assert (json.loads(done.stdout), done.stderr) == (uris, "")


def test_a_child_that_names_another_cloud_gets_that_clouds_login(node: Node) -> None:
    government = TRACKING_URI.replace("api.azureml.ms", "api.ml.azure.us")
    env = {"AZUREML_TRACKING_URI": government, "AZUREML_CURRENT_CLOUD": "AzureCloud"}

    assert dump(node, "os.environ['AZUREML_CURRENT_CLOUD']", env) == "AzureUSGovernment"


def test_variables_that_the_init_script_could_not_see_count_all_the_same(bundle: Path) -> None:
    # Given runtime 19 in standard access mode, where the script sees none of the cluster's variables
    with cluster_node(bundle, {}) as node:
        start(node)

        # When a process has them
        parts = {
            "AZUREML_SUBSCRIPTION_ID": SUBSCRIPTION,
            "AZUREML_RESOURCE_GROUP": "rg",
            "AZUREML_WORKSPACE_NAME": "ws",
            "AZUREML_REGION": "westeurope",
        }

        # Then it is ours
        assert mlflow_uris(node, parts) == [TRACKING_URI, TRACKING_URI]


def test_the_settings_file_reaches_every_process_and_overrides_no_choice(tmp_path: Path) -> None:
    settings = (
        f'trackingUri = "{TRACKING_URI}"\ntenantId = "example.com"\nasyncLogging = true\n'
        '[env]\nTEAM = "churn"\n'
    )
    with cluster_node(build_bundle(tmp_path / "out", settings), {}) as node:
        start(node)
        asynchronous = "MLFLOW_ENABLE_ASYNC_LOGGING"
        names = ("TEAM", "AZURE_TENANT_ID", asynchronous, "AZUREML_CURRENT_CLOUD", "MLFLOW_TRACKING_URI")
        expression = f"[os.environ.get(name) for name in {names!r}]"

        assert dump(node, expression) == ["churn", "example.com", "true", "AzureCloud", TRACKING_URI]
        ours = dump(node, expression, {"TEAM": "mine", asynchronous: "0"})
        assert ours == ["mine", "example.com", "0", "AzureCloud", TRACKING_URI]


def test_an_empty_cloud_which_the_plugin_dies_of_is_filled_in(node: Node) -> None:
    expression = "os.environ['AZUREML_CURRENT_CLOUD']"

    assert dump(node, expression, {"AZUREML_CURRENT_CLOUD": ""}) == "AzureCloud"


@pytest.fixture(scope="module")
def with_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node whose settings are a file beside the archive."""
    bundle = build_bundle(tmp_path_factory.mktemp("bundle") / "out", f'trackingUri = "{TRACKING_URI}"')
    with cluster_node(bundle, {}) as node:
        yield node


@pytest.mark.parametrize(
    "damage",
    [
        "{",
        "[]",
        '{"mode": 1}',
        '{"trackingURI": "x"}',
        '{"trackingUri": "azureml://x"}',
        f'{{"trackingUri": "{TRACKING_URI}", "mode": "both"}}',
        f'{{"trackingUri": "{TRACKING_URI}", "env.A=B": "x"}}',
        f'{{"trackingUri": "{TRACKING_URI}", "env.A": "\\u0000"}}',
        f'{{"trackingUri": "{TRACKING_URI}", "clientSecret": "s3cr3t"}}',
    ],
)
def test_a_settings_file_spoilt_by_hand_leaves_every_python_as_it_was(
    with_settings: Node, damage: str
) -> None:
    with_settings.path(f"{LOCATION}/azureml-databricks.json").write_text(damage)

    done = with_settings.run_init_script(f"{LOCATION}/azureml-databricks.sh")

    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert "s3cr3t" not in done.stderr
    assert mlflow_uris(with_settings) == ["databricks", "databricks-uc"]
    assert dump(with_settings, "__import__('mlflow').get_tracking_uri()") == "databricks"


# What it costs -------------------------------------------------------------------------------------


@pytest.mark.skipif(
    not shutil.which("valgrind"), reason="valgrind, which counts instructions, is not installed"
)
def test_a_start_takes_at_most_two_per_cent_more_instructions(bundle: Path) -> None:
    paths = {"PYTHONPATH": "/databricks/spark/python:/databricks/python_shell"}
    starts: list[tuple[str, dict[str, str]]] = [(BASE, {}), (BASE, paths), (CLUSTER, {}), (CLUSTER, paths)]
    with cluster_node(bundle, GIVEN) as node:
        bare = [instructions_at_start(node, python, env=env) for python, env in starts]

        start(node)

        for (python, env), before in zip(starts, bare, strict=True):
            assert instructions_at_start(node, python, env=env) <= before * 1.02, (python, env)


def test_nobody_looks_into_the_bundles_folder_before_something_of_it_is_imported(node: Node) -> None:
    is_listed = "'_path_cache' in vars(sys.path_importer_cache[sys.azureml_databricks])"

    for env in {}, {"PYTHONPATH": "/databricks/spark/python"}:
        assert dump(node, is_listed, env, python=BASE) is False
    assert dump(node, f"[__import__('azureml.mlflow') and None, {is_listed}]") == [None, True]


def test_that_folder_is_one_of_the_path_like_any_other(node: Node) -> None:
    code = """
import importlib, pkgutil, sys
importlib.invalidate_caches()
print(*sorted(it.name for it in pkgutil.iter_modules([sys.azureml_databricks])))
import azureml_databricks, nothing_there
"""

    done = node.run([node.inside(CLUSTER), "-c", code])

    assert "azureml_databricks" in done.stdout.split()
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'nothing_there'"


def test_an_idle_interpreter_gains_less_than_300_kilobytes(bundle: Path) -> None:
    # All of it counts, also what is shared with other processes: they come and go. The least of several: a
    # kernel moves things about.
    say = "print(int(open('/proc/self/smaps_rollup').read().partition('Rss:')[2].split()[0]))"
    with cluster_node(bundle, GIVEN) as node:
        command = [node.inside(CLUSTER), "-c", say]
        before = min(int(node.run(command).stdout) for _ in range(5))

        start(node)

        assert min(int(node.run(command).stdout) for _ in range(5)) < before + 300


@pytest.mark.parametrize(
    ("command", "is_pip"),
    [
        (["-m", "pip", "freeze"], True),
        (["-I", "-W", "ignore", "-m", "pip", "check"], True),
        (["/databricks/python3/bin/pip", "list"], True),
        (["-u", "/databricks/python3/bin/pip3.11", "list"], True),
        (["train.py", "-m", "pip"], False),
        (["-c", "print()", "pip"], False),
        (["/jobs/pipeline.py"], False),
        (["-m", "piper"], False),
        ([], False),
    ],
)
def test_pip_is_known_by_how_it_was_started(command: list[str], is_pip: bool) -> None:
    assert is_pip_argv(["python", *command]) is is_pip


def test_pip_sees_what_the_runtime_ships_and_a_script_sees_the_bundle(node: Node) -> None:
    python = node.inside("/databricks/python3/bin/python")
    import_it = "import azureml.mlflow"

    for pip in (["-m", "pip"], [node.inside("/databricks/python3/bin/pip")]):
        assert "azureml" not in node.run([python, *pip, "freeze"]).stdout
    assert node.run([python, "-c", import_it]).stderr == ""
