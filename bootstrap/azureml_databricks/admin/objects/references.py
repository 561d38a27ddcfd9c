"""Who in a workspace points at files or secrets of ours."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from typing import Any

from databricks.sdk.service import compute

from azureml_databricks.admin.objects.inventory import Inventory
from azureml_databricks.admin.objects.pointing import points_at
from azureml_databricks.admin.services.databricks import telling

# An admin looks at one or two; who has thousands gets no page of them.
_SHOWN = 10


class References:
    """A workspace's policies but for some, clusters, jobs and pipelines: read when first asked about."""

    def __init__(self, inventory: Inventory, besides: Collection[str] = ()) -> None:
        """Name the policies, by their IDs, that do not count."""
        self._inventory = inventory
        self._besides = set(filter(None, besides))

    def count(self, policy: str) -> None:
        """Let a policy, by its ID, count after all."""
        self._besides.discard(policy)

    def to(self, place: str, under: Collection[str] | None = None) -> str:
        """Say who points at a place, such as `cluster etl, policy ml`, and of many some; empty for nobody.

        Args:
            place: as of `pointing.points_at`.
            under: the IDs of policies under one of which they are; None for all.
        """
        found = [
            who
            for who, policy, known in self._all
            if policy not in self._besides
            and points_at(known, place)
            and (under is None or any(it and points_at(known, it) for it in under))
        ]
        more = f" and {len(found) - _SHOWN} others" if len(found) > _SHOWN else ""
        return ", ".join(found[:_SHOWN]) + more

    @cached_property
    def _all(self) -> list[tuple[str, str, dict[str, Any]]]:
        what = "policies, clusters, jobs and pipelines"
        with telling(f"{what} cannot be listed", "the admin role of the workspace"):
            return list(self._read())

    def _read(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield what each is called, of a policy its ID, and what is known of it."""
        there = self._inventory
        there.read_all()
        for policy in there.policies:
            yield f"policy {policy.name}", policy.policy_id or "", policy.as_dict()
        for cluster in there.clusters:
            of_a_user = cluster.cluster_source in (compute.ClusterSource.UI, compute.ClusterSource.API)
            if not of_a_user and cluster.state == compute.State.TERMINATED:
                continue  # a job's or a pipeline's never starts again
            yield f"cluster {cluster.cluster_name or cluster.cluster_id}", "", cluster.as_dict()
        for job in there.jobs:
            name = job.settings and job.settings.name
            yield f"job {name or job.job_id}", "", job.as_dict()
        for pipeline in there.pipelines:
            yield f"pipeline {pipeline.name or pipeline.pipeline_id}", "", pipeline.as_dict()
