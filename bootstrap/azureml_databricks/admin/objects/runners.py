"""Who runs the init script of the clusters and jobs under the policy, and whether they can read it.

In dedicated access mode it is the principal that the cluster is assigned to, in the others its owner; of a
job's cluster, whom the job runs as: https://learn.microsoft.com/azure/databricks/init-scripts/
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.compute import ClusterDetails, ClusterSource, ClusterSpec

from azureml_databricks.admin.file.deployment import Principal
from azureml_databricks.admin.objects import access_modes
from azureml_databricks.admin.objects.access import EVERYBODY, Access
from azureml_databricks.admin.objects.changes import Unready
from azureml_databricks.admin.objects.definition import CLUSTER_LIBRARIES, DEPENDENCY_MODE, ENVIRONMENTS
from azureml_databricks.admin.objects.inventory import job_clusters
from azureml_databricks.admin.objects.under_policy import UnderPolicy
from azureml_databricks.admin.services.at_once import at_once
from azureml_databricks.admin.services.databricks import telling
from azureml_databricks.admin.services.scim import filters

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
    with telling("the clusters and jobs under the policy cannot be listed", _RIGHT):
        if not under.clusters and not under.jobs:
            return
    serves_all = any(it.name == EVERYBODY for it in given) or all(it.is_everybodys() for it in rights)
    runners = list(_runners(under, with_run_as=not serves_all))
    known = {} if serves_all else _groups(client, {it.principal for it in runners})
    lacking: dict[str, str] = {}
    for who, groups in known.items():
        names = {who, *groups}
        served = names & {it.name for it in given}
        lacking[who] = "" if served else ", ".join(it.right for it in rights if it.is_lacked_by(names))
    for runner in runners:
        if what := lacking.get(runner.principal):
            yield Unready(
                runner.kind,
                runner.name,
                f"{runner.principal}, who runs its init script, lacks {what}",
                "its nodes do not start: name them in [policy] as users, groups or servicePrincipals",
            )
        if runner.environments:
            yield Unready(
                runner.kind,
                runner.name,
                f"its {DEPENDENCY_MODE} is {ENVIRONMENTS}, in which no init script counts",
                f"its owner sets {CLUSTER_LIBRARIES} (Dependencies, Cluster libraries)",
            )


def _runners(under: UnderPolicy, *, with_run_as: bool) -> Iterator[Runner]:
    with telling("the clusters and jobs under the policy cannot be listed", _RIGHT):
        clusters, jobs = under.clusters, under.jobs
        run_as: Mapping[int, str] = under.run_as if with_run_as else {}
    for cluster in clusters:
        if cluster.cluster_source != ClusterSource.JOB:
            name = cluster.cluster_name or cluster.cluster_id or ""
            yield _runner("cluster", name, cluster, cluster.creator_user_name or "")
    for job in jobs:
        name = (job.settings and job.settings.name) or str(job.job_id)
        for spec in job_clusters(job.settings).values():
            if spec.policy_id == under.policy_id:
                yield _runner("job", name, spec, run_as.get(job.job_id or 0, ""))


def _runner(kind: str, name: str, spec: ClusterDetails | ClusterSpec, owner: str) -> Runner:
    mode = spec.data_security_mode and access_modes.of_today(spec.data_security_mode.value)
    principal = (spec.single_user_name or owner) if mode == access_modes.DEDICATED else owner
    environments = bool(spec.dependency_mode and spec.dependency_mode.value == ENVIRONMENTS)
    return Runner(kind, name, principal, environments)


def _groups(client: WorkspaceClient, principals: Iterable[str]) -> dict[str, list[str]]:
    """Return the groups of users and service principals, by their names; of a group, none."""
    groups = {name: list[str]() for name in sorted(principals)}

    def users(some: str) -> dict[str, list[str]]:
        found = client.users.list(filter=some, attributes="userName,groups")
        return {it.user_name or "": [group.display or "" for group in it.groups or []] for it in found}

    def service_principals(some: str) -> dict[str, list[str]]:
        found = client.service_principals.list(filter=some, attributes="applicationId,groups")
        return {it.application_id or "": [group.display or "" for group in it.groups or []] for it in found}

    with telling("the groups of who runs init scripts cannot be read", _RIGHT):
        for found in at_once(partial(users, it) for it in filters("userName", groups)):
            groups.update(found)
        others = [name for name, its in groups.items() if not its]
        for found in at_once(partial(service_principals, it) for it in filters("applicationId", others)):
            groups.update(found)
    return groups
