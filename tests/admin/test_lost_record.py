"""A record or a volume that is lost: what is ours is known by what it points at, and is taken back."""

from __future__ import annotations

import io
import json
from typing import Any

from tests.admin.conftest import LOCATION, VOLUME, Admin
from tests.admin.test_deploy import body, make_cluster
from tests.admin.test_status import make_job
from tests.admin.workspace_state import state

RECORD = f"{LOCATION}/azureml-databricks.made.json"
COPIES = "/Workspace/azureml-databricks"


def lose(admin: Admin, *, copy: bool = False, files: bool = False) -> None:
    """Delete the record, its copy, and all else in the location."""
    client = admin.databricks.cluster_client(admin.databricks.admin)
    client.files.delete(RECORD)
    if copy:
        client.workspace.delete(COPIES, recursive=True)
    for path in state(admin.databricks, VOLUME)["files"] if files else ():
        client.files.delete(path)


def record(admin: Admin) -> list[dict[str, Any]]:
    contents = admin.databricks.cluster_client(admin.databricks.admin).files.download(RECORD).contents
    assert contents
    made: list[dict[str, Any]] = json.loads(contents.read())["made"]
    return made


def test_nothing_is_done_without_it_and_the_way_out_is_told(deployed: Admin) -> None:
    lose(deployed)
    before = state(deployed.databricks, VOLUME)

    for command in ("plan", "deploy --yes", "destroy --yes", "secrets set"):
        done = deployed.run(*command.split(), stdin=deployed.service_principal)

        assert done.returncode == 1
        assert done.stderr.startswith(
            f"Error: the record of what was made in {LOCATION} is gone, and policy azureml has its init "
            f"script there and a copy of it is {COPIES}/Volumes-sales-ml-azureml-"
        )
        assert ": `azureml-databricks deploy --adopt` takes back what is ours" in done.stderr
    assert state(deployed.databricks, VOLUME) == before


def test_from_its_copy_all_is_known_again(deployed: Admin) -> None:
    before = record(deployed)
    lose(deployed)

    planned = deployed.run("plan", "--adopt")
    deployed.run_or_fail("deploy", "--adopt", "--yes")

    assert (planned.returncode, body(planned.stdout).splitlines()[0]) == (2, f"+ record {LOCATION}")
    assert record(deployed) == before
    assert body(deployed.run_or_fail("plan").stdout) == "Nothing to change.\n"
    deployed.run_or_fail("destroy", "--yes")
    now = state(deployed.databricks, VOLUME)
    assert (now["policies"], now["secrets"], now["files"], now["allowlist"]) == ({}, {}, {}, [])


def test_without_a_copy_it_is_known_by_what_points_here(deployed: Admin) -> None:
    # Given a cluster of before, and nothing left but what the workspace itself has
    make_cluster(deployed)
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    (policy,) = client.cluster_policies.list()
    lose(deployed, copy=True)

    deployed.run_or_fail("deploy", "--adopt", "--yes")

    # Then the policy is the same, so that no cluster is stranded
    assert [it.policy_id for it in client.cluster_policies.list()] == [policy.policy_id]
    kinds = [it["kind"] for it in record(deployed)]
    assert {"policy", "release", "allowlist entry"} <= set(kinds)
    # And no secret: nobody can see who has put it there
    assert "secret" not in kinds
    assert body(deployed.run_or_fail("plan").stdout) == "Nothing to change.\n"


def test_an_empty_volume_is_filled_again(deployed: Admin) -> None:
    before = state(deployed.databricks, VOLUME)
    lose(deployed, files=True)

    deployed.run_or_fail("deploy", "--adopt", "--yes")

    after = state(deployed.databricks, VOLUME)
    assert set(after["files"]) == set(before["files"])
    assert after["policies"] == before["policies"]


def test_a_damaged_one_is_made_anew(deployed: Admin) -> None:
    files = deployed.databricks.cluster_client(deployed.databricks.admin).files
    files.upload(RECORD, io.BytesIO(b'{"format": 1, "ma'), overwrite=True)

    refused = deployed.run("plan")
    deployed.run_or_fail("deploy", "--adopt", "--yes")

    assert refused.stderr == (
        f"Error: {RECORD} is damaged: it is the record of what was made here; `azureml-databricks deploy "
        "--adopt` makes it anew\n"
    )
    assert {"policy", "release"} <= {it["kind"] for it in record(deployed)}


def test_somebodys_own_policy_that_points_here_is_not_taken(deployed: Admin) -> None:
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    (ours,) = client.cluster_policies.list()
    client.cluster_policies.create(name="a copy by hand", definition=ours.definition)
    lose(deployed, copy=True)

    deployed.run_or_fail("deploy", "--adopt", "--yes")

    assert [it["name"] for it in record(deployed) if it["kind"] == "policy"] == ["azureml"]


def test_the_copy_goes_with_the_deployment(deployed: Admin) -> None:
    workspace = deployed.databricks.cluster_client(deployed.databricks.admin).workspace
    (copy,) = workspace.list(COPIES)
    assert copy.path

    deployed.run_or_fail("destroy", "--yes")

    assert not [it for it in workspace.list("/") if it.path == COPIES.removeprefix("/Workspace")]


# What is in use stays ---------------------------------------------------------------------------------


def test_destroy_strands_no_cluster(deployed: Admin) -> None:
    # Given a cluster and a job under the policy
    make_cluster(deployed)
    before = state(deployed.databricks, VOLUME)

    done = deployed.run("destroy", "--yes")

    # Then all that they need stays, and the exit status says that something does
    assert (done.returncode, done.stderr) == (2, "")
    assert "policy azureml stays: under it there is cluster etl\n" in done.stdout
    assert done.stdout.endswith("What stays goes when nothing needs it any more: run this again then.\n")
    after = state(deployed.databricks, VOLUME)
    assert after["policies"] == before["policies"]
    assert set(after["files"]) == set(before["files"])
    assert after["secrets"]["azureml"].keys() >= {"tenantId", "clientId", "clientSecret"}


def test_clusters_and_jobs_are_detached_first_where_that_is_asked_for(deployed: Admin) -> None:
    make_cluster(deployed)
    make_job(deployed)
    client = deployed.databricks.cluster_client(deployed.databricks.admin)

    done = deployed.run_or_fail("destroy", "--detach", "--yes")

    assert "~ cluster etl\n    policy: azureml -> (none)\n" in done.stdout
    assert "updated cluster etl\nupdated job nightly\n" in done.stdout
    (cluster,) = client.clusters.list()
    assert not cluster.policy_id
    assert not cluster.init_scripts
    assert not cluster.spark_env_vars
    assert cluster.num_workers == 1
    (job,) = client.jobs.list(expand_tasks=True)
    assert "azureml" not in json.dumps(job.as_dict())
    assert state(deployed.databricks, VOLUME)["policies"] == {}
