"""Fills a workspace with thousands of clusters, jobs and policies."""

from __future__ import annotations

import json
from typing import Any

from databricks.sdk.service.catalog import PermissionsChange, Privilege

from tests.admin.conftest import VOLUME, Admin
from tests.admin.test_deploy import make_cluster
from tests.admin.test_status import make_job


def fill(admin: Admin, clusters: int, jobs: int, policies: int, pipelines: int) -> None:
    """Have clusters and jobs in the workspace, half of them under our policy, and policies and pipelines."""
    databricks, who = admin.databricks, admin.databricks.admin
    cluster = databricks.clusters.found(make_cluster(admin, "first"))
    job = databricks.jobs.found(make_job(admin))
    (ours,) = databricks.cluster_client(who).cluster_policies.list()
    policy = {"creator_user_name": who.user_name, "created_at_timestamp": 0, "definition": "{}"}
    for number in range(policies):
        its_id = f"{number:016X}"
        databricks.policies._policies[its_id] = {**policy, "policy_id": its_id, "name": f"policy {number}"}
    for number in range(clusters):
        under = ours.policy_id if number % 2 else f"{0:016X}"
        spec = {**cluster["spec"], "cluster_name": f"c{number}", "policy_id": under}
        databricks.clusters.add(spec, who)
    for number in range(jobs):
        settings: dict[str, Any] = json.loads(json.dumps(job["settings"]))
        settings["name"] = f"j{number}"
        settings["job_clusters"][0]["new_cluster"]["policy_id"] = ours.policy_id if number % 2 else "0"
        databricks.jobs.jobs[number + 1] = {**job, "job_id": number + 1, "settings": settings}
    for number in range(pipelines):
        databricks.cluster_client(who).pipelines.create(name=f"p{number}")


def let_everybody_read(admin: Admin) -> None:
    """Let everybody read the volume, by grants above it."""
    client = admin.databricks.cluster_client(admin.databricks.admin)
    everything = [Privilege.USE_CATALOG, Privilege.USE_SCHEMA, Privilege.READ_VOLUME]
    change = PermissionsChange(add=everything, principal="account users")
    client.grants.update("catalog", VOLUME.partition(".")[0], changes=[change])
