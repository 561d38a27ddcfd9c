"""Status and roll-out: what is deployed beside what the file says, and who is behind."""

from __future__ import annotations

import json

from databricks.sdk.service.catalog import PermissionsChange, Privilege
from databricks.sdk.service.compute import ClusterSpec
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.jobs import JobCluster, JobRunAs, SparkPythonTask, Task

from tests.admin.conftest import LOCATION, VOLUME, Admin
from tests.admin.golden import assert_is_golden
from tests.admin.test_deploy import body, make_cluster, reads_only


def make_job(admin: Admin, name: str = "nightly", run_as: JobRunAs | None = None) -> int:
    """Make a job as a user does who picks the policy for its cluster."""
    client = admin.databricks.cluster_client(admin.databricks.admin)
    (policy,) = client.cluster_policies.list()
    cluster = ClusterSpec(
        policy_id=policy.policy_id,
        apply_policy_default_values=True,
        spark_version="15.4.x-scala2.12",
        node_type_id="Standard_DS3_v2",
        num_workers=1,
    )
    task = Task(
        task_key="train",
        job_cluster_key="small",
        spark_python_task=SparkPythonTask(python_file="/Workspace/train.py"),
    )
    job = client.jobs.create(
        name=name,
        tasks=[task],
        job_clusters=[JobCluster(job_cluster_key="small", new_cluster=cluster)],
        run_as=run_as,
    )
    assert job.job_id
    return job.job_id


def test_what_was_changed_by_hand_is_shown_field_by_field(deployed: Admin) -> None:
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    make_cluster(deployed)
    (policy,) = client.cluster_policies.list()
    definition = json.loads(policy.definition or "")
    definition["autotermination_minutes"] = {"type": "fixed", "value": 10}
    definition["data_security_mode"]["value"] = "SINGLE_USER"
    assert policy.policy_id
    client.cluster_policies.edit(policy.policy_id, name="azureml", definition=json.dumps(definition))
    client.secrets.delete_acl("azureml", "data-scientists")

    done = deployed.run("status")

    assert (done.returncode, done.stderr) == (2, "")
    assert_is_golden(deployed.plain(body(done.stdout)), "status-drift")
    assert reads_only(deployed)


def test_it_shows_releases_clusters_and_jobs_and_whether_they_are_behind(deployed: Admin) -> None:
    make_cluster(deployed)
    make_job(deployed)
    deployed.write(settings='onError = "fail"')
    deployed.run_or_fail("deploy", "--yes")

    done = deployed.run("status")

    # Two are behind, which is a difference
    assert (done.returncode, done.stderr) == (2, "")
    assert_is_golden(deployed.plain(body(done.stdout)), "status-behind")


def test_before_the_first_deployment_and_after_the_last_it_says_what_comes_next(admin: Admin) -> None:
    # Given nothing: neither a secret nor a policy
    planned, shown = admin.run("plan"), admin.run("status", "--file", admin.file.name)

    # Then it is no error, and what comes first is told with all that a deployment would make
    scope = (
        "! secret azureml/clientSecret: there is no secret scope azureml: clusters would not start; "
        "`azureml-databricks secrets set` puts the service principal there\n"
    )
    for done in (planned, shown):
        assert (done.returncode, done.stderr) == (2, "")
        assert "+ policy azureml\n" in done.stdout
        assert scope in done.stdout
    assert "\nNothing is deployed; next: `azureml-databricks secrets set`\n" in shown.stdout
    assert admin.run("deploy", "--yes").returncode == 1
    # And with a secret, the deployment comes next; after its end, the secret again
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    assert "\nNothing is deployed; next: `azureml-databricks deploy`\n" in admin.run("status").stdout
    admin.run_or_fail("deploy", "--yes")
    assert "Nothing is deployed" not in admin.run_or_fail("status").stdout
    admin.run_or_fail("destroy", "--yes")
    for command in ("plan", "status"):
        done = admin.run(command)
        assert (done.returncode, done.stderr) == (2, "")
        assert scope in done.stdout


def test_the_same_is_json(deployed: Admin) -> None:
    cluster_id = make_cluster(deployed)

    done = deployed.run("status", "--json")

    document = json.loads(done.stdout)
    assert (document["changes"], document["kept"]) == ([], [])
    assert list(document["releases"].values()) == ["policy azureml, cluster etl"]
    assert document["governed"] == [
        {
            "kind": "cluster",
            "id": cluster_id,
            "name": "etl",
            "owner": "admin@contoso.com",
            "state": "RUNNING",
            "complies": True,
            "violations": {},
        }
    ]


def test_enforce_brings_clusters_and_jobs_to_the_policys_and_says_which_restart(deployed: Admin) -> None:
    databricks = deployed.databricks
    running, stopped, pending = (
        make_cluster(deployed),
        make_cluster(deployed, "idle"),
        make_cluster(deployed, "new"),
    )
    job_id = make_job(deployed)
    client = databricks.cluster_client(databricks.admin)
    client.clusters.delete(stopped)
    databricks.clusters.found(pending)["state"] = "PENDING"
    deployed.write(settings='onError = "fail"')

    done = deployed.run("deploy", "--enforce", "--yes")

    # One stays behind
    assert (done.returncode, done.stderr) == (2, "")
    assert_is_golden(deployed.plain(body(done.stdout)), "enforce-output")
    scripts = {
        it: (client.clusters.get(it).init_scripts or [])[0].volumes.destination  # type: ignore[union-attr]
        for it in (running, stopped, pending)
    }
    assert scripts[running] == scripts[stopped] != scripts[pending]
    (policy,) = client.cluster_policies.list()
    assert scripts[running] in (policy.definition or "")
    settings = client.jobs.get(job_id).settings
    assert settings
    assert settings.job_clusters
    assert scripts[running] in json.dumps(settings.job_clusters[0].as_dict())
    databricks.clusters.found(pending)["state"] = "RUNNING"
    again = deployed.run_or_fail("deploy", "--enforce", "--yes", "--json")
    assert [it["id"] for it in json.loads(again.stdout)["enforced"]] == [pending]
    assert json.loads(again.stdout)["behind"] == []


def test_enforce_goes_in_steps_and_says_who_stays_behind(deployed: Admin) -> None:
    # Given a running and a stopped cluster, and a job, of an older version
    running, stopped = make_cluster(deployed), make_cluster(deployed, "idle")
    job = make_job(deployed)
    deployed.databricks.cluster_client(deployed.databricks.admin).clusters.delete(stopped)
    deployed.write(settings='onError = "fail"')

    def step(*options: str) -> tuple[int, list[str], list[str]]:
        done = deployed.run("deploy", "--enforce", "--yes", "--json", *options)
        document = json.loads(done.stdout)
        enforced, behind = ([it["id"] for it in document[key]] for key in ("enforced", "behind"))
        return done.returncode, enforced, behind

    # When jobs come first, then clusters that nobody uses, then one by its name
    assert step("--only", "jobs") == (2, [str(job)], [running, stopped])
    assert step("--only", "stopped") == (2, [stopped], [running])
    assert step("--only", "jobs") == (2, [], [running])
    assert step("--name", "etl") == (0, [running], [])
    wrong = deployed.run("deploy", "--enforce", "--yes", "--name", "elt")
    assert "no cluster or job under the policy is called 'elt', or has that ID" in wrong.stderr
    alone = deployed.run("deploy", "--only", "jobs")
    assert (alone.returncode, "give that, too" in alone.stderr) == (1, True)


def test_one_that_cannot_be_enforced_keeps_no_other_from_it(deployed: Admin) -> None:
    first, second = make_cluster(deployed), make_cluster(deployed, "second")
    deployed.write(settings='onError = "fail"')
    deployed.run_or_fail("deploy", "--yes")
    deployed.databricks.faults.add(path="clusters/enforce-compliance", status=400, skip=2, times=1)

    done = deployed.run("deploy", "--enforce", "--yes", "--json")

    document = json.loads(done.stdout)
    assert done.returncode == 2
    assert [it["id"] for it in document["enforced"]] == [second]
    assert [it["id"] for it in document["behind"]] == [first]
    assert "cluster etl cannot be brought to the policy's" in document["behind"][0]["why"]


def test_with_nobody_behind_there_is_nothing_to_enforce(deployed: Admin) -> None:
    make_cluster(deployed)

    done = deployed.run_or_fail("deploy", "--enforce", "--yes")

    assert body(done.stdout) == "Nothing to change.\nNo cluster or job to bring to the policy's.\n"


# Who cannot read what runs on their nodes -------------------------------------------------------------


def may_use(admin: Admin, *names: str) -> None:
    """Let users use the policy, as another admin does by hand who does not think of the volume."""
    client = admin.databricks.cluster_client(admin.databricks.admin)
    (policy,) = client.cluster_policies.list()
    entries = [AccessControlRequest(user_name=it, permission_level=PermissionLevel.CAN_USE) for it in names]
    client.permissions.update("cluster-policies", str(policy.policy_id), access_control_list=entries)


def unready(admin: Admin, command: str = "status") -> list[tuple[str, str, str]]:
    document = json.loads(admin.run(command, "--json").stdout)
    return [(it["kind"], it["name"], it["why"]) for it in document["unready"]]


LACKS = "lacks USE CATALOG on sales, USE SCHEMA on sales.ml, READ VOLUME on sales.ml.azureml"


def test_the_owner_of_a_cluster_who_cannot_read_the_volume_is_named(deployed: Admin) -> None:
    # Given one who has the policy by hand, and one who is in the group of the file
    databricks = deployed.databricks
    bob = databricks.user("bob@contoso.com", groups=["analysts"])
    ann = next(it for it in databricks.callers.all() if it.user_name == "ann@contoso.com")
    may_use(deployed, bob.user_name)
    make_cluster(deployed, "of ann", who=ann)
    make_cluster(deployed, "of bob", who=bob)

    told = [("cluster", "of bob", f"bob@contoso.com, who runs its init script, {LACKS}")]

    assert unready(deployed) == unready(deployed, "plan") == told
    plan = deployed.run_or_fail("plan").stdout
    assert f"! cluster of bob: {told[0][2]}; its nodes do not start: name them in [policy] as" in plan
    assert reads_only(deployed)
    # When the file names them, a deploy gives it
    deployed.write(policy='name = "azureml"\ngroups = ["data-scientists", "analysts"]')
    assert unready(deployed, "plan") == []
    deployed.run_or_fail("deploy", "--yes")
    assert unready(deployed) == []


def test_a_grant_to_a_group_or_to_everybody_is_enough(deployed: Admin) -> None:
    databricks = deployed.databricks
    bob = databricks.user("bob@contoso.com", groups=["analysts"])
    may_use(deployed, bob.user_name)
    make_cluster(deployed, who=bob)
    client = databricks.cluster_client(databricks.admin)
    change = PermissionsChange(add=[Privilege.READ_VOLUME], principal="analysts")
    client.grants.update("volume", VOLUME, changes=[change])
    assert unready(deployed) == [
        (
            "cluster",
            "etl",
            "bob@contoso.com, who runs its init script, lacks USE CATALOG on sales, USE SCHEMA on sales.ml",
        )
    ]

    use = PermissionsChange(add=[Privilege.USE_CATALOG, Privilege.USE_SCHEMA], principal="account users")
    client.grants.update("catalog", "sales", changes=[use])

    assert unready(deployed) == []


def test_in_dedicated_mode_it_is_whom_the_cluster_is_assigned_to(admin: Admin) -> None:
    admin.write(clusters=f'runtimes = ["15.4"]\naccessMode = "dedicated"\nlocation = "{LOCATION}"')
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    admin.run_or_fail("deploy", "--yes")
    databricks = admin.databricks
    for user, groups in (("bob@contoso.com", ["analysts"]), ("11111111-0000-0000-0000-000000000000", [])):
        databricks.user(user, groups=groups)

    for name, principal in {
        "of ann": "ann@contoso.com",
        "of bob": "bob@contoso.com",
        "of a group": "data-scientists",
        "of another group": "analysts",
        "of a service principal": "11111111-0000-0000-0000-000000000000",
    }.items():
        make_cluster(admin, name, single_user_name=principal)

    assert [(name, why.partition(",")[0]) for _, name, why in unready(admin)] == [
        ("of bob", "bob@contoso.com"),
        ("of another group", "analysts"),
        ("of a service principal", "11111111-0000-0000-0000-000000000000"),
    ]


def test_of_a_job_it_is_whom_it_runs_as(deployed: Admin) -> None:
    deployed.databricks.user("bob@contoso.com", groups=["analysts"])
    make_job(deployed)
    make_job(deployed, "of bob", JobRunAs(user_name="bob@contoso.com"))

    assert unready(deployed) == [("job", "of bob", f"bob@contoso.com, who runs its init script, {LACKS}")]


def test_with_workspace_files_it_is_who_cannot_read_the_folder(admin: Admin) -> None:
    location = "/Workspace/Admins/azureml"
    admin.write(clusters=f'runtimes = ["15.4"]\naccessMode = "no-isolation"\nlocation = "{location}"')
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    admin.run_or_fail("deploy", "--yes")
    bob = admin.databricks.user("bob@contoso.com", groups=["analysts"])
    may_use(admin, bob.user_name)
    make_cluster(admin, "of an admin")
    make_cluster(admin, "of bob", who=bob)

    assert [(name, why.partition(" lacks ")[2]) for _, name, why in unready(admin)] == [
        ("of bob", f"CAN READ on folder {location}")
    ]


def test_a_cluster_whose_packages_are_an_environments_is_named(deployed: Admin) -> None:
    cluster_id = make_cluster(deployed)
    deployed.databricks.clusters.found(cluster_id)["dependency_mode"] = "DEPENDENCY_MODE_ENVIRONMENTS"

    why = "its dependency_mode is DEPENDENCY_MODE_ENVIRONMENTS, in which no init script counts"
    assert unready(deployed) == [("cluster", "etl", why)]


def test_where_that_cannot_be_told_a_deploy_goes_on(deployed: Admin) -> None:
    make_cluster(deployed)
    deployed.databricks.faults.add(path="/scim/v2/Users", status=403)
    deployed.write(settings='onError = "fail"')

    planned = unready(deployed, "plan")
    deployed.run_or_fail("deploy", "--yes")

    assert [(kind, name) for kind, name, _ in planned] == [("policy", "azureml")]
    assert planned[0][2].startswith(
        "who runs its init script, and cannot read it, is not known: the groups of"
    )
