"""The clusters and jobs under a policy: who runs their script, and whether they comply.

https://docs.databricks.com/api/azure/workspace/policycomplianceforjobs
"""

from __future__ import annotations

from functools import cached_property, partial

from databricks.sdk.service.compute import ClusterCompliance, ClusterDetails
from databricks.sdk.service.jobs import BaseJob, JobCompliance

from azureml_databricks.admin.objects.inventory import PAGE, Inventory
from azureml_databricks.admin.services.at_once import at_once


class UnderPolicy:
    """What is under one policy, as it was when it was first asked about.

    Attributes:
        policy_id: the policy's; empty for none, under which nothing is.
    """

    def __init__(self, inventory: Inventory, policy_id: str) -> None:
        """Name the policy."""
        self._inventory = inventory
        self._client = inventory.client
        self.policy_id = policy_id

    @property
    def clusters(self) -> list[ClusterDetails]:
        """All clusters, those of jobs too."""
        return self._inventory.clusters_under(self.policy_id) if self.policy_id else []

    @property
    def jobs(self) -> list[BaseJob]:
        """The jobs of which a cluster is under it."""
        return self._inventory.jobs_under(self.policy_id) if self.policy_id else []

    @cached_property
    def run_as(self) -> dict[int, str]:
        """Whom each job runs as, by its ID: a request for each, since no list says it."""
        found = at_once(partial(self._client.jobs.get, it.job_id or 0) for it in self.jobs)
        return {it.job_id or 0: it.run_as_user_name or it.creator_user_name or "" for it in found}

    def compliance(self) -> tuple[list[ClusterCompliance], list[JobCompliance]]:
        """Return what of its clusters and jobs is not as it says."""
        clusters, jobs = self._client.policy_compliance_for_clusters, self._client.policy_compliance_for_jobs
        of_clusters: list[ClusterCompliance] = []
        of_jobs: list[JobCompliance] = []
        at_once(
            [
                lambda: of_clusters.extend(clusters.list_compliance(self.policy_id, page_size=PAGE)),
                lambda: of_jobs.extend(jobs.list_compliance(self.policy_id, page_size=PAGE)),
                lambda: self._inventory.read_under([self.policy_id]),
            ]
        )
        return of_clusters, of_jobs
