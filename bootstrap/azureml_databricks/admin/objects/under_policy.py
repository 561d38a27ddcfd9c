"""The clusters and jobs under a policy, asked for once: who runs their script, and whether they comply.

https://docs.databricks.com/api/azure/workspace/policycomplianceforjobs
"""

from __future__ import annotations

from functools import cached_property

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.compute import ClusterDetails, ListClustersFilterBy
from databricks.sdk.service.jobs import Job, JobCompliance


class UnderPolicy:
    """What is under one policy, as it was when it was first asked about.

    Attributes:
        policy_id: the policy's; empty for none, under which nothing is.
    """

    def __init__(self, client: WorkspaceClient, policy_id: str) -> None:
        """Name the policy."""
        self._client = client
        self.policy_id = policy_id

    @cached_property
    def clusters(self) -> list[ClusterDetails]:
        """All clusters, those of jobs too."""
        if not self.policy_id:
            return []
        return list(self._client.clusters.list(filter_by=ListClustersFilterBy(policy_id=self.policy_id)))

    @cached_property
    def jobs(self) -> list[tuple[JobCompliance, Job]]:
        """The jobs of which a cluster is under it, each with what is not as the policy says."""
        if not self.policy_id:
            return []
        found = self._client.policy_compliance_for_jobs.list_compliance(self.policy_id)
        return [(it, self._client.jobs.get(it.job_id)) for it in found]
