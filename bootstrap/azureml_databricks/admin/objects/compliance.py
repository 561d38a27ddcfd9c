"""Roll-out: which clusters and jobs are not yet as their policy says, and bringing them there.

https://docs.databricks.com/api/azure/workspace/policycomplianceforclusters
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.compute import ClusterCompliance, DataSecurityMode
from databricks.sdk.service.jobs import JobCompliance

from azureml_databricks.admin.objects import access_modes
from azureml_databricks.admin.objects.changes import Difference
from azureml_databricks.admin.objects.inventory import job_clusters
from azureml_databricks.admin.objects.policy import ClusterPolicy
from azureml_databricks.admin.objects.under_policy import UnderPolicy
from azureml_databricks.admin.services.databricks import telling

_RIGHT = "the admin role of the workspace"
# Others are refused: https://docs.databricks.com/api/azure/workspace/policycomplianceforclusters/enforcecompliance
_ENFORCEABLE = ("RUNNING", "TERMINATED")


@dataclass(frozen=True)
class Governed:
    """A cluster or a job under the policy.

    Attributes:
        kind: `cluster` or `job`.
        id: as Databricks gives it.
        name: as its owner gave it.
        owner: who made it.
        state: of a cluster, such as `RUNNING`; empty for a job.
        complies: whether it is as the policy says.
        violations: what is not, as Databricks words it, by path.
    """

    kind: str
    id: str
    name: str
    owner: str
    state: str
    complies: bool
    violations: dict[str, str]

    @property
    def verdict(self) -> str:
        """What to tell of it: `yes`, or what is not so."""
        return "yes" if self.complies else f"no: {', '.join(self.violations)}"

    @property
    def enforceable(self) -> bool:
        """Whether it can be brought to the policy's now."""
        return not self.state or self.state in _ENFORCEABLE

    @property
    def restarts(self) -> bool:
        """Whether that interrupts somebody."""
        return self.state == "RUNNING"


def governed(policy: ClusterPolicy, under: UnderPolicy) -> list[Governed]:
    """Return all clusters and jobs under a policy; none without one.

    An older name for the access mode is no violation.

    Args:
        policy: which.
        under: what is under it.

    Raises:
        AdminError: Databricks refuses to tell.
    """
    if not policy.id:
        return []
    with telling("compliance with the policy cannot be read", _RIGHT):
        of_clusters, of_jobs = under.compliance()
        return [*_clusters(of_clusters, policy, under), *_jobs(of_jobs, policy, under)]


def preview(client: WorkspaceClient, it: Governed) -> list[Difference]:
    """Return what enforcing would change.

    Raises:
        AdminError: Databricks refuses.
    """
    return _enforce(client, it, validate_only=True)


def enforce(client: WorkspaceClient, it: Governed) -> None:
    """Bring a cluster or a job to the policy's; a running cluster restarts.

    Raises:
        AdminError: Databricks refuses.
    """
    _enforce(client, it, validate_only=False)


def _clusters(
    listed: Sequence[ClusterCompliance], policy: ClusterPolicy, under: UnderPolicy
) -> Iterator[Governed]:
    known = {it.cluster_id: it for it in under.clusters}
    for found in listed:
        cluster = known.get(found.cluster_id)
        state = cluster.state.value if cluster and cluster.state else "UNKNOWN"
        name = (cluster and cluster.cluster_name) or found.cluster_id
        modes = {access_modes.PATH: cluster.data_security_mode} if cluster else {}
        complies, violations = _verdict(found, modes, policy)
        owner = (cluster and cluster.creator_user_name) or ""
        yield Governed("cluster", found.cluster_id, name, owner, state, complies, violations)


def _jobs(listed: Sequence[JobCompliance], policy: ClusterPolicy, under: UnderPolicy) -> Iterator[Governed]:
    known = {it.job_id: it for it in under.jobs}
    for found in listed:
        job = known.get(found.job_id)
        name = (job and job.settings and job.settings.name) or str(found.job_id)
        modes = {
            f"{key}.{access_modes.PATH}": spec.data_security_mode
            for key, spec in job_clusters(job.settings if job else None).items()
        }
        complies, violations = _verdict(found, modes, policy)
        owner = (job and job.creator_user_name) or ""
        yield Governed("job", str(found.job_id), name, owner, "", complies, violations)


def _verdict(
    found: ClusterCompliance | JobCompliance,
    modes: Mapping[str, DataSecurityMode | None],
    policy: ClusterPolicy,
) -> tuple[bool, dict[str, str]]:
    """Return whether it complies, and how not: another name for the same access mode is no violation."""
    wanted = access_modes.of_today(policy.fixed(access_modes.PATH))
    same = [path for path, mode in modes.items() if mode and access_modes.of_today(mode.value) == wanted]
    violations = {path: why for path, why in (found.violations or {}).items() if path not in same}
    return bool(found.is_compliant or (found.violations and not violations)), violations


def _enforce(client: WorkspaceClient, it: Governed, *, validate_only: bool) -> list[Difference]:
    with telling(f"{it.kind} {it.name} cannot be brought to the policy's", _RIGHT):
        if it.kind == "cluster":
            clusters = client.policy_compliance_for_clusters
            of_cluster = clusters.enforce_compliance(it.id, validate_only=validate_only).changes or []
            return [
                Difference(change.field or "", change.previous_value, change.new_value)
                for change in of_cluster
            ]
        jobs = client.policy_compliance_for_jobs
        of_job = jobs.enforce_compliance(int(it.id), validate_only=validate_only).job_cluster_changes or []
        return [Difference(change.field or "", change.previous_value, change.new_value) for change in of_job]
