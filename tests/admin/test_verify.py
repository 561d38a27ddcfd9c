"""Verify: a model is logged, registered and loaded on a cluster that is really booted."""

from __future__ import annotations

import io
import json
import re
import signal
from types import SimpleNamespace
from typing import Any

import pytest
from databricks.sdk.errors import BadRequest
from databricks.sdk.service.compute import ClusterLogConf, State, VolumesStorageInfo
from databricks.sdk.service.jobs import RunResultState

from azureml_databricks.admin.commands import verify
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.objects import demands, init_script_logs, storage
from azureml_databricks.admin.objects.record import LOGS
from azureml_databricks.admin.objects.release import SCRIPT
from tests.admin.conftest import LOCATION, Admin
from tests.emulated.databricks import access_modes, started_cluster
from tests.emulated.databricks.allowlists import Allowlists
from tests.emulated.databricks.errors import ApiError


@pytest.fixture
def on_azure(deployed: Admin) -> Admin:
    """An admin whose clusters reach the emulated Azure."""
    deployed.databricks.azure = deployed.azure
    return deployed


def clusters_are_gone(admin: Admin) -> bool:
    client = admin.databricks.cluster_client(admin.databricks.admin)
    return all(it.state == State.TERMINATED for it in client.clusters.list())


def test_the_doctor_finds_a_cluster_under_the_policy_well(on_azure: Admin) -> None:
    done = on_azure.run("verify")

    # In a log it is told how far it is, once
    assert done.returncode == 0
    assert done.progress[-1].startswith("terminated: ")
    assert (len(done.progress), done.stderr) == (len(set(done.progress)), "")
    rows = [re.split(r" {2,}", line) for line in done.stdout.splitlines()]
    assert rows[1:3] == [["On a cluster under the policy"], ["part", "what", "result", "detail"]]
    results = {(part, what): result for part, what, result, _ in rows[3:]}
    assert results.keys() >= {
        ("login", "service-principal"),
        ("workspace", "forecasting"),
        ("round trip", "run"),
        ("round trip", "artifact"),
        ("round trip", "registered model"),
        ("clean-up", "deleted"),
    }
    assert set(results.values()) == {"ok", "not tried"}
    assert clusters_are_gone(on_azure)


def test_what_is_wrong_on_the_cluster_is_told_with_its_cause_and_what_to_do(on_azure: Admin) -> None:
    client = on_azure.databricks.cluster_client(on_azure.databricks.admin)
    client.secrets.put_secret("azureml", "clientSecret", string_value="wr0ng")

    done = on_azure.run("verify")

    assert done.returncode == 1
    assert "wr0ng" not in done.stdout
    rows = [re.split(r" {2,}", line) for line in done.stdout.splitlines()]
    cause = "the secret in AZURE_CLIENT_SECRET is wrong (a secret's value, not its ID, is needed)"
    assert ["login", "service-principal", "wrong", f"{cause} (AADSTS7000215)"] in rows
    assert rows[-3:] == [
        ["What to do"],
        ["part", "what", "advice"],
        ["login", "service-principal", "put the right one into the secret scope"],
    ]


def test_a_cluster_on_which_the_init_script_gave_up_is_told(on_azure: Admin) -> None:
    # Given a release whose archive somebody has spoilt
    client = on_azure.databricks.cluster_client(on_azure.databricks.admin)
    (release,) = [it for it in client.files.list_directory_contents(LOCATION) if it.is_directory]
    archive = next(
        it.path
        for it in client.files.list_directory_contents(str(release.path))
        if it.path and it.path.endswith(".tar.gz")
    )
    client.files.upload(archive, io.BytesIO(b"spoilt"), overwrite=True)

    done = on_azure.run("verify", "--json")

    (finding,) = json.loads(done.stdout)["findings"]
    assert done.returncode == 1
    assert finding["detail"].startswith("none: the init script put nothing into service")


def test_a_cluster_that_does_not_start_says_why(on_azure: Admin) -> None:
    client = on_azure.databricks.cluster_client(on_azure.databricks.admin)
    client.secrets.delete_secret("azureml", "clientSecret")

    done = on_azure.run("verify")

    assert done.returncode == 1
    assert done.stderr.startswith("Error: the cluster did not start: ")
    assert "(see https://adb-" in done.stderr
    assert "Secret does not exist with scope: azureml and key: clientSecret" in done.stderr
    assert clusters_are_gone(on_azure)


def test_stopped_by_hand_it_takes_its_cluster_along(on_azure: Admin) -> None:
    followed = on_azure.databricks.faults.add(path="jobs/runs/get$", times=1)
    running = on_azure.run.start("verify")
    assert followed.hit.wait(timeout=600)
    running.program.send_signal(signal.SIGINT)
    done = running.done()

    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "Aborted!")
    on_azure.databricks.runs.wait()
    client = on_azure.databricks.cluster_client(on_azure.databricks.admin)
    (run,) = client.jobs.list_runs()
    assert run.state
    assert run.state.result_state == RunResultState.CANCELED
    assert clusters_are_gone(on_azure)


def test_a_user_who_picks_the_policy_needs_nothing_else(on_azure: Admin) -> None:
    databricks = on_azure.databricks
    ann = databricks.user("ann2@contoso.com", groups=["data-scientists"])
    (policy,) = databricks.cluster_client(databricks.admin).cluster_policies.list()
    assert policy.policy_id

    with started_cluster(
        databricks, policy.policy_id, who=ann, azure=on_azure.azure, node_type_id="Standard_DS3_v2"
    ) as node:
        python = node.inside("/databricks/python3/bin/python")
        code = "import mlflow; mlflow.set_experiment('by-ann'); mlflow.start_run(); mlflow.log_metric('x', 1)"
        done = node.run([python, "-c", code])

    assert done.returncode == 0, done.stderr
    assert on_azure.azure.journal.of("*.api.azureml.ms", "runs/log-batch")


def test_its_cluster_asks_for_nothing_that_runtime_19_restricts() -> None:
    of_19 = {"spark_version": "19.x-scala2.13", "data_security_mode": "DATA_SECURITY_MODE_STANDARD"}

    access_modes.check({**of_19, **demands.nested(demands.SINGLE_NODE)}, Allowlists())

    with pytest.raises(ApiError, match="is restricted"):
        access_modes.check({**of_19, "spark_conf": {"spark.executorEnv.A": "b"}}, Allowlists())


def test_an_init_script_that_fails_is_told_with_its_event(on_azure: Admin) -> None:
    # Given clusters that are not to start if something is wrong, and something that is wrong
    on_azure.write(settings='onError = "fail"')
    on_azure.run_or_fail("deploy", "--yes")
    client = on_azure.databricks.cluster_client(on_azure.databricks.admin)
    (policy,) = client.cluster_policies.list()
    release = re.findall(rf"{LOCATION}/[0-9a-f]{{12}}", policy.definition or "")[0]
    for it in client.files.list_directory_contents(release):
        if it.path and it.path.endswith(".tar.gz"):
            client.files.upload(it.path, io.BytesIO(b"spoilt"), overwrite=True)

    done = on_azure.run("verify")

    assert done.returncode == 1
    told = done.stderr.splitlines()
    assert (
        "failed: Script exit status is non-zero; event INIT_SCRIPTS_FINISHED: FAILED_EXECUTION (see"
        in told[0]
    )
    # And with what the script has said, of which nothing stays
    assert all(it.startswith("  azureml-databricks: ") for it in told[1:]), told
    assert any("SHA-256" in it for it in told[1:])
    assert LOGS not in {it.name for it in client.files.list_directory_contents(LOCATION)}


def test_the_last_lines_of_the_script_are_found_wherever_the_cluster_delivers_its_logs(
    deployed: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a cluster whose logs go where its policy says, where another script's are, too
    monkeypatch.setattr(init_script_logs, "PAUSES", [0, 0])
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    conf = ClusterLogConf(volumes=VolumesStorageInfo(f"dbfs:{LOCATION}/theirs"))
    made = client.clusters.create(
        "15.4.x-scala2.12", node_type_id="small", num_workers=1, cluster_log_conf=conf
    )
    cluster_id = str(made.cluster_id)
    folder = f"{LOCATION}/theirs/{cluster_id}/init_scripts/{cluster_id}_10_0_0_1"
    client.files.create_directory(folder)
    said = "".join(f"line {number}\n" for number in range(9)) + "\x1b[31mit \x1b]0;title\x07failed\x1b[0m\n"
    for name, text in (("1_theirs.sh", "s3cr3t"), (f"2_{SCRIPT}", said)):
        client.files.upload(f"{folder}/20260101_000000_0{name}.stderr.log", io.BytesIO(text.encode()))
    # And they are not there at the first look
    deployed.databricks.faults.add(path="/init_scripts$", status=404, times=1)

    lines = init_script_logs.last_lines(client, cluster_id)

    assert lines == ["line 5", "line 6", "line 7", "line 8", "it failed"]


def test_a_workspace_that_delivers_no_logs_is_asked_without_them() -> None:
    asked = []

    def submit(**run: Any) -> Any:
        asked.append(run["tasks"][0].new_cluster.cluster_log_conf)
        if asked[-1]:
            raise BadRequest("cluster_log_conf: delivery to volumes is not enabled in this workspace")
        return SimpleNamespace(run_id=7)

    clusters = SimpleNamespace(select_node_type=lambda **_: "small")
    client = SimpleNamespace(jobs=SimpleNamespace(submit=submit), clusters=clusters)
    site, policy = SimpleNamespace(client=client), SimpleNamespace(name="ml", id="1", definition={})

    run = verify._submitted(site, policy, "15.4", "task.py", {}, f"{LOCATION}/{LOGS}/1", 30)  # type: ignore[arg-type]

    assert run.id == 7
    assert [bool(it) for it in asked] == [True, False]


def test_logs_that_come_late_go_with_the_location(admin: Admin) -> None:
    own = f"{LOCATION}/own"
    admin.write(clusters=f'runtimes = ["15.4"]\naccessMode = "standard"\nlocation = "{own}"')
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    admin.run_or_fail("deploy", "--yes")
    client = admin.databricks.client()
    client.files.upload(f"{own}/{LOGS}/1/0101-1-a/driver/stdout", io.BytesIO(b"late"))

    admin.run_or_fail("destroy", "--yes")

    assert own not in {it.path for it in client.files.list_directory_contents(LOCATION)}


def test_where_a_cluster_delivers_its_logs_is_the_policys_to_say(admin: Admin) -> None:
    path = f"{LOCATION}/{LOGS}/1"

    assert init_script_logs.delivered_to(path, ["spark_version"]) == {
        "cluster_log_conf.volumes.destination": path
    }
    for said in ("cluster_log_conf.path", "cluster_log_conf.volumes.destination"):
        assert init_script_logs.delivered_to(path, [said]) == {}
    # And none go to a workspace folder
    in_workspace = storage.at(admin.databricks.client(), "/Workspace/Admins/azureml")
    with init_script_logs.folder(in_workspace) as none:
        assert init_script_logs.delivered_to(none, []) == {}


# What a policy leaves to the user, and what is made of it: what the admin chooses, the cluster.
ONE_NODE = demands.nested(demands.SINGLE_NODE)
SMALL = {"node_type_id": "small", **ONE_NODE}
DEMANDS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}, SMALL),
    "what has a default": (
        {"node_type_id": {"type": "allowlist", "values": ["a"], "defaultValue": "a"}},
        {},
        ONE_NODE,
    ),
    "a tag of some": (
        {"custom_tags.team": {"type": "allowlist", "values": ["ml", "bi"]}},
        {},
        {**SMALL, "custom_tags": {"ResourceClass": "SingleNode", "team": "ml"}},
    ),
    "a tag of any": (
        {"custom_tags.team": {"type": "regex", "pattern": "[a-z]+"}},
        {"custom_tags.team": "ml"},
        {**SMALL, "custom_tags": {"ResourceClass": "SingleNode", "team": "ml"}},
    ),
    "what may be left out": (
        {"custom_tags.team": {"type": "regex", "pattern": "x", "isOptional": True}},
        {},
        SMALL,
    ),
    "a pool": ({"instance_pool_id": {"type": "fixed", "value": "pool"}}, {}, ONE_NODE),
    "a pool of some": (
        {"instance_pool_id": {"type": "allowlist", "values": ["p", "q"]}},
        {"instance_pool_id": "q"},
        {"instance_pool_id": "q", **ONE_NODE},
    ),
    "workers": (
        {"num_workers": {"type": "range", "minValue": 2, "maxValue": 8}},
        {},
        {"node_type_id": "small", "num_workers": 2},
    ),
    "workers that are fixed": ({"num_workers": {"type": "fixed", "value": 2}}, {}, {"node_type_id": "small"}),
    "no workers at all": ({"num_workers": {"type": "range", "maxValue": 8, "minValue": 0}}, {}, SMALL),
    "scaling": (
        {
            "autoscale.min_workers": {"type": "range", "minValue": 1},
            "autoscale.max_workers": {"type": "range", "maxValue": 4},
        },
        {},
        {"node_type_id": "small", "autoscale": {"min_workers": 1, "max_workers": 1}},
    ),
    "scaling that is fixed": (
        {"autoscale.min_workers": {"type": "fixed", "value": 1}},
        {},
        {"node_type_id": "small"},
    ),
    "no single nodes": (
        {"spark_conf.spark.databricks.cluster.profile": {"type": "forbidden"}},
        {},
        {"node_type_id": "small", "num_workers": 1},
    ),
    "what is no attribute": (
        {
            "dbus_per_hour": {"type": "range", "maxValue": 10},
            "cluster_type": {"type": "allowlist", "values": ["job", "all-purpose"]},
        },
        {},
        SMALL,
    ),
}


@pytest.mark.parametrize("what", DEMANDS)
def test_its_cluster_is_as_the_policy_demands(what: str) -> None:
    definition, chosen, cluster = DEMANDS[what]

    assert demands.spec(definition, chosen, lambda: "small") == cluster


def test_what_only_an_admin_can_choose_is_asked_for() -> None:
    definition = {"custom_tags.team": {"type": "regex", "pattern": "[a-z]+"}, "pool": {"type": "regex"}}

    with pytest.raises(AdminError) as told:
        demands.spec(definition, {}, lambda: "small")

    assert str(told.value) == (
        "the policy demands custom_tags.team, pool, and does not say what: give --set custom_tags.team=... "
        "--set pool=..."
    )
    assert demands.parsed(["custom_tags.n=1", "num_workers=1", "a=b=c"]) == {
        "custom_tags.n": "1",
        "num_workers": 1,
        "a": "b=c",
    }
    with pytest.raises(AdminError, match="--set is 'team': write PATH=VALUE"):
        demands.parsed(["team"])
