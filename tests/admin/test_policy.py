"""The policy: on top of a family or of an admin's own definition, and for other tools."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import pytest

from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file import deployment
from azureml_databricks.admin.objects import definition as definitions
from azureml_databricks.admin.objects import policy as policies
from azureml_databricks.admin.objects import storage
from azureml_databricks.admin.objects.inventory import Inventory
from azureml_databricks.admin.objects.policy import Wanted
from azureml_databricks.admin.objects.record import Record
from tests.admin.conftest import LOCATION, VOLUME, Admin
from tests.admin.golden import assert_is_golden
from tests.admin.test_deploy import make_cluster
from tests.admin.test_status import make_job
from tests.admin.workspace_state import state
from tests.emulated.databricks import EmulatedDatabricks

POLICY = 'name = "azureml"\ngroups = ["data-scientists"]'


def rendered(admin: Admin) -> dict[str, Any]:
    document = json.loads(admin.run_or_fail("policy", "render").stdout)
    assert isinstance(document, dict)
    return document


def test_it_is_printed_as_deploy_makes_it(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets
    admin.write(policy=f'{POLICY}\n[policy.fixes]\nautotermination_minutes = {{type = "fixed", value = 60}}')

    printed = admin.run_or_fail("policy", "render").stdout
    admin.run_or_fail("deploy", "--yes")

    assert_is_golden(admin.plain(printed), "policy")
    assert state(admin.databricks, VOLUME)["policies"]["azureml"]["definition"] == json.loads(printed)


def test_it_is_printed_without_a_login_to_databricks(admin: Admin) -> None:
    del admin.environment["DATABRICKS_TOKEN"]

    assert rendered(admin)["data_security_mode"]["value"] == "DATA_SECURITY_MODE_STANDARD"
    assert not list(admin.databricks.journal)


def test_terraform_reads_it(admin: Admin) -> None:
    document = json.loads(admin.run_or_fail("policy", "render", "--format", "terraform").stdout)

    resource = document["resource"]["databricks_cluster_policy"]["azureml"]
    assert resource["name"] == "azureml"
    assert json.loads(resource["definition"]) == rendered(admin)


def test_on_a_family_only_what_we_say_is_ours(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets
    clusters = 'runtimes = ["15.4-ml"]\naccessMode = "dedicated"\nlocation = "/Volumes/sales/ml/azureml"'
    admin.write(policy=f'{POLICY}\nfamily = "personal-vm"', clusters=clusters)

    admin.run_or_fail("deploy", "--yes")

    policy = state(admin.databricks, VOLUME)["policies"]["azureml"]
    overrides = json.loads(policy["policy_family_definition_overrides"])
    assert policy["policy_family_id"] == "personal-vm"
    assert "node_type_id" in policy["definition"]
    assert "node_type_id" not in overrides
    assert overrides["spark_version"]["values"] == ["15.4.x-cpu-ml-scala2.12", "15.4.x-gpu-ml-scala2.12"]
    assert "Nothing to change." in admin.run_or_fail("deploy").stdout


def test_on_a_definition_of_the_admins_ours_is_added_and_their_init_scripts_stay_first(admin: Admin) -> None:
    theirs = {
        "init_scripts.0.volumes.destination": {"type": "fixed", "value": "/Volumes/it/security/agent.sh"},
        "spark_version": {"type": "regex", "pattern": r"15\.4\.x.*"},
        "custom_tags.team": {"type": "fixed", "value": "churn"},
        "data_security_mode": {"type": "fixed", "value": "USER_ISOLATION"},
    }
    (admin.folder / "theirs.json").write_text(json.dumps(theirs))
    admin.write(policy=f'{POLICY}\ndefinition = "theirs.json"')

    definition = rendered(admin)

    assert definition["init_scripts.0.volumes.destination"] == theirs["init_scripts.0.volumes.destination"]
    assert definition["init_scripts.1.volumes.destination"]["value"].endswith("/azureml-databricks.sh")
    assert definition["custom_tags.team"] == {"type": "fixed", "value": "churn"}
    assert definition["spark_version"] == {"type": "fixed", "value": "15.4.x-scala2.12"}


def test_what_a_definition_says_otherwise_is_named_and_not_overwritten(admin: Admin) -> None:
    theirs = {
        "spark_version": {"type": "fixed", "value": "14.3.x-scala2.12"},
        "data_security_mode": {"type": "allowlist", "values": ["SINGLE_USER"]},
    }
    (admin.folder / "theirs.json").write_text(json.dumps(theirs))
    admin.write(policy=f'{POLICY}\ndefinition = "theirs.json"')

    done = admin.run("policy", "render")

    assert done.stderr == (
        "Error: theirs.json (policy.definition) and this deployment both say spark_version: fixed "
        "14.3.x-scala2.12 there, fixed 15.4.x-scala2.12 here; take it out there\n"
        "Error: theirs.json (policy.definition) and this deployment both say data_security_mode: "
        '{"type": "allowlist", "values": ["SINGLE_USER"]} there, '
        "fixed DATA_SECURITY_MODE_STANDARD (hidden) here; take it out there\n"
    )


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (
            'family = "personal-vm"',
            "policy family personal-vm and this deployment both say data_security_mode: "
            '{"type": "allowlist", "values": ["SINGLE_USER", "LEGACY_SINGLE_USER", '
            '"LEGACY_SINGLE_USER_STANDARD"], '
            '"defaultValue": "SINGLE_USER", "hidden": true} there, '
            "fixed DATA_SECURITY_MODE_STANDARD (hidden) here; set clusters.accessMode to what it permits, or "
            "name another family (policy.family)",
        ),
        (
            'family = "personal"',
            "there is no policy family 'personal' (policy.family): there are personal-vm, "
            "shared-compute, job-cluster",
        ),
        (
            'definition = "none.json"',
            "none.json (policy.definition) cannot be read: No such file or directory",
        ),
        (
            'definition = "azureml-databricks.toml"',
            "azureml-databricks.toml (policy.definition) is not JSON, line 1",
        ),
        (
            'definition = "list.json"',
            "list.json (policy.definition) is no policy definition: that is an object of paths",
        ),
        (
            'definition = "flat.json"',
            "flat.json (policy.definition) is no policy definition: its path number 1 is not an object, "
            '{"type": "fixed", "value": ...}',
        ),
        (
            'definition = "pattern.json"',
            "pattern.json (policy.definition): the pattern of node_type_id is '(((', which cannot be read "
            "(missing ), unterminated subpattern at position 2)",
        ),
        (
            'fixes = {data_security_mode = {type = "fixed", value = "NONE"}}',
            "azureml-databricks.toml (policy.fixes) and this deployment both say data_security_mode: "
            "fixed NONE "
            "there, fixed DATA_SECURITY_MODE_STANDARD (hidden) here; take it out there",
        ),
    ],
)
def test_what_it_cannot_start_from_is_told(admin: Admin, policy: str, said: str) -> None:
    (admin.folder / "list.json").write_text("[]")
    (admin.folder / "flat.json").write_text('{"node_type_id": "Standard_DS3_v2"}')
    (admin.folder / "pattern.json").write_text('{"node_type_id": {"type": "regex", "pattern": "((("}}')
    admin.write(policy=f"{POLICY}\n{policy}")

    done = admin.run("policy", "render")

    assert (done.returncode, done.stderr) == (1, f"Error: {said}\n")


# Names and fields that came with the time -------------------------------------------------------------


def edited(admin: Admin, **values: str) -> None:
    """Change values that the policy fixes, by hand."""
    client = admin.databricks.cluster_client(admin.databricks.admin)
    (policy,) = client.cluster_policies.list()
    definition = json.loads(policy.definition or "")
    for path, value in values.items():
        definition[path]["value"] = value
    client.cluster_policies.edit(
        str(policy.policy_id),
        name=policy.name,
        description=policy.description,
        definition=json.dumps(definition),
    )


def test_a_policy_with_the_older_name_of_its_access_mode_is_as_it_should_be_and_keeps_it(
    deployed: Admin,
) -> None:
    edited(deployed, data_security_mode="USER_ISOLATION")

    assert "Nothing to change." in deployed.run_or_fail("plan").stdout
    deployed.write(settings='onError = "fail"')
    deployed.run_or_fail("deploy", "--yes")

    definition = state(deployed.databricks, VOLUME)["policies"]["azureml"]["definition"]
    assert definition["data_security_mode"]["value"] == "USER_ISOLATION"
    # So a cluster that was made under it is as it says.
    make_cluster(deployed)
    document = json.loads(deployed.run_or_fail("status", "--json").stdout)
    assert [it["complies"] for it in document["governed"]] == [True]


def test_a_cluster_or_job_with_the_older_name_is_not_behind(deployed: Admin) -> None:
    edited(deployed, data_security_mode="USER_ISOLATION")
    make_cluster(deployed)
    make_job(deployed)
    edited(deployed, data_security_mode="DATA_SECURITY_MODE_STANDARD")

    document = json.loads(deployed.run_or_fail("status", "--json").stdout)

    assert [(it["kind"], it["complies"]) for it in document["governed"]] == [("cluster", True), ("job", True)]
    assert "No cluster or job to bring" in deployed.run_or_fail("deploy", "--enforce", "--yes").stdout


def test_another_access_mode_is_behind_all_the_same(deployed: Admin) -> None:
    make_cluster(deployed)
    edited(deployed, data_security_mode="SINGLE_USER")

    document = json.loads(deployed.run("status", "--json").stdout)

    assert [list(it["violations"]) for it in document["governed"]] == [["data_security_mode"]]


@pytest.mark.parametrize(
    ("runtimes", "mode", "fixed"),
    [
        (["19"], "standard", True),
        (["17.3", "19"], "standard", True),
        (["17.3"], "standard", False),
        (["19", "19-ml"], "dedicated", False),
    ],
)
def test_where_packages_could_come_from_an_environment_the_policy_says_that_they_do_not(
    monkeypatch: pytest.MonkeyPatch, runtimes: list[str], mode: str, fixed: bool
) -> None:
    monkeypatch.setattr(deployment, "_RUNTIMES", ["17.3", "19", "19-ml"])
    monkeypatch.setitem(definitions._SCALA, "19", ["2.13"])
    clusters = {"runtimes": tuple(runtimes), "accessMode": mode, "location": LOCATION}
    of = {"databricks": {}, "workspace": {}, "clusters": clusters, "policy": {"name": "azureml"}}
    described = deployment.Deployment.model_validate(of)

    definition = definitions.ours(described, described.policies[0], f"{LOCATION}/x.sh", {})

    mode_of_packages = {"type": "fixed", "value": "DEPENDENCY_MODE_CLUSTER_LIBRARIES", "hidden": True}
    assert definition.get("dependency_mode") == (mode_of_packages if fixed else None)


def test_a_workspace_that_refuses_that_in_a_policy_gets_one_without(databricks: EmulatedDatabricks) -> None:
    databricks.make_volume(VOLUME)
    databricks.policies.refused_paths.add("dependency_mode")
    client = databricks.client()
    definition: dict[str, Any] = {path: {"type": "fixed", "value": "x"} for path in ("dependency_mode", "a")}
    definition["init_scripts.0.volumes.destination"] = {"type": "fixed", "value": f"{LOCATION}/1/x.sh"}

    def deploy(description: str) -> tuple[list[str], list[str]]:
        record = Record(storage.at(client, LOCATION))
        there = Inventory(client)
        (policy,) = policies.find(there, record, policies.listed(there), [deployment.Policy(name="azureml")])
        changes = list(policy.changes(Wanted("azureml", description, None, definition)))
        for change in changes:
            record.note(change.kind, change.name, **(change.act() or {}))
        return [change.action for change in changes], policy.refused

    assert deploy("first") == (["create"], ["dependency_mode"])
    assert deploy("first") == ([], ["dependency_mode"])
    # Each later change tries again.
    databricks.policies.refused_paths.clear()
    assert deploy("second") == (["update"], [])
    assert deploy("second") == ([], [])
    (policy,) = client.cluster_policies.list()
    assert json.loads(policy.definition or "") == definition


def test_with_azure_ai_ml_it_points_at_another_release(admin: Admin) -> None:
    clusters = f'runtimes = ["15.4"]\naccessMode = "standard"\nlocation = "{LOCATION}"'
    without = rendered(admin)["init_scripts.0.volumes.destination"]

    admin.write(clusters=f'{clusters}\nwith = ["azure-ai-ml"]')

    assert rendered(admin)["init_scripts.0.volumes.destination"] != without


def test_fixes_cannot_loosen_what_is_fixed(admin: Admin) -> None:
    hidden = "spark_env_vars.AZURE_CLIENT_SECRET"
    fixes = {
        "data_security_mode": '{type = "unlimited"}',
        hidden: '{type = "regex", pattern = ".*"}',
        "spark_version": '{type = "allowlist", values = ["15.4.x-scala2.12", "9.1.x-scala2.12"]}',
        "custom_tags.team": '{type = "fixed", value = "ml"}',
    }
    lines = "\n".join(f'"{path}" = {rule}' for path, rule in fixes.items())
    plain = rendered(admin)
    admin.write(policy=f"{POLICY}\n[policy.fixes]\n{lines}")

    assert rendered(admin) == {**plain, "custom_tags.team": {"type": "fixed", "value": "ml"}}


# What theirs says -> whether it leaves room for what we fix.
ROOM: dict[str, tuple[dict[str, Any], bool]] = {
    "a blocklist of others": ({"type": "blocklist", "values": ["14.3.x-scala2.12"]}, True),
    "a blocklist of ours": ({"type": "blocklist", "values": ["15.4.x-scala2.12"]}, False),
    "an allowlist with ours": ({"type": "allowlist", "values": ["15.4.x-scala2.12", "x"]}, True),
    "a pattern": ({"type": "regex", "pattern": "15.*"}, True),
    "another pattern": ({"type": "regex", "pattern": "14.*"}, False),
    "a range of texts": ({"type": "range", "minValue": 1, "maxValue": 2}, False),
    "nothing": ({"type": "unlimited"}, True),
    "that there is none": ({"type": "forbidden"}, False),
}


@pytest.mark.parametrize("what", ROOM)
def test_a_definition_that_leaves_room_for_ours_is_no_conflict(what: str) -> None:
    theirs, is_room = ROOM[what]
    ours = {"spark_version": {"type": "fixed", "value": "15.4.x-scala2.12"}}

    with nullcontext() if is_room else pytest.raises(AdminError, match="both say spark_version"):
        assert definitions.composed({"spark_version": theirs}, ours, "theirs.json") == ours


def test_a_range_leaves_room_for_a_number_in_it() -> None:
    ours = {"autotermination_minutes": {"type": "fixed", "value": 60}}

    definitions.composed({"autotermination_minutes": {"type": "range", "maxValue": 60}}, ours, "theirs.json")
    with pytest.raises(AdminError):
        definitions.composed(
            {"autotermination_minutes": {"type": "range", "maxValue": 59}}, ours, "theirs.json"
        )


def test_a_pattern_that_only_java_reads_is_told_in_one_line() -> None:
    theirs = {"spark_version": {"type": "regex", "pattern": "15\\.[0-9&&[^0-3]]\\p{Alpha}++.*"}}
    ours = {"spark_version": {"type": "fixed", "value": "15.4.x-scala2.12"}}

    with pytest.raises(AdminError) as told:
        definitions.composed(theirs, ours, "theirs.json")

    assert "\n" not in str(told.value)
    assert "(a pattern that Java reads, so that it is not known here what it permits)" in str(told.value)
