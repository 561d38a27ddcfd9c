"""Plan, deploy and destroy: what is asked of the workspace, and what is left alone."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from databricks.sdk.service.catalog import (
    ArtifactMatcher,
    ArtifactType,
    AzureManagedIdentity,
    CredentialPurpose,
    MatchType,
    PermissionsChange,
    Privilege,
)
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.workspace import AclPermission

from tests.admin.conftest import LOCATION, VOLUME, Admin
from tests.admin.golden import assert_is_golden
from tests.admin.workspace_state import state
from tests.emulated.databricks import Caller

FIRST_PLAN = """\
+ release RELEASE-1
+ allowlist entry /Volumes/sales/ml/azureml/RELEASE-1/azureml-databricks.sh
+ right USE CATALOG on sales for data-scientists
+ right USE SCHEMA on sales.ml for data-scientists
+ right READ VOLUME on sales.ml.azureml for data-scientists
+ policy azureml
    name: azureml
    description: MLflow goes to the Azure Machine Learning workspace forecasting.
    spark_version: fixed 15.4.x-scala2.12
    data_security_mode: fixed DATA_SECURITY_MODE_STANDARD (hidden)
    init_scripts.0.volumes.destination: fixed /Volumes/sales/ml/azureml/RELEASE-1/azureml-databricks.sh
    spark_env_vars.AZURE_TENANT_ID: fixed {{secrets/azureml/tenantId}} (hidden)
    spark_env_vars.AZURE_CLIENT_ID: fixed {{secrets/azureml/clientId}} (hidden)
    spark_env_vars.AZURE_CLIENT_SECRET: fixed {{secrets/azureml/clientSecret}} (hidden)
+ right CAN USE on policy azureml for data-scientists
7 to make
"""


def reads_only(admin: Admin) -> bool:
    """Whether nothing but reads was asked of the workspace."""
    return {it.method for it in admin.databricks.journal} <= {"GET", "HEAD"}


def body(done_stdout: str) -> str:
    """What is printed below the two lines that say where."""
    return done_stdout.split("\n\n", 1)[1]


def make_cluster(
    admin: Admin, name: str = "etl", who: Caller | None = None, *, policy: str = "azureml", **asked: Any
) -> str:
    """Make a cluster as a user does who picks the policy; an admin unless told who."""
    client = admin.databricks.cluster_client(admin.databricks.admin)
    (found,) = [it for it in client.cluster_policies.list() if it.name == policy]
    made = admin.databricks.cluster_client(who or admin.databricks.admin).clusters.create(
        cluster_name=name,
        policy_id=found.policy_id,
        apply_policy_default_values=True,
        spark_version="15.4.x-scala2.12",
        node_type_id="Standard_DS3_v2",
        num_workers=1,
        **asked,
    )
    assert made.cluster_id
    return made.cluster_id


def test_a_plan_says_what_deploy_does_and_changes_nothing(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets

    done = admin.run("plan")

    assert (done.returncode, done.stderr) == (2, "")
    assert admin.plain(done.stdout).startswith(
        "Databricks HOST as admin@contoso.com\nAzure ML workspace forecasting, resource group analytics\n\n"
    )
    assert admin.plain(body(done.stdout)) == FIRST_PLAN
    assert reads_only(admin)


def test_the_first_deploy_puts_files_before_the_policy_that_points_at_them(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets

    done = admin.run("deploy", "--yes")

    assert (done.returncode, done.stderr) == (0, "")
    assert_is_golden(admin.plain(body(done.stdout)), "first-deploy-output")
    assert_is_golden(admin.recorded(), "first-deploy")


def test_a_deploy_that_changes_nothing_only_reads(deployed: Admin) -> None:
    done = deployed.run("deploy")

    assert (done.returncode, body(done.stdout)) == (0, "Nothing to change.\n")
    assert reads_only(deployed)
    assert_is_golden(deployed.recorded(), "no-op-deploy")
    assert deployed.run("plan").returncode == 0


def test_a_plan_imports_none_of_the_libraries_that_take_seconds(deployed: Admin) -> None:
    code = (
        "import sys; from azureml_databricks.__main__ import main; sys.argv[1:] = ['plan']\n"
        "try: main()\n"
        "finally: print({'azure.ai.ml', 'azureml.mlflow', 'mlflow', 'pandas', 'numpy'} & {*sys.modules})"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        env=deployed.environment,
        cwd=deployed.folder,
        capture_output=True,
        text=True,
        timeout=600,
    )

    assert done.stdout.endswith("\nNothing to change.\nset()\n"), done


def test_a_changed_setting_is_a_new_release_and_the_old_one_goes(deployed: Admin) -> None:
    deployed.write(settings='onError = "fail"')

    done = deployed.run_or_fail("deploy", "--yes")

    assert_is_golden(deployed.plain(body(done.stdout)), "changed-setting-output")
    assert_is_golden(deployed.recorded(), "changed-setting")


def test_a_new_version_keeps_the_old_release_while_a_cluster_has_it(deployed: Admin) -> None:
    make_cluster(deployed)
    deployed.run = replace(deployed.run, version="0.2.0")

    done = deployed.run_or_fail("deploy", "--yes")

    assert "stays: cluster etl" in done.stdout
    assert_is_golden(deployed.recorded(), "new-version")
    files = state(deployed.databricks, VOLUME)["files"]
    assert len([path for path in files if path.endswith(".tar.gz")]) == 2

    deployed.run_or_fail("deploy", "--enforce", "--yes")

    files = state(deployed.databricks, VOLUME)["files"]
    assert len([path for path in files if path.endswith(".tar.gz")]) == 1


def test_destroy_removes_what_was_made_and_leaves_a_workspace_as_it_was(admin: Admin) -> None:
    before = state(admin.databricks, VOLUME)
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    admin.run_or_fail("deploy", "--yes")
    admin.databricks.journal.clear()

    done = admin.run_or_fail("destroy", "--yes")

    assert_is_golden(admin.plain(body(done.stdout)), "destroy-output")
    assert_is_golden(admin.recorded(), "destroy")
    # They may see other things in the catalog and the schema by it, by now.
    before["grants"]["sales"] = {"data-scientists": ["USE_CATALOG"]}
    before["grants"]["sales.ml"] = {"data-scientists": ["USE_SCHEMA"]}
    assert state(admin.databricks, VOLUME) == before
    again = admin.run("destroy", "--yes")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == (
        f"Error: nothing to remove: there is no record of a deployment in {LOCATION}, where nothing was "
        "made, or it was removed before (is that the right clusters.location?)\n"
    )


@pytest.fixture
def with_others(admin: Admin) -> Admin:
    """An admin in a workspace where another one has things of all the kinds that we make."""
    databricks = admin.databricks
    other = databricks.another_admin("eve@contoso.com")
    client = databricks.cluster_client(other)
    matcher = ArtifactMatcher("/Volumes/sales/ml/azureml-of-eve/", MatchType.PREFIX_MATCH)
    client.artifact_allowlists.update(ArtifactType.INIT_SCRIPT, [matcher])
    client.secrets.create_scope("azureml")
    client.secrets.put_secret("azureml", "of-eve", string_value="hers")
    client.secrets.put_secret("azureml", "subscriptionid", string_value="hers too")
    client.secrets.put_acl("azureml", "eve@contoso.com", AclPermission.WRITE)
    client.grants.update(
        "volume",
        VOLUME,
        changes=[PermissionsChange(add=[Privilege.WRITE_VOLUME], principal="eve@contoso.com")],
    )
    policy_id = client.cluster_policies.create(name="of eve", definition="{}").policy_id
    assert policy_id
    may_use = AccessControlRequest(user_name="ann@contoso.com", permission_level=PermissionLevel.CAN_USE)
    client.permissions.update("cluster-policies", policy_id, access_control_list=[may_use])
    databricks.journal.clear()
    clusters = f'runtimes = ["15.4"]\naccessMode = "standard"\nlocation = "{LOCATION}"'
    admin.write(
        clusters=f'{clusters}\nallowWriters = ["eve@contoso.com"]', secrets='alsoReadable = ["of-eve"]'
    )
    return admin


def test_nothing_of_another_admin_is_touched(with_others: Admin) -> None:
    admin = with_others
    before = state(admin.databricks, VOLUME)

    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    admin.run_or_fail("deploy", "--yes")
    during = state(admin.databricks, VOLUME)
    admin.run_or_fail("destroy", "--yes")
    after = state(admin.databricks, VOLUME)

    assert during["allowlist"][:-1] == before["allowlist"]
    assert during["allowlist"][-1].endswith("/azureml-databricks.sh")
    for what in ("secrets", "acls", "policies"):
        assert _contains(during[what], before[what]), what
    assert _contains(during["grants"][VOLUME], before["grants"][VOLUME])
    for grants in (before["grants"], after["grants"]):
        del grants["sales"], grants["sales.ml"]
    assert after == before


def _contains(more: Any, less: Any) -> bool:
    if isinstance(less, dict):
        return all(key in more and _contains(more[key], value) for key, value in less.items())
    return set(map(str, less)) <= set(map(str, more)) if isinstance(less, list) else bool(more == less)


def test_what_another_admin_adds_to_ours_stays(deployed: Admin) -> None:
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    (policy,) = client.cluster_policies.list()
    assert policy.policy_id
    may_use = AccessControlRequest(user_name="ann@contoso.com", permission_level=PermissionLevel.CAN_USE)
    client.permissions.update("cluster-policies", policy.policy_id, access_control_list=[may_use])
    client.cluster_policies.edit(
        policy.policy_id,
        name=policy.name,
        description=policy.description,
        definition=policy.definition,
        max_clusters_per_user=3,
    )
    deployed.databricks.user("bob@contoso.com", groups=["analysts"])
    deployed.write(policy='name = "azureml"\ngroups = ["analysts"]\ndescription = "Ours"')

    done = deployed.run_or_fail("deploy", "--yes")

    assert body(done.stdout).split("to remove\n")[0].splitlines()[-4:-1] == [
        "- right CAN USE on policy azureml for data-scientists",
        "- right READ on secret scope azureml for data-scientists",
        "- right READ VOLUME on sales.ml.azureml for data-scientists",
    ]
    now = state(deployed.databricks, VOLUME)
    assert now["policies"]["azureml"]["users"] == ["admins", "analysts", "ann@contoso.com"]
    assert now["policies"]["azureml"]["max_clusters_per_user"] == 3
    assert now["policies"]["azureml"]["description"].startswith("Ours (files ")
    assert now["acls"]["azureml"] == [("admin@contoso.com", "MANAGE"), ("analysts", "READ")]
    assert now["grants"][VOLUME] == {"analysts": ["READ_VOLUME"]}


def test_everybody_is_one_group_of_the_workspace_and_another_one_of_unity_catalog(admin: Admin) -> None:
    admin.write(policy='name = "azureml"\ngroups = ["users", "data-scientists"]')
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)

    admin.run_or_fail("deploy", "--yes")

    now = state(admin.databricks, VOLUME)
    assert now["grants"][VOLUME] == {"account users": ["READ_VOLUME"], "data-scientists": ["READ_VOLUME"]}
    assert now["policies"]["azureml"]["users"] == ["admins", "data-scientists", "users"]
    assert body(admin.run_or_fail("deploy").stdout) == "Nothing to change.\n"


def test_a_policy_is_renamed_and_stays_the_same(deployed: Admin) -> None:
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    (before,) = client.cluster_policies.list()
    deployed.write(policy='name = "mlflow"\ngroups = ["data-scientists"]')

    done = deployed.run_or_fail("deploy", "--yes")

    (after,) = client.cluster_policies.list()
    assert body(done.stdout).startswith("~ policy mlflow\n    name: azureml -> mlflow\n! policy azureml: ")
    assert (after.name, after.policy_id) == ("mlflow", before.policy_id)
    assert body(deployed.run_or_fail("deploy").stdout) == "Nothing to change.\n"
    deployed.run_or_fail("destroy", "--yes")
    assert not list(client.cluster_policies.list())


def test_a_policy_that_terraform_has_is_not_deployed(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets
    admin.write(policy='name = "azureml"\ngroups = ["data-scientists"]\ndeployed = false')
    admin.run_or_fail("deploy", "--yes")
    client = admin.databricks.cluster_client(admin.databricks.admin)
    assert not list(client.cluster_policies.list())

    rendered = json.loads(admin.run_or_fail("policy", "render", "--format", "terraform").stdout)
    client.cluster_policies.create(**rendered["resource"]["databricks_cluster_policy"]["azureml"])
    admin.write(
        policy='name = "azureml"\ngroups = ["data-scientists"]\ndeployed = false', settings='onError = "fail"'
    )
    done = admin.run_or_fail("deploy", "--yes")

    assert "stays: policy azureml\n" in done.stdout
    assert len(list(client.cluster_policies.list())) == 1


@pytest.mark.parametrize(
    ("mode", "code"), [("dedicated", "DATA_SECURITY_MODE_DEDICATED"), ("no-isolation", "NONE")]
)
def test_without_unity_catalog_the_files_are_workspace_files(admin: Admin, mode: str, code: str) -> None:
    location = "/Workspace/Admins/azureml"
    clusters = f'runtimes = ["15.4", "15.4-ml"]\naccessMode = "{mode}"\nlocation = "{location}"'
    admin.write(clusters=clusters)
    before = state(admin.databricks, VOLUME)
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)

    admin.run_or_fail("deploy", "--yes")

    definition = state(admin.databricks, VOLUME)["policies"]["azureml"]["definition"]
    script = definition["init_scripts.0.workspace.destination"]["value"]
    client = admin.databricks.cluster_client(admin.databricks.admin)
    with client.workspace.download(script) as file:
        assert f"LOCATION={script.rpartition('/')[0]}".encode() in file.read()
    assert definition["data_security_mode"]["value"] == code
    assert definition["spark_version"]["values"] == [
        "15.4.x-scala2.12",
        "15.4.x-cpu-ml-scala2.12",
        "15.4.x-gpu-ml-scala2.12",
    ]
    folder = str(client.workspace.get_status(location).object_id)
    acl = client.permissions.get("directories", folder).access_control_list or []
    assert "data-scientists" in [it.group_name for it in acl]
    assert not admin.databricks.allowlists.paths()
    assert body(admin.run_or_fail("deploy").stdout) == "Nothing to change.\n"
    admin.run_or_fail("destroy", "--yes")
    assert state(admin.databricks, VOLUME) == before


def test_a_managed_identity_needs_no_secret(admin: Admin) -> None:
    identity = "99999999-2222-3333-4444-555555555555"
    admin.write(
        clusters=f'runtimes = ["15.4"]\naccessMode = "dedicated"\nlocation = "{LOCATION}"',
        login=f'auth = "managed-identity"\nclientId = "{identity}"',
    )

    admin.run_or_fail("deploy", "--yes")

    now = state(admin.databricks, VOLUME)
    assert not [
        path for path in now["policies"]["azureml"]["definition"] if path.startswith("spark_env_vars")
    ]
    (settings,) = [text for path, text in now["files"].items() if path.endswith("/azureml-databricks.json")]
    assert json.loads(settings) == {
        "trackingUri": admin.azure.workspace.tracking_uri,
        "auth": "managed-identity",
        "clientId": identity,
    }
    assert now["secrets"] == {}


def make_service_credential(admin: Admin) -> None:
    """Make the service credential `mlflow`, as an admin of the metastore does."""
    admin.databricks.cluster_client(admin.databricks.admin).credentials.create_credential(
        "mlflow",
        purpose=CredentialPurpose.SERVICE,
        azure_managed_identity=AzureManagedIdentity(access_connector_id="/subscriptions/0/.../mlflow"),
    )


def test_a_service_credential_needs_no_secret_and_its_users_get_access(admin: Admin) -> None:
    make_service_credential(admin)
    admin.write(login='auth = "service-credential"\nserviceCredential = "mlflow"')

    done = admin.run_or_fail("deploy", "--yes")

    assert "made right ACCESS on service credential mlflow for data-scientists\n" in done.stdout
    client = admin.databricks.cluster_client(admin.databricks.admin)
    (given,) = client.grants.get("credential", "mlflow").privilege_assignments or []
    assert (given.principal, given.privileges) == ("data-scientists", [Privilege.ACCESS])
    admin.run_or_fail("destroy", "--yes")
    assert not client.grants.get("credential", "mlflow").privilege_assignments


def test_a_change_of_the_login_takes_the_secrets_away_once_no_cluster_needs_them(deployed: Admin) -> None:
    cluster_id = make_cluster(deployed)
    make_service_credential(deployed)
    deployed.write(login='auth = "service-credential"\nserviceCredential = "mlflow"')

    first = deployed.run_or_fail("deploy", "--yes")
    deployed.databricks.cluster_client(deployed.databricks.admin).clusters.permanent_delete(cluster_id)
    second = deployed.run_or_fail("deploy", "--yes")

    assert "secret scope azureml stays: cluster etl" in first.stdout
    assert "removed secret scope azureml" in second.stdout
    assert state(deployed.databricks, VOLUME)["secrets"] == {}


def test_what_changed_by_hand_is_put_right(deployed: Admin) -> None:
    (script,) = [path for path in state(deployed.databricks, VOLUME)["files"] if path.endswith(".sh")]
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    client.files.upload(script, io.BytesIO(b"#!/bin/sh\n"), overwrite=True)
    before = deployed.run("plan")

    deployed.run_or_fail("deploy", "--yes")

    assert deployed.plain(body(before.stdout)).startswith(
        "~ release RELEASE-1\n    azureml-databricks.sh: 10 bytes, SHA-256 "
    )
    assert deployed.run("plan").returncode == 0


# The allowlist --------------------------------------------------------------------------------------


def as_an_older_version_deployed(admin: Admin) -> None:
    """Let our whole folder be on the allowlist, in the place of the script."""
    client = admin.databricks.cluster_client(admin.databricks.admin)
    path = f"{LOCATION}/azureml-databricks.made.json"
    contents = client.files.download(path).contents
    assert contents
    record = json.loads(contents.read())
    for made in record["made"]:
        if made["kind"] == "allowlist entry":
            made["name"] = f"{LOCATION}/"
    client.files.upload(path, io.BytesIO(json.dumps(record).encode()), overwrite=True)
    matcher = ArtifactMatcher(f"{LOCATION}/", MatchType.PREFIX_MATCH)
    client.artifact_allowlists.update(ArtifactType.INIT_SCRIPT, [matcher])


def test_who_has_our_folder_on_the_allowlist_gets_the_script_in_its_place(deployed: Admin) -> None:
    (script,) = deployed.databricks.allowlists.paths()
    as_an_older_version_deployed(deployed)

    done = deployed.run_or_fail("deploy", "--yes")

    assert f"made allowlist entry {script}\nremoved allowlist entry {LOCATION}/\n" in done.stdout
    assert deployed.databricks.allowlists.paths() == [script]
    assert "Nothing to change." in deployed.run_or_fail("deploy").stdout


def test_a_script_that_a_cluster_has_still_stays_on_the_allowlist_by_its_name(deployed: Admin) -> None:
    (before,) = deployed.databricks.allowlists.paths()
    cluster_id = make_cluster(deployed)
    as_an_older_version_deployed(deployed)
    deployed.write(settings='onError = "fail"')

    deployed.run_or_fail("deploy", "--yes")

    now = deployed.databricks.allowlists.paths()
    assert before in now
    assert len(now) == 2
    assert f"{LOCATION}/" not in now
    deployed.databricks.cluster_client(deployed.databricks.admin).clusters.permanent_delete(cluster_id)
    deployed.run_or_fail("deploy", "--yes")
    assert before not in deployed.databricks.allowlists.paths()
    assert len(deployed.databricks.allowlists.paths()) == 1


def test_where_another_admins_entry_has_it_none_is_made(admin_with_secrets: Admin) -> None:
    client = admin_with_secrets.databricks.cluster_client(admin_with_secrets.databricks.admin)
    matcher = ArtifactMatcher("/Volumes/sales/", MatchType.PREFIX_MATCH)
    client.artifact_allowlists.update(ArtifactType.INIT_SCRIPT, [matcher])

    admin_with_secrets.run_or_fail("deploy", "--yes")

    assert admin_with_secrets.databricks.allowlists.paths() == ["/Volumes/sales/"]


def test_a_plan_is_also_json(admin_with_secrets: Admin) -> None:
    done = admin_with_secrets.run("plan", "--json")

    document = json.loads(done.stdout)
    assert done.returncode == 2
    assert [(it["action"], it["kind"]) for it in document["changes"]] == [
        ("create", "release"),
        ("create", "allowlist entry"),
        ("create", "right"),
        ("create", "right"),
        ("create", "right"),
        ("create", "policy"),
        ("create", "right"),
    ]
    assert document["changes"][5]["differences"][2] == {
        "field": "spark_version",
        "found": None,
        "wanted": {"type": "fixed", "value": "15.4.x-scala2.12"},
    }


def test_nothing_is_changed_where_nobody_can_say_yes(admin_with_secrets: Admin) -> None:
    done = admin_with_secrets.run("deploy")

    assert done.returncode == 1
    assert done.stderr == (
        "Error: this asks before it changes anything, and nobody is there to answer: give --yes\n"
    )
    assert reads_only(admin_with_secrets)


def test_a_deployment_whose_bundle_cannot_be_built_leaves_nothing_behind(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets
    before = state(admin.databricks, VOLUME)
    no_packages = {**admin.environment, "UV_CACHE_DIR": str(admin.folder / "empty"), "UV_OFFLINE": "1"}
    run = replace(admin.run, environment=no_packages, builds=True)

    done = run("deploy", "--yes")

    assert done.returncode == 1
    assert "this machine needs pypi.org, or UV_DEFAULT_INDEX set to a mirror of it" in done.stderr
    assert state(admin.databricks, VOLUME) == before


def test_one_deployment_serves_several_runtimes(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets
    admin.write(clusters=f'runtimes = ["15.4", "16.4"]\naccessMode = "standard"\nlocation = "{LOCATION}"')

    admin.run_or_fail("deploy", "--yes")

    found = state(admin.databricks, VOLUME)
    archives = [name for name in found["files"] if name.endswith(".tar.gz")]
    assert [archive.rpartition("-runtime-")[2] for archive in sorted(archives)] == [
        "15.4.tar.gz",
        "16.4.tar.gz",
    ]
    assert found["policies"]["azureml"]["definition"]["spark_version"]["values"] == [
        "15.4.x-scala2.12",
        "16.4.x-scala2.12",
        "16.4.x-scala2.13",
    ]


def test_what_somebody_gave_besides_is_not_taken_back_with_ours(deployed: Admin) -> None:
    # Given users to whom somebody gave more than we did, since
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    client.secrets.put_acl("azureml", "data-scientists", AclPermission.WRITE)
    deployed.databricks.user("bob@contoso.com", groups=["analysts"])
    deployed.write(policy='name = "azureml"\ngroups = ["analysts"]')

    # When they are taken out of the file, then that stays
    deployed.run_or_fail("deploy", "--yes")

    acls = state(deployed.databricks, VOLUME)["acls"]["azureml"]
    assert ("data-scientists", "WRITE") in acls
    assert ("analysts", "READ") in acls
