"""Who runs the init script of the clusters and jobs under the policy, and whether they can read it.

In dedicated access mode it is the principal that the cluster is assigned to, in the others its owner; of a
job's cluster, whom the job runs as: https://learn.microsoft.com/azure/databricks/init-scripts/
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.compute import ClusterDetails, ClusterSource, ClusterSpec

from azureml_databricks.admin.file.deployment import Principal
from azureml_databricks.admin.objects import access_modes
from azureml_databricks.admin.objects.access import Access
from azureml_databricks.admin.objects.changes import Unready
from azureml_databricks.admin.objects.compliance import job_clusters
from azureml_databricks.admin.objects.definition import CLUSTER_LIBRARIES, DEPENDENCY_MODE, ENVIRONMENTS
from azureml_databricks.admin.objects.under_policy import UnderPolicy
from azureml_databricks.admin.services.databricks import telling

_RIGHT = "the admin role of the workspace"


@dataclass(frozen=True)
class Runner:
    """A cluster or a job under the policy.

    Attributes:
        kind: `cluster` or `job`.
        name: as its owner gave it.
        principal: who runs the init script of its nodes: a user, a group or a service principal, which is
            called by its application ID.
        environments: whether its packages come from an environment, and so none from an init script.
    """

    kind: str
    name: str
    principal: str
    environments: bool


def unready(
    client: WorkspaceClient, under: UnderPolicy, rights: Sequence[Access], given: Collection[Principal]
) -> Iterator[Unready]:
    """Yield what keeps clusters and jobs under a policy from running the init script.

    Args:
        client: of the workspace.
        under: what is under the policy.
        rights: what it takes to read the files.
        given: who has these, or gets them by the deployment.

    Raises:
        AdminError: Databricks refuses to tell.
    """
    lacking: dict[str, str] = {}
    for runner in _runners(under):
        who = runner.principal
        if who not in lacking:
            names = _names(client, who)
            served = names & {it.name for it in given}
            lacking[who] = "" if served else ", ".join(it.right for it in rights if it.is_lacked_by(names))
        if lacking[who]:
            yield Unready(
                runner.kind,
                runner.name,
                f"{who}, who runs its init script, lacks {lacking[who]}",
                "its nodes do not start: name them in [policy] as users, groups or servicePrincipals",
            )
        if runner.environments:
            yield Unready(
                runner.kind,
                runner.name,
                f"its {DEPENDENCY_MODE} is {ENVIRONMENTS}, in which no init script counts",
                f"its owner sets {CLUSTER_LIBRARIES} (Dependencies, Cluster libraries)",
            )


def _runners(under: UnderPolicy) -> Iterator[Runner]:
    with telling("the clusters and jobs under the policy cannot be listed", _RIGHT):
        clusters, jobs = under.clusters, under.jobs
    for cluster in clusters:
        if cluster.cluster_source != ClusterSource.JOB:
            name = cluster.cluster_name or cluster.cluster_id or ""
            yield _runner("cluster", name, cluster, cluster.creator_user_name or "")
    for _, job in jobs:
        assert job.settings
        name, runs_as = job.settings.name or str(job.job_id), job.run_as_user_name
        for spec in job_clusters(job.settings).values():
            if spec.policy_id == under.policy_id:
                yield _runner("job", name, spec, runs_as or job.creator_user_name or "")


def _runner(kind: str, name: str, spec: ClusterDetails | ClusterSpec, owner: str) -> Runner:
    mode = spec.data_security_mode and access_modes.of_today(spec.data_security_mode.value)
    principal = (spec.single_user_name or owner) if mode == access_modes.DEDICATED else owner
    environments = bool(spec.dependency_mode and spec.dependency_mode.value == ENVIRONMENTS)
    return Runner(kind, name, principal, environments)


def _names(client: WorkspaceClient, principal: str) -> set[str]:
    """Return all names under which somebody may have a right: theirs, and those of their groups."""
    quoted = principal.replace("\\", "\\\\").replace('"', '\\"')
    with telling(f"the groups of {principal} cannot be read", _RIGHT):
        users = client.users.list(filter=f'userName eq "{quoted}"', attributes="groups")
        groups = [group.display or "" for user in users for group in user.groups or []]
        if not groups:
            found = client.service_principals.list(filter=f'applicationId eq "{quoted}"', attributes="groups")
            groups = [group.display or "" for it in found for group in it.groups or []]
    return {principal, *groups}
