"""Who in a workspace points at files or secrets of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service import compute

from azureml_databricks.admin.services.databricks import telling


class References:
    """The policies, clusters and jobs of a workspace, but for one policy: read when first asked about."""

    def __init__(self, client: WorkspaceClient, besides: str) -> None:
        """Name the policy, by its ID, that does not count; empty for none."""
        self._client = client
        self._besides = besides

    def to(self, text: str) -> str:
        """Say who has `text` in what is known of them, such as `cluster etl, policy ml`; empty for nobody."""
        return ", ".join(who for who, known in self._all if text in known)

    @cached_property
    def _all(self) -> list[tuple[str, str]]:
        with telling("policies, clusters and jobs cannot be listed", "the admin role of the workspace"):
            return [(who, json.dumps(known)) for who, known in self._read()]

    def _read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for policy in self._client.cluster_policies.list():
            if policy.policy_id != self._besides:
                yield f"policy {policy.name}", policy.as_dict()
        for cluster in self._client.clusters.list():
            of_a_user = cluster.cluster_source in (compute.ClusterSource.UI, compute.ClusterSource.API)
            if not of_a_user and cluster.state == compute.State.TERMINATED:
                continue  # a job's or a pipeline's never starts again
            yield f"cluster {cluster.cluster_name or cluster.cluster_id}", cluster.as_dict()
        for job in self._client.jobs.list(expand_tasks=True):
            name = job.settings and job.settings.name
            yield f"job {name or job.job_id}", job.as_dict()
