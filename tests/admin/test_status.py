"""Status and roll-out: what is deployed beside what the file says, and who is behind."""

from __future__ import annotations

import json

from databricks.sdk.service.compute import ClusterSpec
from databricks.sdk.service.jobs import JobCluster, SparkPythonTask, Task

from tests.admin.conftest import Admin
from tests.admin.golden import assert_is_golden
from tests.admin.test_deploy import body, make_cluster, reads_only


def make_job(admin: Admin) -> int:
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
        name="nightly", tasks=[task], job_clusters=[JobCluster(job_cluster_key="small", new_cluster=cluster)]
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

    assert (done.returncode, done.stderr) == (0, "")
    assert_is_golden(deployed.plain(body(done.stdout)), "status-behind")


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

    done = deployed.run_or_fail("deploy", "--enforce", "--yes")

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


def test_with_nobody_behind_there_is_nothing_to_enforce(deployed: Admin) -> None:
    make_cluster(deployed)

    done = deployed.run_or_fail("deploy", "--enforce", "--yes")

    assert body(done.stdout) == "Nothing to change.\nNo cluster or job to bring to the policy's.\n"
