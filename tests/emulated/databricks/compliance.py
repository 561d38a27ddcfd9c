"""Whether clusters and jobs are as their policy now is, and making them so.

Source: https://docs.databricks.com/api/azure/workspace/policycomplianceforclusters,
https://docs.databricks.com/api/azure/workspace/policycomplianceforjobs
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.emulated.databricks import definitions
from tests.emulated.databricks.clusters import Clusters
from tests.emulated.databricks.definitions import Spec, text_of
from tests.emulated.databricks.errors import ApiError, invalid
from tests.emulated.databricks.jobs import Jobs, job_clusters
from tests.emulated.databricks.pages import page
from tests.emulated.databricks.policies import Policies


class Compliance:
    """Compares specs with definitions."""

    def __init__(self, policies: Policies, clusters: Clusters, jobs: Jobs) -> None:
        self._policies = policies
        self._clusters = clusters
        self._jobs = jobs

    @property
    def routes(self) -> list[Route]:
        clusters, jobs = "/api/2.0/policies/clusters", "/api/2.0/policies/jobs"
        return [
            Route(f"{clusters}/list-compliance", self._list_clusters, methods=["GET"]),
            Route(f"{clusters}/get-compliance", self._get_cluster, methods=["GET"]),
            Route(f"{clusters}/enforce-compliance", self._enforce_cluster, methods=["POST"]),
            Route(f"{jobs}/list-compliance", self._list_jobs, methods=["GET"]),
            Route(f"{jobs}/get-compliance", self._get_job, methods=["GET"]),
            Route(f"{jobs}/enforce-compliance", self._enforce_job, methods=["POST"]),
        ]

    async def _list_clusters(self, request: Request) -> JSONResponse:
        """A page of the clusters that users made with a policy.

        Source: databricks.sdk.service.compute; how many there are on a page is assumed
        """
        policy_id = request.query_params["policy_id"]
        self._policies.definition(policy_id)
        found = self._clusters.under(policy_id)
        listed = [{"cluster_id": it["cluster_id"], **_verdict(self._of(it["spec"]))} for it in found]
        return JSONResponse(page(listed, request.query_params, key="clusters"))

    async def _get_cluster(self, request: Request) -> JSONResponse:
        cluster = self._clusters.found(request.query_params["cluster_id"])
        return JSONResponse(_verdict(self._of(_governed(cluster))))

    async def _enforce_cluster(self, request: Request) -> JSONResponse:
        """Make a cluster as its policy is; not a job's, and not one that starts or stops."""
        sent = await request.json()
        cluster = self._clusters.found(sent["cluster_id"])
        if cluster["cluster_source"] == "JOB":
            raise invalid(f"Cluster {cluster['cluster_id']} is a job's: enforce the job's compliance.")
        if cluster["state"] not in ("RUNNING", "TERMINATED"):
            raise ApiError(400, "INVALID_STATE", f"Cluster {cluster['cluster_id']} is {cluster['state']}.")
        before, after = _governed(cluster), self._enforced(_governed(cluster))
        if not sent.get("validate_only") and before != after:
            self._clusters.change(cluster["cluster_id"], after)
        changes = list(_changes(before, after))
        return JSONResponse({"has_changes": bool(changes), **({"changes": changes} if changes else {})})

    async def _list_jobs(self, request: Request) -> JSONResponse:
        """A page of the jobs of which a cluster is under a policy.

        Source: databricks.sdk.service.jobs; how many there are on a page is assumed
        """
        policy_id = request.query_params["policy_id"]
        self._policies.definition(policy_id)
        listed = [
            {"job_id": job["job_id"], **_verdict(self._of_job(job))}
            for job in self._jobs.jobs.values()
            if policy_id in _policies_of(job)
        ]
        return JSONResponse(page(listed, request.query_params, key="jobs"))

    async def _get_job(self, request: Request) -> JSONResponse:
        job = self._jobs.found(int(request.query_params["job_id"]))
        return JSONResponse(_verdict(self._of_job(job)))

    async def _enforce_job(self, request: Request) -> JSONResponse:
        """Make a job's clusters as their policies are."""
        sent = await request.json()
        job = self._jobs.found(sent["job_id"])
        changes = []
        for key, holder in job_clusters(job["settings"]).items():
            before, after = holder["new_cluster"], self._enforced(holder["new_cluster"])
            changes += [{**it, "field": f"{key}.{it['field']}"} for it in _changes(before, after)]
            if not sent.get("validate_only"):
                holder["new_cluster"] = after
        answer: dict[str, Any] = {"has_changes": bool(changes), "settings": job["settings"]}
        return JSONResponse({**answer, **({"job_cluster_changes": changes} if changes else {})})

    def _of(self, spec: Spec, kind: str = "all-purpose") -> dict[str, str]:
        return definitions.violations(self._policies.definition(spec["policy_id"]), spec, kind)

    def _of_job(self, job: dict[str, Any]) -> dict[str, str]:
        return {
            f"{key}.{path}": why
            for key, holder in job_clusters(job["settings"]).items()
            if holder["new_cluster"].get("policy_id")
            for path, why in self._of(holder["new_cluster"], "job").items()
        }

    def _enforced(self, spec: Spec) -> Spec:
        if not spec.get("policy_id"):
            return spec
        return definitions.enforce(self._policies.definition(spec["policy_id"]), spec)


def _policies_of(job: dict[str, Any]) -> set[str | None]:
    return {holder["new_cluster"].get("policy_id") for holder in job_clusters(job["settings"]).values()}


def _governed(cluster: dict[str, Any]) -> Spec:
    spec: Spec = cluster["spec"]
    if not spec.get("policy_id"):
        raise invalid(f"Cluster {cluster['cluster_id']} does not have a policy.")
    return spec


def _verdict(violations: dict[str, str]) -> dict[str, Any]:
    if not violations:
        return {"is_compliant": True}
    return {"is_compliant": False, "violations": violations}


def _changes(before: Spec, after: Spec) -> Iterator[dict[str, str]]:
    """Yield what differs, leaf by leaf."""
    was, now = dict(_leaves(before)), dict(_leaves(after))
    for path in sorted({*was, *now}):
        if was.get(path) != now.get(path):
            sides = {"previous_value": was.get(path), "new_value": now.get(path)}
            yield {"field": path, **{side: text_of(it) for side, it in sides.items() if it is not None}}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        yield path, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{path}.{key}" if path else str(key))
