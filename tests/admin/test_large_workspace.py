"""A workspace with thousands of clusters: lists are read once, by the page, and the answer is short."""

from __future__ import annotations

from collections import Counter

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config

from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.services.databricks import telling
from tests.admin.conftest import Admin
from tests.admin.large_workspace import fill, let_everybody_read
from tests.admin.test_deploy import body, make_cluster
from tests.admin.test_status import make_job


def asked(admin: Admin, command: str, *options: str) -> Counter[str]:
    """Run a command, and return how often it asked for each thing."""
    admin.databricks.journal.clear()
    done = admin.run(command, *options)
    assert done.returncode in (0, 2), done
    return Counter(it.path.removeprefix("/api/") for it in admin.databricks.journal)


def test_requests_grow_with_pages_only(deployed: Admin) -> None:
    # Given a workspace in which everybody may read the files
    let_everybody_read(deployed)
    few = {command: asked(deployed, command) for command in ("plan", "status")}

    # When there are a few hundred of everything
    fill(deployed, clusters=401, jobs=201, policies=300, pipelines=3)

    # Then each list is read once, a hundred at a time
    grown = {command: asked(deployed, command) - few[command] for command in ("plan", "status")}
    assert grown["plan"] == {"2.1/clusters/list": 2, "2.2/jobs/list": 2}
    # and no list says what a pipeline's clusters are
    of_pipelines = {path: count for path, count in grown["status"].items() if "/pipelines/" in path}
    assert (len(of_pipelines), sum(of_pipelines.values())) == (3, 3)
    assert grown["status"] - Counter(of_pipelines) == {
        "2.1/clusters/list": 4,
        "2.2/jobs/list": 2,
        "2.0/policies/clusters/list-compliance": 2,
        "2.0/policies/jobs/list-compliance": 1,
    }


def test_where_not_everybody_may_read_whom_each_job_runs_as_is_asked(deployed: Admin) -> None:
    for number in range(30):
        user = deployed.databricks.user(f"u{number}@contoso.com", groups=["data-scientists"])
        deployed.databricks.clusters.add(
            deployed.databricks.clusters.found(make_cluster(deployed))["spec"], user
        )
    for number in range(3):
        make_job(deployed, f"j{number}")

    requests = asked(deployed, "plan")

    assert requests["2.2/jobs/get"] == 3
    # Twenty of those who run something are asked about at once.
    assert requests["2.0/preview/scim/v2/Users"] <= 2 * 2


def listed(status: str) -> list[str]:
    """Return the lines of the clusters and jobs; below them is only how old the secret is."""
    clusters_and_jobs, _, _ = body(status).rpartition("\nSecret ")
    clusters_and_jobs, _, _ = clusters_and_jobs.partition("\n1 behind: ")
    return clusters_and_jobs.rstrip().splitlines()


def test_status_begins_with_counts_and_lists_who_is_behind(deployed: Admin) -> None:
    fill(deployed, clusters=6, jobs=4, policies=1, pipelines=0)
    cluster_id = make_cluster(deployed, "behind")
    spec = deployed.databricks.clusters.found(cluster_id)["spec"]
    deployed.databricks.clusters.change(cluster_id, {**spec, "data_security_mode": "NONE"})

    done = deployed.run("status")
    some, everything = done.stdout, deployed.run("status", "--all").stdout

    assert (done.returncode, done.stderr) == (2, "")
    assert (
        "\n1 behind: `azureml-databricks deploy --enforce` brings it to what the policy says, and shows "
        "first whether it restarts\n"
    ) in some
    assert "\nClusters and jobs under the policy: 7 as it says, 1 not\n" in some
    assert listed(some)[-1].split() == [
        *("cluster", "behind", cluster_id, "admin@contoso.com", "RUNNING", "no:", "data_security_mode")
    ]
    assert [line.split()[1] for line in listed(everything)[-8:]] == [
        *("first", "c1", "c3", "c5", "behind", "nightly", "j1", "j3")
    ]


def test_a_workspace_that_is_asked_too_much_says_so(deployed: Admin) -> None:
    # Given one that answers 429 for longer than we wait
    deployed.databricks.faults.add(path="/jobs/list", status=429, headers={"Retry-After": "1"})
    config = Config(
        host=deployed.databricks.host, token=deployed.databricks.admin.token, retry_timeout_seconds=1
    )
    client = WorkspaceClient(config=config)

    with pytest.raises(AdminError) as told, telling("jobs cannot be listed", "the admin role"):
        list(client.jobs.list())

    assert str(told.value).startswith(
        "jobs cannot be listed: for a minute, the workspace has answered that it gets too many requests (429"
    )
    assert str(told.value).endswith("run this again in some minutes, when others ask it less")
