"""MLflow on a node under our policy, with no line of Azure in the code."""

from __future__ import annotations

import json
import subprocess
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.commands import manual_way
from tests.emulated import databricks_context
from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import (
    SCRIPT,
    build_bundle,
    cluster_node,
    forget_tokens,
    node_in_service,
    start,
)
from tests.emulated.node import Node
from tests.emulated.preloaded import Preloaded, on_node

CLUSTER = "/databricks/python3/bin/python"
LOGIN = "login.microsoftonline.com"


@pytest.fixture(scope="module")
def node(bundle: Path, _azure: EmulatedAzure) -> Iterator[Node]:
    with node_in_service(bundle, _azure) as node:
        yield node


@pytest.fixture(scope="module")
def mlflow(node: Node) -> Iterator[Preloaded]:
    """Runs programs on the node that have their imports behind them."""
    with on_node(node) as python:
        yield python


@pytest.fixture(autouse=True)
def _no_token_yet(node: Node) -> None:
    forget_tokens(node.path("/dev/shm"))


def run(
    node: Node, code: str, *, flags: tuple[str, ...] = (), env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    source = textwrap.dedent(code)
    return node.run([node.inside(CLUSTER), *flags, "-c", source], env=env, cwd="/tmp")


def answer(done: subprocess.CompletedProcess[str]) -> object:
    """Return what was printed as JSON, last."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


URIS = "import mlflow, json; print(json.dumps([mlflow.get_tracking_uri(), mlflow.get_registry_uri()]))"


# Import --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [(), ("-I",), ("-E",), ("-s",)])
def test_the_first_line_after_import_has_both_uris(
    node: Node, azure: EmulatedAzure, flags: tuple[str, ...]
) -> None:
    done = run(node, URIS, flags=flags)

    assert answer(done) == [azure.workspace.tracking_uri] * 2
    assert done.stderr == ""
    assert len(azure.journal) == 0


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_so_has_every_process_of_multiprocessing(node: Node, azure: EmulatedAzure, method: str) -> None:
    script = node.path("/databricks") / "multi_uris.py"
    script.write_text(
        "import json, multiprocessing, sys\n"
        "def show():\n    import mlflow\n"
        "    print(json.dumps([mlflow.get_tracking_uri(), mlflow.get_registry_uri()]), flush=True)\n"
        "if __name__ == '__main__':\n"
        f"    child = multiprocessing.get_context({method!r}).Process(target=show)\n"
        "    child.start(); child.join()\n"
    )

    done = node.run([node.inside(CLUSTER), node.inside("/databricks/multi_uris.py")])

    assert answer(done) == [azure.workspace.tracking_uri] * 2


def test_a_notebook_has_both_uris_and_no_extra_cell(node: Node, azure: EmulatedAzure) -> None:
    notebook = node.run_notebook([URIS])

    assert json.loads(notebook.cells[0].outputs[0].text) == [azure.workspace.tracking_uri] * 2


# What logs in, and what sends files.
LOGS_IN = {"azure.core", "azure.identity", "msal"}
SENDS_FILES = {"azure.core", "azure.storage", "msrest", "isodate", "oauthlib"}
FIRST_RUN = f"""
    import json, sys
    heavy = {sorted(LOGS_IN | SENDS_FILES)!r}
    def imported():
        return [name for name in heavy if name in sys.modules]
    steps = []
    import mlflow
    steps.append([name for name in sys.modules if name.startswith(("azureml.", "azure.", "cryptography"))])
    mlflow.set_experiment("imports")
    steps.append(imported())
    with mlflow.start_run():
        mlflow.log_metric("a", 1)
        steps.append(imported())
        mlflow.log_text("a", "a.txt")
        steps.append(imported())
    print(json.dumps(steps))
"""


def test_nothing_is_imported_before_it_is_used(node: Node) -> None:
    # When a user's first process logs in
    first = answer(run(node, FIRST_RUN))

    # Then it imports what that takes, and not what sends files until it sends one
    assert isinstance(first, list)
    assert [set(step) for step in first] == [set(), LOGS_IN, LOGS_IN, LOGS_IN | SENDS_FILES]

    # When another has the token that the first has left
    second = answer(run(node, FIRST_RUN))

    # Then it imports nothing of Azure until it sends a file
    assert isinstance(second, list)
    assert [set(step) for step in second] == [set(), set(), set(), LOGS_IN | SENDS_FILES]


def test_the_plugins_own_package_has_all_of_its_names_when_they_are_asked_for(node: Node) -> None:
    ask = "import mlflow; mlflow.set_experiment('names'); from azureml.mlflow import get_portal_url as it"
    other = "import azureml.mlflow as plugin, json; names = set(vars(plugin))"
    code = f"{other}; print(json.dumps(sorted(names)))"
    whole = answer(run(node, code))

    late = answer(run(node, f"{ask}\n{code}"))

    assert isinstance(late, list)
    assert isinstance(whole, list)
    assert set(late) >= set(whole)


def test_what_the_runtime_presets_later_is_put_right_on_import(node: Node, azure: EmulatedAzure) -> None:
    late = "import os; os.environ['MLFLOW_TRACKING_URI'] = os.environ['MLFLOW_REGISTRY_URI'] = 'databricks'\n"

    assert answer(run(node, late + URIS)) == [azure.workspace.tracking_uri] * 2


def test_a_users_own_choice_stays(node: Node, azure: EmulatedAzure) -> None:
    own = "import os; os.environ['MLFLOW_TRACKING_URI'] = 'sqlite:///own.db'\n"

    assert answer(run(node, own + URIS)) == ["sqlite:///own.db", azure.workspace.tracking_uri]


# Use -----------------------------------------------------------------------------------------------

TRAIN = """
    import json, mlflow, numpy, os
    from sklearn.linear_model import LogisticRegression
    with mlflow.start_run() as run:
        mlflow.log_param("penalty", "l2")
        mlflow.log_metric("accuracy", 0.5)
        mlflow.log_text("hello", "notes/hello.txt")
        model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        mlflow.sklearn.log_model(model, "model", registered_model_name="hooked")
    client = mlflow.MlflowClient()
    version = client.get_latest_versions("hooked")[0].version
    loaded = mlflow.pyfunc.load_model(f"models:/hooked/{version}")
    finished = client.get_run(run.info.run_id)
    print(json.dumps({
        "predicted": loaded.predict(numpy.array([[0.0], [1.0]])).tolist(),
        "params": finished.data.params,
        "metrics": finished.data.metrics,
        "artifacts": sorted(item.path for item in client.list_artifacts(run.info.run_id)),
        "experiment": client.get_experiment(run.info.experiment_id).name,
        "source": client.get_model_version("hooked", version).run_id == run.info.run_id,
    }))
"""

TRAINED = {
    "predicted": [0, 1],
    "params": {"penalty": "l2"},
    "metrics": {"accuracy": 0.5},
    "artifacts": ["model", "notes"],
    "experiment": "churn",
    "source": True,
}


def test_a_run_a_model_and_a_registered_model_with_one_login(node: Node, azure: EmulatedAzure) -> None:
    done = run(node, TRAIN, env={"AZUREML_EXPERIMENT": "churn"})

    assert answer(done) == TRAINED
    assert len(azure.journal.of(LOGIN, "/token")) == 1
    assert azure.journal.of("management.azure.com") == []
    assert azure.journal.refused == []


@pytest.mark.thorough
def test_it_is_the_same_on_the_ml_variant_of_the_runtime(bundle: Path, azure: EmulatedAzure) -> None:
    with node_in_service(bundle, azure, ml=True) as node:
        done = run(node, TRAIN.replace("hooked", "ml-variant"), env={"AZUREML_EXPERIMENT": "ml"})

    assert answer(done) == {**TRAINED, "experiment": "ml"}
    assert len(azure.journal.of(LOGIN, "/token")) == 1
    assert azure.journal.refused == []


def test_the_manual_way_on_the_same_azure_comes_to_the_same(bundle: Path, azure: EmulatedAzure) -> None:
    # Given a node without us, with the manual way's libraries, and its cell before the same code
    with cluster_node(bundle, {}, azure=azure) as plain:
        manual_way.install(plain)
        code = f"{manual_way.dbutils(azure)}{manual_way.CELL}mlflow.set_experiment('manual')\n"
        python = plain.inside(f"{plain.notebook_environment()}/bin/python")

        # The cell sets no registry URI: models get to Azure ML only where the runtime presets none.
        without_preset = ["env", "--unset=MLFLOW_REGISTRY_URI", python]
        code += textwrap.dedent(TRAIN.replace("hooked", "manual"))
        done = plain.run([*without_preset, "-c", code])

    # Then it works too, with requests to ARM that ours does without
    assert answer(done) == {**TRAINED, "experiment": "manual"}
    assert azure.journal.of("management.azure.com")


def test_a_notebook_that_still_has_the_manual_ways_cell_and_libraries_works(
    bundle: Path, azure: EmulatedAzure
) -> None:
    with node_in_service(bundle, azure) as node:
        manual_way.install(node)
        code = f"{manual_way.dbutils(azure)}{manual_way.CELL}mlflow.set_experiment('both')\n"
        code += textwrap.dedent(TRAIN.replace("hooked", "both"))
        code += (
            "assert type(mlflow.MlflowClient()._tracking_client.store).__name__ == 'WorkspaceTrackingStore'"
        )
        python = node.inside(f"{node.notebook_environment()}/bin/python")

        done = node.run([python, "-c", code])

    assert answer(done) == {**TRAINED, "experiment": "both"}


# Experiments ---------------------------------------------------------------------------------------


def experiment_of(done: subprocess.CompletedProcess[str]) -> str:
    name = answer(done)
    assert isinstance(name, str)
    return name


WHERE = """
with mlflow.start_run() as run:
    pass
print(json.dumps(mlflow.get_experiment(run.info.experiment_id).name))
"""


def test_a_notebook_that_sets_none_logs_to_one_of_its_own_name(node: Node, mlflow: Preloaded) -> None:
    context = databricks_context.put(
        node, isInNotebook=True, notebookPath="/Users/ada@example.com/Churn (v2)", notebookId="42"
    )

    for _ in ("first session", "second session"):
        assert experiment_of(mlflow.run("import json, mlflow\n" + WHERE, env=context)) == "Churn (v2)"


def test_a_job_that_sets_none_logs_to_one_of_its_id(node: Node, mlflow: Preloaded) -> None:
    context = databricks_context.put(node, isInNotebook=False, isInJob=True, jobId="77")

    assert experiment_of(mlflow.run("import json, mlflow\n" + WHERE, env=context)) == "job-77"


def test_the_experiment_setting_names_it_for_all(node: Node, mlflow: Preloaded) -> None:
    context = databricks_context.put(
        node, isInNotebook=True, notebookPath="/Users/a/b", notebookId="1", user="ada@example.com"
    )
    for setting, used in (("team churn", "team churn"), ("{user}-{notebook}", "ada-example-com-b")):
        env = {**context, "AZUREML_EXPERIMENT": setting}

        assert experiment_of(mlflow.run("import json, mlflow\n" + WHERE, env=env)) == used


def test_paths_that_end_alike_stay_apart_where_the_setting_says_so(mlflow: Preloaded) -> None:
    code = """
        import json, mlflow
        ids = [mlflow.set_experiment(path).experiment_id for path in ("/Users/ada/same", "/Users/bob/same")]
        print(json.dumps([len(set(ids)), *(mlflow.get_experiment(each).name for each in ids)]))
        """

    assert answer(mlflow.run(code)) == [1, "same", "same"]
    apart = answer(mlflow.run(code, env={"AZUREML_EXPERIMENT_PATHS": "whole"}))
    assert apart == [2, "/Users/ada/same", "/Users/bob/same"]


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("churn_2-b", "churn_2-b"),
        ("/Users/ada@example.com/churn", "churn"),
        ("/Shared/Kündigung 1", "Kündigung 1"),
        ("Kundigung-1", "Kundigung-1"),
        ("日本語", "日本語"),
        ("a" * 300, "a" * 300),
    ],
)
def test_a_name_that_the_user_sets_is_kept(mlflow: Preloaded, given: str, used: str) -> None:
    code = f"import json, mlflow\nmlflow.set_experiment({given!r})\n"

    for _ in ("it is made", "it is found"):
        assert experiment_of(mlflow.run(code + WHERE)) == used


# Provenance ----------------------------------------------------------------------------------------

TAGS = """
import json, mlflow
with mlflow.start_run() as run:
    pass
print(json.dumps(mlflow.get_run(run.info.run_id).data.tags))
"""


def provenance(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    tags = answer(done)
    assert isinstance(tags, dict)
    return {tag.partition(".")[2]: value for tag, value in tags.items() if tag.startswith("databricks.")}


def test_a_notebooks_run_says_where_it_came_from_and_who_ran_it(node: Node, mlflow: Preloaded) -> None:
    context = databricks_context.put(
        node,
        **{"isInNotebook": True, "notebookPath": "/Users/ada@example.com/churn", "notebookId": "42"},
        user="ada@example.com",
        apiUrl="https://adb-1.azuredatabricks.net",
        workspaceId="1",
        workspaceUrl="https://adb-1.azuredatabricks.net",
    )

    done = mlflow.run(TAGS, env=context)

    assert provenance(done) == {
        "workspace_url": "https://adb-1.azuredatabricks.net",
        "cluster_id": "0101-120000-emulated",
        "cluster_name": "emulated",
        "notebook_path": "/Users/ada@example.com/churn",
        "runtime_version": "15.4",
        "user": "ada@example.com",
    }
    # MLflow's own tags stay, and its user is no longer the node's account
    tags = answer(done)
    assert isinstance(tags, dict)
    assert tags["mlflow.databricks.notebookID"] == "42"
    assert tags["mlflow.user"] == "ada@example.com"


def test_a_jobs_run_says_which_job_and_run(node: Node, mlflow: Preloaded) -> None:
    context = databricks_context.put(node, isInNotebook=False, isInJob=True, jobId="77", idInJob="5")

    found = provenance(mlflow.run(TAGS, env=context))

    assert (found["job_id"], found["job_run_id"]) == ("77", "5")


def test_a_process_without_a_context_says_what_it_knows(mlflow: Preloaded) -> None:
    assert provenance(mlflow.run(TAGS)) == {
        "cluster_id": "0101-120000-emulated",
        "cluster_name": "emulated",
        "runtime_version": "15.4",
    }


# Logging in ----------------------------------------------------------------------------------------

LOG = "import mlflow\nwith mlflow.start_run():\n    mlflow.log_metric('m', 1)"


def login_error(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line, which must be all that is said of the login."""
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "log in" in line]
    assert len(lines) == 1, done.stderr
    assert lines[0] == done.stderr.splitlines()[-1]
    return lines[0].partition(": ")[2]


def test_a_wrong_secret_is_told(mlflow: Preloaded, azure: EmulatedAzure) -> None:
    done = mlflow.run(LOG, env={"AZURE_CLIENT_SECRET": "wr0ng"})

    assert login_error(done) == (
        "cannot log in to Azure: the secret in AZURE_CLIENT_SECRET is wrong (a secret's value, not its ID, "
        "is needed); put the right one into the secret scope (AADSTS7000215)"
    )
    assert "wr0ng" not in done.stdout + done.stderr
    assert len(azure.journal.of(LOGIN, "/token")) == 1


def test_a_wrong_tenant_is_told(mlflow: Preloaded) -> None:
    tenant = "99999999-0000-0000-0000-000000000000"

    assert login_error(mlflow.run(LOG, env={"AZURE_TENANT_ID": tenant})) == (
        f"cannot log in to Azure: AZURE_TENANT_ID is '{tenant}', which is no tenant of this cloud; take the "
        "directory (tenant) ID from the app registration's page (Unable to get authority configuration)"
    )


def test_a_wrong_client_is_told(mlflow: Preloaded, azure: EmulatedAzure) -> None:
    client = "99999999-0000-0000-0000-000000000000"

    assert login_error(mlflow.run(LOG, env={"AZURE_CLIENT_ID": client})) == (
        f"cannot log in to Azure: AZURE_CLIENT_ID is '{client}', which tenant '{azure.principal.tenant_id}' "
        "does not know; take the application (client) ID from the app registration's page (AADSTS700016)"
    )


def test_a_missing_variable_is_told_and_azure_is_not_asked(mlflow: Preloaded, azure: EmulatedAzure) -> None:
    done = mlflow.run(LOG, env={"AZURE_CLIENT_SECRET": "", "AZURE_TENANT_ID": ""})

    assert login_error(done) == (
        "cannot log in to Azure: AZURE_TENANT_ID, AZURE_CLIENT_SECRET not set; the cluster policy sets the "
        "service principal's variables, as spark_env_vars with {{secrets/scope/key}}"
    )
    assert len(azure.journal) == 0


@pytest.mark.parametrize(
    "code",
    [
        # The same, with less patience than the five seconds of each try.
        f"from azureml_databricks.bridge import logins; logins._LIMITS.update(read_timeout=1)\n{LOG}",
        pytest.param(LOG, marks=pytest.mark.thorough),
    ],
    ids=["soon", "in time"],
)
def test_a_login_host_that_hangs_is_given_up(mlflow: Preloaded, azure: EmulatedAzure, code: str) -> None:
    azure.faults.add(host=LOGIN, hang=True)

    said = login_error(mlflow.run(code))

    assert said.startswith(
        f"cannot log in to Azure: {LOGIN} cannot be reached through the proxy in HTTPS_PROXY; "
        "open it for the cluster's network ("
    )
    # Two tries, each with a limit: that is what bounds the wait.
    assert len(azure.journal.of(LOGIN)) == 2


def test_a_network_that_refuses_is_told(mlflow: Preloaded) -> None:
    nowhere = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")

    assert f"{LOGIN} cannot be reached through the proxy" in login_error(mlflow.run(LOG, env=nowhere))


def test_a_secret_that_is_put_right_in_the_notebook_counts_at_once(mlflow: Preloaded) -> None:
    code = """
        import json, mlflow, os
        right = os.environ.pop("AZURE_CLIENT_SECRET")
        for secret in ("", "wrong", right):
            os.environ["AZURE_CLIENT_SECRET"] = secret
            try:
                mlflow.search_experiments()
                print(json.dumps("in"))
            except mlflow.MlflowException as error:
                print(error.message)
        """

    done = mlflow.run(code)

    assert answer(done) == "in"
    assert done.stdout.count("cannot log in to Azure") == 2


def test_a_tenant_that_can_be_none_is_told(mlflow: Preloaded) -> None:
    said = login_error(mlflow.run(LOG, env={"AZURE_TENANT_ID": "not a tenant!"}))

    # It could be the secret, were the keys swapped: it is not shown.
    assert said.startswith("cannot log in to Azure: AZURE_TENANT_ID is ***: ")
    assert said.endswith("AZURE_TENANT_ID is no ID: are the keys in the secret scope swapped?")


def test_no_role_in_the_workspace_is_told_by_azure(mlflow: Preloaded, azure: EmulatedAzure) -> None:
    stranger = {
        "AZURE_CLIENT_ID": azure.stranger.client_id,
        "AZURE_CLIENT_SECRET": azure.stranger.client_secret,
    }

    done = mlflow.run(LOG, env=stranger)

    assert done.returncode == 1
    assert "does not have authorization to perform action" in done.stderr.splitlines()[-1]


# A wrong setting -----------------------------------------------------------------------------------

LOG_ELSEWHERE = LOG.replace("import mlflow", "import mlflow; mlflow.set_tracking_uri('/tmp/mlruns')")
WRONG = {"AZUREML_TRACKING_URI": "azureml://x"}
SAID = (
    "AZUREML_TRACKING_URI (a variable of this process) is 'azureml://x': no /subscriptions/... in it; "
    "take it from the workspace's overview page (MLflow tracking URI)"
)


def test_with_warn_a_wrong_setting_is_told_once_at_first_use_and_all_else_works(node: Node) -> None:
    imported = run(node, "import mlflow; print(mlflow.get_tracking_uri())", env=WRONG)
    used = run(node, LOG_ELSEWHERE, env=WRONG)

    assert (imported.stdout, imported.stderr) == ("databricks\n", "")
    assert used.returncode == 0, used.stderr
    assert used.stderr.count(SAID) == 1
    assert "not connected to Azure Machine Learning" in used.stderr


def test_with_fail_mlflow_raises(node: Node) -> None:
    done = run(node, LOG, env={**WRONG, "AZUREML_ON_ERROR": "fail"})

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"mlflow.exceptions.MlflowException: MLflow is not connected to Azure Machine Learning: {SAID}"
    )


def test_a_settings_file_spoilt_by_hand_is_told_too(tmp_path: Path) -> None:
    spoilt = build_bundle(tmp_path / "out", 'onError = "warn"')
    (spoilt / "azureml-databricks.json").write_text('{"experment": "x"}')
    with cluster_node(spoilt, {}) as node:
        assert node.run_init_script(SCRIPT).returncode == 0

        done = run(node, LOG_ELSEWHERE)

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("is not a setting: did you mean experiment?") == 1


def test_on_error_of_the_settings_file_counts_for_mlflow(tmp_path: Path) -> None:
    settings = build_bundle(tmp_path / "out", 'onError = "fail"')
    with cluster_node(settings, {}) as node:
        start(node)

        done = run(node, LOG, env=WRONG)

    assert done.stderr.splitlines()[-1].endswith(SAID)
