"""What is in a workspace: its policies, clusters, jobs and pipelines.

A workspace may have thousands. Each list is read once, by the largest page that there is, when it is first
asked for; or several at once, before.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property, partial

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.compute import ClusterDetails, ClusterSpec, ListClustersFilterBy, Policy
from databricks.sdk.service.jobs import BaseJob, JobSettings
from databricks.sdk.service.pipelines import GetPipelineResponse

from azureml_databricks.admin.services.at_once import at_once

# The most that there may be, of jobs and pipelines by their documentation; of clusters, the service gives
# fewer if that is too many: https://docs.databricks.com/api/azure/workspace/jobs/list,
# https://docs.databricks.com/api/azure/workspace/pipelines/listpipelines
PAGE = 100


class Inventory:
    """What was there when it was first asked about. Each list raises what databricks-sdk raises."""

    def __init__(self, client: WorkspaceClient) -> None:
        """Name the workspace."""
        self.client = client
        self._under: dict[str, list[ClusterDetails]] = {}

    @cached_property
    def policies(self) -> list[Policy]:
        """All policies, of which there is one page."""
        return list(self.client.cluster_policies.list())

    @cached_property
    def clusters(self) -> list[ClusterDetails]:
        """All clusters, those of jobs and pipelines too."""
        return list(self.client.clusters.list(page_size=PAGE))

    @cached_property
    def jobs(self) -> list[BaseJob]:
        """All jobs, with their clusters, and without whom they run as, which no list says."""
        return list(self.client.jobs.list(expand_tasks=True, limit=PAGE))

    @cached_property
    def pipelines(self) -> list[GetPipelineResponse]:
        """All pipelines, with their clusters: a request for each, since no list says what these are."""
        listed = self.client.pipelines.list_pipelines(max_results=PAGE)
        return at_once(partial(self.client.pipelines.get, it.pipeline_id or "") for it in listed)

    def clusters_under(self, policy_id: str) -> list[ClusterDetails]:
        """Return the clusters under a policy, without reading those of others for it."""
        if "clusters" in vars(self):
            return [it for it in self.clusters if it.policy_id == policy_id]
        if policy_id not in self._under:
            wanted = ListClustersFilterBy(policy_id=policy_id)
            self._under[policy_id] = list(self.client.clusters.list(filter_by=wanted, page_size=PAGE))
        return self._under[policy_id]

    def jobs_under(self, policy_id: str) -> list[BaseJob]:
        """Return the jobs of which a cluster is under a policy."""
        return [
            job
            for job in self.jobs
            if any(spec.policy_id == policy_id for spec in job_clusters(job.settings).values())
        ]

    def read_all(self) -> None:
        """Read all lists, at once."""
        at_once(partial(getattr, self, name) for name in ("policies", "clusters", "jobs", "pipelines"))

    def read_under(self, policies: Collection[str]) -> None:
        """Read what says which clusters and jobs are under policies, at once."""
        of_jobs = partial(getattr, self, "jobs")
        at_once([of_jobs, *(partial(self.clusters_under, it) for it in policies)])


def job_clusters(settings: JobSettings | None) -> dict[str, ClusterSpec]:
    """Return the clusters that a job makes, by the key of the job cluster or the task."""
    if not settings:
        return {}
    shared = {it.job_cluster_key: it.new_cluster for it in settings.job_clusters or []}
    own = {it.task_key: it.new_cluster for it in settings.tasks or [] if it.new_cluster}
    return {**shared, **own}
