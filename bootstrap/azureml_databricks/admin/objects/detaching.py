"""Clusters and jobs are taken from under our policies, before these go: they start without us from then on.

https://docs.databricks.com/api/azure/workspace/clusters/edit and .../jobs/update
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.compute import (
    ClusterDetails,
    ClusterSource,
    ClusterSpec,
    ListClustersFilterBy,
    State,
)
from databricks.sdk.service.jobs import JobSettings

from azureml_databricks.admin.objects.changes import Change, Difference
from azureml_databricks.admin.objects.inventory import job_clusters
from azureml_databricks.admin.objects.pointing import points_at
from azureml_databricks.admin.objects.policy import ClusterPolicy
from azureml_databricks.admin.services.databricks import telling

_RIGHT = "the admin role of the workspace"
# Others are refused.
_EDITABLE = (State.RUNNING, State.TERMINATED)
_VARIABLE = "spark_env_vars."


def changes(client: WorkspaceClient, policies: Sequence[ClusterPolicy], location: str) -> Iterator[Change]:
    """Yield what takes clusters and jobs from under policies, with our init script and our variables.

    One that is just starting or ending stays, and so does one that a pipeline makes.

    Args:
        client: of the workspace.
        policies: ours.
        location: where our files are.

    Raises:
        AdminError: Databricks refuses to tell.
    """
    with telling("what is under the policies cannot be listed", _RIGHT):
        for policy in policies:
            if policy.id:
                yield from _clusters(client, policy, location)
                yield from _jobs(client, policy, location)


def _clusters(client: WorkspaceClient, policy: ClusterPolicy, location: str) -> Iterator[Change]:
    for cluster in client.clusters.list(filter_by=ListClustersFilterBy(policy_id=policy.id)):
        of_a_user = cluster.cluster_source in (ClusterSource.UI, ClusterSource.API)
        if of_a_user and cluster.state in _EDITABLE:
            different = _take_out(cluster, policy, location)
            name = cluster.cluster_name or cluster.cluster_id or ""
            act = partial(_edit, client, cluster)
            yield Change("update", "cluster", name, act, tuple(different), is_ours=False)


def _jobs(client: WorkspaceClient, policy: ClusterPolicy, location: str) -> Iterator[Change]:
    for found in client.policy_compliance_for_jobs.list_compliance(policy.id):
        settings = client.jobs.get(found.job_id).settings or JobSettings()
        different = [
            Difference(f"{key}.{it.field}", it.found, it.wanted)
            for key, spec in job_clusters(settings).items()
            if spec.policy_id == policy.id
            for it in _take_out(spec, policy, location)
        ]
        act = partial(_update, client, found.job_id, settings)
        name = settings.name or str(found.job_id)
        yield Change("update", "job", name, act, tuple(different), is_ours=False)


def _take_out(spec: ClusterDetails | ClusterSpec, policy: ClusterPolicy, location: str) -> list[Difference]:
    """Take what is ours out of what a cluster is made from, and return what that was."""
    scripts = spec.init_scripts or []
    ours = [it for it in scripts if points_at(it.as_dict(), f"{location}/")]
    # What the policy gives a cluster from a secret scope; a secret of the user's own is in no policy.
    variables = {
        name: value
        for name, value in (spec.spark_env_vars or {}).items()
        if value.startswith("{{secrets/") and policy.fixed(f"{_VARIABLE}{name}") == value
    }
    spec.policy_id = None
    spec.init_scripts = [it for it in scripts if it not in ours]
    spec.spark_env_vars = _without(spec.spark_env_vars or {}, variables)
    return [
        Difference("policy", policy.name, None),
        *(Difference("init_scripts", it.as_dict(), None) for it in ours),
        *(Difference(f"{_VARIABLE}{name}", value, None) for name, value in variables.items()),
    ]


def _without(all_of_them: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in all_of_them.items() if name not in names}


def _edit(client: WorkspaceClient, cluster: ClusterDetails) -> None:
    taken = inspect.signature(client.clusters.edit).parameters
    fields: dict[str, Any] = {it: getattr(cluster, it) for it in taken if getattr(cluster, it, None)}
    # Zero workers are one node.
    fields |= {} if cluster.autoscale else {"num_workers": cluster.num_workers}
    with telling(f"cluster {cluster.cluster_name} cannot be changed", _RIGHT):
        client.clusters.edit(**fields)


def _update(client: WorkspaceClient, job_id: int, settings: JobSettings) -> None:
    # All else stays as it is, such as whom it runs as, which nobody is told among the settings.
    clusters = JobSettings(job_clusters=settings.job_clusters, tasks=settings.tasks)
    with telling(f"job {settings.name} cannot be changed", _RIGHT):
        client.jobs.update(job_id, new_settings=clusters)
