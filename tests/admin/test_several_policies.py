"""Several policies in one file: one upload and one scope for all, and each has users and rules of its own."""

from __future__ import annotations

import io
import json
from typing import Any

import jsonschema
import pytest

from azureml_databricks.admin.file import deployment, toml_file
from tests.admin.conftest import LOCATION, VOLUME, Admin
from tests.admin.test_deploy import body, make_cluster
from tests.admin.workspace_state import state
from tests.emulated.databricks.callers import Caller

CLUSTERS = f'runtimes = ["15.4"]\naccessMode = "standard"\nlocation = "{LOCATION}"'
# For a team on shared clusters, and for one that trains with the ML runtime on clusters of its own.
STANDARD = 'name = "azureml"\ngroups = ["data-scientists"]'
ML = (
    'name = "ML for training"\ngroups = ["trainers"]\naccessMode = "dedicated"\nruntimes = ["15.4-ml"]\n'
    'fixes = {autotermination_minutes = {type = "fixed", value = 60}}'
)


def write(admin: Admin, *policies: str, **sections: str) -> None:
    """Write the file with a table [[policy]] for each."""
    admin.write(**{"clusters": CLUSTERS, "policy": "", **sections})
    text = admin.file.read_text().replace("[policy]\n", "")
    admin.file.write_text(text + "".join(f"[[policy]]\n{policy}\n\n" for policy in policies))


@pytest.fixture
def two(admin: Admin) -> Admin:
    """An admin who has deployed two policies."""
    admin.databricks.user("tom@contoso.com", groups=["trainers"])
    write(admin, STANDARD, ML)
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    admin.run_or_fail("deploy", "--yes")
    return admin


def policies(admin: Admin) -> dict[str, Any]:
    found: dict[str, Any] = state(admin.databricks, VOLUME)["policies"]
    return found


def user(admin: Admin, name: str) -> Caller:
    return next(it for it in admin.databricks.callers.all() if it.user_name == name)


def test_each_has_users_runtimes_and_an_access_mode_of_its_own_and_all_have_one_release(two: Admin) -> None:
    now = state(two.databricks, VOLUME)

    shared, trained = now["policies"]["azureml"], now["policies"]["ML for training"]
    assert shared["users"] == ["admins", "data-scientists"]
    assert trained["users"] == ["admins", "trainers"]
    assert shared["definition"]["spark_version"] == {"type": "fixed", "value": "15.4.x-scala2.12"}
    assert trained["definition"]["spark_version"]["values"] == [
        "15.4.x-cpu-ml-scala2.12",
        "15.4.x-gpu-ml-scala2.12",
    ]
    assert trained["definition"]["data_security_mode"]["value"] == "DATA_SECURITY_MODE_DEDICATED"
    assert "autotermination_minutes" not in shared["definition"]
    script = "init_scripts.0.volumes.destination"
    assert shared["definition"][script] == trained["definition"][script]
    assert len([it for it in now["files"] if it.endswith(".tar.gz")]) == 1
    # And all who may use one of them read the files and the secrets
    assert now["grants"][VOLUME] == {"data-scientists": ["READ_VOLUME"], "trainers": ["READ_VOLUME"]}
    assert now["acls"]["azureml"][1:] == [("data-scientists", "READ"), ("trainers", "READ")]
    assert body(two.run_or_fail("deploy").stdout) == "Nothing to change.\n"


def make_training_cluster(admin: Admin) -> None:
    """Make a cluster as a trainer does."""
    client = admin.databricks.cluster_client(admin.databricks.admin)
    (trained,) = [it for it in client.cluster_policies.list() if it.name == "ML for training"]
    client.clusters.create(
        cluster_name="training",
        policy_id=trained.policy_id,
        apply_policy_default_values=True,
        spark_version="15.4.x-cpu-ml-scala2.12",
        node_type_id="Standard_DS3_v2",
        num_workers=1,
        single_user_name="tom@contoso.com",
    )


def test_status_and_enforce_see_the_clusters_under_each(two: Admin) -> None:
    make_cluster(two, "shared", who=user(two, "ann@contoso.com"))
    make_training_cluster(two)
    write(two, STANDARD, ML, settings='onError = "fail"')
    two.run_or_fail("deploy", "--yes")

    shown = two.run("status", "--json")
    status = json.loads(shown.stdout)
    enforced = json.loads(two.run_or_fail("deploy", "--enforce", "--yes", "--json").stdout)["enforced"]

    assert (shown.returncode, shown.stderr) == (2, "")
    assert [(it["name"], it["complies"]) for it in status["governed"]] == [
        ("shared", False),
        ("training", False),
    ]
    assert list(status["releases"].values())[-1] == "policy azureml, policy ML for training"
    assert [it["name"] for it in enforced] == ["shared", "training"]


def test_one_that_is_added_uploads_nothing_again(two: Admin) -> None:
    third = 'name = "for analysts"\ngroups = ["data-scientists"]'
    write(two, STANDARD, ML, third)

    done = two.run_or_fail("deploy", "--yes")

    assert not [line for line in done.stdout.splitlines() if line.split()[1:2] == ["release"]]
    assert set(policies(two)) == {"azureml", "ML for training", "for analysts"}


def test_one_that_is_taken_out_goes_with_its_users_rights_and_the_others_stay(two: Admin) -> None:
    write(two, STANDARD)

    two.run_or_fail("deploy", "--yes")

    now = state(two.databricks, VOLUME)
    assert list(now["policies"]) == ["azureml"]
    assert now["grants"][VOLUME] == {"data-scientists": ["READ_VOLUME"]}
    assert body(two.run_or_fail("deploy").stdout) == "Nothing to change.\n"


def test_one_that_is_taken_out_while_a_cluster_has_it_stays_with_all_that_the_cluster_needs(
    two: Admin,
) -> None:
    client = two.databricks.cluster_client(two.databricks.admin)
    (trained,) = [it for it in client.cluster_policies.list() if it.name == "ML for training"]
    cluster = client.clusters.create(
        cluster_name="training",
        policy_id=trained.policy_id,
        apply_policy_default_values=True,
        spark_version="15.4.x-cpu-ml-scala2.12",
        node_type_id="Standard_DS3_v2",
        num_workers=1,
        single_user_name="tom@contoso.com",
    )
    before = state(two.databricks, VOLUME)
    write(two, STANDARD)

    done = two.run_or_fail("deploy", "--yes")

    assert "policy ML for training stays: under it there is cluster training\n" in done.stdout
    after = state(two.databricks, VOLUME)
    assert (after["grants"], after["acls"]) == (before["grants"], before["acls"])
    # And goes when the cluster is gone
    client.clusters.permanent_delete(str(cluster.cluster_id))
    two.run_or_fail("deploy", "--yes")
    assert list(policies(two)) == ["azureml"]
    assert state(two.databricks, VOLUME)["grants"][VOLUME] == {"data-scientists": ["READ_VOLUME"]}


def test_one_that_is_renamed_stays_the_same_policy(two: Admin) -> None:
    client = two.databricks.cluster_client(two.databricks.admin)
    before = {it.policy_id for it in client.cluster_policies.list()}
    write(two, STANDARD, ML.replace("ML for training", "training"))

    done = two.run_or_fail("deploy", "--yes")

    assert (
        "! policy ML for training: azureml-databricks.toml calls it training from now on: it keeps its "
        "ID, and what is under it; if training is to be another policy, let the file have both when that is "
        "made\n"
    ) in done.stdout
    assert {it.policy_id for it in client.cluster_policies.list()} == before
    assert set(policies(two)) == {"azureml", "training"}
    # And the right to use it is known by the new name
    write(
        two,
        STANDARD,
        ML.replace("ML for training", "training").replace('["trainers"]', '["data-scientists"]'),
    )
    done = two.run_or_fail("deploy", "--yes")
    assert "removed right CAN USE on policy training for trainers\n" in done.stdout
    assert policies(two)["training"]["users"] == ["admins", "data-scientists"]


def test_all_are_removed_by_destroy(admin: Admin) -> None:
    admin.databricks.user("tom@contoso.com", groups=["trainers"])
    write(admin, STANDARD, ML)
    before = state(admin.databricks, VOLUME)
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    admin.run_or_fail("deploy", "--yes")

    admin.run_or_fail("destroy", "--yes")

    after = state(admin.databricks, VOLUME)
    for grants in (before["grants"], after["grants"]):
        del grants["sales"], grants["sales.ml"]
    assert after == before


def test_a_record_of_the_time_when_there_was_one_policy_is_understood(deployed: Admin) -> None:
    # Given a record that calls the right as an older version did
    files = deployed.databricks.cluster_client(deployed.databricks.admin).files
    path = f"{LOCATION}/azureml-databricks.made.json"
    contents = files.download(path).contents
    assert contents
    old = contents.read().replace(b"CAN USE on policy azureml for", b"CAN USE on the policy for")
    files.upload(path, io.BytesIO(old), overwrite=True)

    # When somebody is taken out of the file, then the right is taken back
    deployed.databricks.user("tom@contoso.com", groups=["trainers"])
    write(deployed, 'name = "azureml"\ngroups = ["trainers"]')
    deployed.run_or_fail("deploy", "--yes")
    assert policies(deployed)["azureml"]["users"] == ["admins", "trainers"]


def test_policy_render_prints_all_by_their_names(admin: Admin) -> None:
    write(admin, STANDARD, ML)

    printed = json.loads(admin.run_or_fail("policy", "render").stdout)
    terraform = json.loads(admin.run_or_fail("policy", "render", "--format", "terraform").stdout)

    assert list(printed) == ["azureml", "ML for training"]
    resources = terraform["resource"]["databricks_cluster_policy"].values()
    assert [json.loads(it["definition"]) for it in resources] == list(printed.values())


def test_the_schema_takes_one_table_as_well_as_several(admin: Admin) -> None:
    schema = json.loads(deployment.schema())

    jsonschema.validate(toml_file.read(admin.file).document, schema)
    write(admin, STANDARD, ML)
    jsonschema.validate(toml_file.read(admin.file).document, schema)


WRONG = [
    (STANDARD, ":19: policy.name is 'azureml' twice: users pick a policy by its name"),
    (
        'name = "ML"\nruntimes = ["15.4-ml"]',
        ":20: policy.runtimes has 15.4-ml: ML runtimes do not run in standard access mode; take it out, "
        'or set accessMode = "dedicated"',
    ),
    ('name = "ML"\nusrs = ["ann"]', ":20: policy.usrs is not known: did you mean users?"),
    (
        'name = "ML"\naccessMode = "shared"',
        ":20: policy.accessMode is 'shared': use standard, dedicated, ",
    ),
    ("users = []", ":18: policy.name is missing: What users pick it by."),
    (
        'name = "ML"\naccessMode = "no-isolation"',
        ":10: clusters.location is '/Volumes/sales/ml/azureml': clusters without isolation read no ",
    ),
]


def test_what_is_wrong_in_one_of_them_is_told_by_its_line(admin: Admin) -> None:
    for second, said in WRONG:
        write(admin, STANDARD, second)

        done = admin.run("plan")

        assert done.returncode == 1
        assert done.stderr.startswith(f"Error: azureml-databricks.toml{said}"), admin.file.read_text()


APART = ML + '\nscope = "training"'


def stranger(admin: Admin) -> str:
    """What `az` prints of another service principal."""
    of = admin.azure.stranger
    return json.dumps({"appId": of.client_id, "password": of.client_secret, "tenant": of.tenant_id})


@pytest.fixture
def apart(admin: Admin) -> Admin:
    """An admin who has deployed two policies, the second with a scope and a service principal of its own."""
    admin.databricks.user("tom@contoso.com", groups=["trainers"])
    write(admin, STANDARD, APART)
    admin.run_or_fail("secrets", "set", "--policy", "azureml", stdin=admin.service_principal)
    done = admin.run("secrets", "set", "--policy", "ML for training", stdin=stranger(admin))
    assert done.returncode == 0, done
    admin.run_or_fail("deploy", "--yes")
    return admin


def test_one_may_have_a_scope_of_its_own_which_the_others_users_cannot_read(apart: Admin) -> None:
    now = state(apart.databricks, VOLUME)

    variable = "spark_env_vars.AZURE_CLIENT_SECRET"
    assert [it["definition"][variable]["value"] for it in now["policies"].values()] == [
        "{{secrets/training/clientSecret}}",
        "{{secrets/azureml/clientSecret}}",
    ]
    assert now["acls"]["azureml"][1:] == [("data-scientists", "READ")]
    assert now["acls"]["training"][1:] == [("trainers", "READ")]
    assert body(apart.run_or_fail("deploy").stdout) == "Nothing to change.\n"
    # And status knows the age of both
    secrets = json.loads(apart.run("status", "--json").stdout)["secrets"]
    assert [it["name"] for it in secrets] == ["azureml/clientSecret", "training/clientSecret"]


def test_a_secret_is_for_the_scope_of_the_policy_that_is_named(apart: Admin) -> None:
    before = state(apart.databricks, VOLUME)

    unsaid = apart.run("secrets", "rotate", stdin=stranger(apart))
    wrong = apart.run("secrets", "rotate", "--policy", "azureml", stdin=stranger(apart))
    unknown = apart.run("secrets", "set", "--policy", "no", stdin=stranger(apart))

    assert (
        "Error: azureml-databricks.toml has several secret scopes: give --policy azureml (scope azureml) or "
        "--policy 'ML for training' (scope training)"
    ) in unsaid.stderr
    assert "Error: --policy is 'no': azureml-databricks.toml has azureml, 'ML for training'" in unknown.stderr
    assert f"secret scope azureml has service principal {apart.azure.principal.client_id}" in wrong.stderr
    assert "| azureml-databricks secrets rotate --policy azureml`" in wrong.stderr
    assert state(apart.databricks, VOLUME) == before
    done = apart.run_or_fail("secrets", "rotate", "--policy", "azureml", stdin=apart.service_principal)
    assert done.stdout.startswith("updated secret azureml/clientSecret\n")


def test_a_plan_before_the_first_deployment_names_each_scope_that_is_to_be_filled(admin: Admin) -> None:
    admin.databricks.user("tom@contoso.com", groups=["trainers"])
    write(admin, STANDARD, APART)

    done = admin.run("plan")

    assert (done.returncode, done.stderr) == (2, "")
    for policy in ("azureml", "'ML for training'"):
        assert f"`azureml-databricks secrets set --policy {policy}`" in done.stdout
    assert "secrets set --policy azureml`\n" in admin.run("status").stdout.splitlines(keepends=True)[-1]


def test_a_scope_that_has_no_secret_yet_is_named_with_the_command_for_it(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets
    admin.databricks.user("tom@contoso.com", groups=["trainers"])
    write(admin, STANDARD, APART)

    done = admin.run("deploy", "--yes")

    assert "there is no secret scope training: clusters would not start; " in done.stderr
    assert "`azureml-databricks secrets set --policy 'ML for training'`" in done.stderr


def test_who_moves_to_a_scope_of_their_own_reads_the_former_one_while_a_cluster_needs_it(two: Admin) -> None:
    # Given a cluster of the trainers', made with the scope of all
    make_training_cluster(two)
    write(two, STANDARD, APART)
    two.run("secrets", "set", "--policy", "ML for training", stdin=stranger(two))

    first = two.run_or_fail("deploy", "--yes").stdout
    reading = state(two.databricks, VOLUME)["acls"]["azureml"][1:]
    two.run_or_fail("deploy", "--yes", "--enforce")

    assert "right READ on secret scope azureml for trainers stays: cluster training" in first
    assert reading == [("data-scientists", "READ"), ("trainers", "READ")]
    assert state(two.databricks, VOLUME)["acls"]["azureml"][1:] == [("data-scientists", "READ")]


def test_destroy_removes_both_scopes_and_terraform_gets_the_readers_of_each(apart: Admin) -> None:
    apart.run_or_fail("policy", "render", "--format", "terraform", "--all", "module")
    apart.run_or_fail("destroy", "--yes")

    module = json.loads((apart.folder / "module/azureml-databricks.tf.json").read_text())
    acls = module["resource"]["databricks_secret_acl"].values()
    assert [(it["scope"], it["principal"]) for it in acls] == [
        ("azureml", "data-scientists"),
        ("training", "trainers"),
    ]
    assert state(apart.databricks, VOLUME)["acls"] == {}


def test_a_scope_has_no_meaning_without_secrets(admin: Admin) -> None:
    write(admin, STANDARD, APART, login='auth = "service-credential"\nserviceCredential = "ml"')

    assert "policy.scope has no meaning with auth" in admin.run("plan").stderr
