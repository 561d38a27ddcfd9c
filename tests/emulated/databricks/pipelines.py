"""Pipelines that are kept; no update of one runs.

Source: https://docs.databricks.com/api/azure/workspace/pipelines, databricks.sdk.service.pipelines
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from databricks.sdk.service.pipelines import PipelineCluster
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.emulated.databricks.callers import Caller, caller
from tests.emulated.databricks.errors import denied, invalid, not_there
from tests.emulated.databricks.pages import page
from tests.emulated.databricks.policies import Policies

_FIRST_PAGE, _LARGEST_PAGE = 25, 100


class Pipelines:
    """All pipelines of the workspace."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._pipelines: dict[str, dict[str, Any]] = {}

    @property
    def routes(self) -> list[Route]:
        base = "/api/2.0/pipelines"
        return [
            Route(base, self._create, methods=["POST"]),
            Route(base, self._list, methods=["GET"]),
            Route(f"{base}/{{id}}", self._get, methods=["GET"]),
            Route(f"{base}/{{id}}", self._delete, methods=["DELETE"]),
        ]

    async def _create(self, request: Request) -> JSONResponse:
        """Keep a pipeline; its clusters have a runtime that is the service's, and a policy that there is."""
        spec, who = await request.json(), caller(request)
        if not spec.get("name"):
            raise invalid("Pipeline name is required")
        for cluster in spec.get("clusters") or []:
            self._check(cluster, who)
        pipeline_id = str(uuid4())
        self._pipelines[pipeline_id] = {
            "pipeline_id": pipeline_id,
            "name": spec["name"],
            "state": "IDLE",
            "creator_user_name": who.user_name,
            "run_as_user_name": who.user_name,
            "spec": {"id": pipeline_id, **spec},
        }
        return JSONResponse({"pipeline_id": pipeline_id})

    def _check(self, cluster: dict[str, Any], who: Caller) -> None:
        """Refuse a field that a pipeline's cluster has not, and a policy that is not there or not theirs.

        Source: databricks.sdk.service.pipelines
        """
        if unknown := cluster.keys() - PipelineCluster.__dataclass_fields__.keys():
            raise invalid(f"Unknown field in the cluster of a pipeline: {', '.join(sorted(unknown))}")
        if cluster.get("policy_id"):
            self._policies.definition(cluster["policy_id"], who)

    async def _list(self, request: Request) -> JSONResponse:
        """A page of those that the caller may see, 25 unless asked for up to 100, without their specs.

        Source: databricks.sdk.service.pipelines
        """
        asked = request.query_params
        size = int(asked.get("max_results", _FIRST_PAGE))
        if not 0 < size <= _LARGEST_PAGE:
            raise invalid(f"max_results must be between 1 and {_LARGEST_PAGE}")
        theirs = [it for _, it in sorted(self._pipelines.items()) if _may_see(caller(request), it)]
        listed = [{key: it for key, it in each.items() if key != "spec"} for each in theirs]
        return JSONResponse(page(listed, asked, key="statuses", size="max_results", usual=_FIRST_PAGE))

    async def _get(self, request: Request) -> JSONResponse:
        return JSONResponse(self._found(request))

    async def _delete(self, request: Request) -> JSONResponse:
        del self._pipelines[self._found(request)["pipeline_id"]]
        return JSONResponse({})

    def _found(self, request: Request) -> dict[str, Any]:
        pipeline_id = request.path_params["id"]
        found = self._pipelines.get(pipeline_id)
        if found is None:
            raise not_there(f"The specified pipeline {pipeline_id} was not found.")
        who = caller(request)
        if not _may_see(who, found):
            raise denied(f"{who.user_name} does not have View permissions on pipeline {pipeline_id}.")
        return found


def _may_see(who: Caller, pipeline: dict[str, Any]) -> bool:
    """Whether somebody may view a pipeline: an admin, and who made it.

    Source: https://learn.microsoft.com/azure/databricks/security/auth/access-control/#lakeflow-declarative-pipelines-acls
    """
    return "admin of the workspace" in who.rights or pipeline["creator_user_name"] == who.user_name
