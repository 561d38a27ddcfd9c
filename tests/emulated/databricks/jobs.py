"""Jobs that are kept.

Not minilake's, which forgets policies and access modes of job clusters.

Source: https://docs.databricks.com/api/azure/workspace/jobs
"""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.emulated.databricks.callers import Caller, caller
from tests.emulated.databricks.clusters import Clusters
from tests.emulated.databricks.definitions import Spec
from tests.emulated.databricks.errors import invalid
from tests.emulated.databricks.ids import new_number
from tests.emulated.databricks.pages import page

_FIRST_PAGE, _LARGEST_PAGE = 20, 100

# By which entries of a job's lists are known.
_KEYS = {"tasks": "task_key", "job_clusters": "job_cluster_key"}


class Jobs:
    """All jobs of the workspace."""

    def __init__(self, clusters: Clusters) -> None:
        self._clusters = clusters
        self.jobs: dict[int, dict[str, Any]] = {}

    @property
    def routes(self) -> list[Route]:
        base = "/api/2.2/jobs"
        return [
            Route(f"{base}/create", self._create, methods=["POST"]),
            Route(f"{base}/get", self._get, methods=["GET"]),
            Route(f"{base}/list", self._list, methods=["GET"]),
            Route(f"{base}/reset", self._reset, methods=["POST"]),
            Route(f"{base}/update", self._update, methods=["POST"]),
            Route(f"{base}/delete", self._delete, methods=["POST"]),
        ]

    def found(self, job_id: int) -> dict[str, Any]:
        if job_id not in self.jobs:
            raise invalid(f"Job {job_id} does not exist.")
        return self.jobs[job_id]

    async def _create(self, request: Request) -> JSONResponse:
        """Keep a job; what a policy fixes is written into each job cluster.

        Whom it runs as is its maker, unless it says so; that is told by a name of its own.

        Source: https://docs.databricks.com/api/azure/workspace/jobs/get, run_as_user_name
        """
        sent, who = await request.json(), caller(request)
        # Written, and never told among the settings.
        run_as = (sent.pop("run_as", None) or {}).values()
        settings = self._checked(sent, who)
        job_id = new_number()
        self.jobs[job_id] = {
            "job_id": job_id,
            "creator_user_name": who.user_name,
            "run_as_user_name": next(iter(run_as), who.user_name),
            "created_time": int(time.time() * 1000),
            "settings": settings,
        }
        return JSONResponse({"job_id": job_id})

    async def _get(self, request: Request) -> JSONResponse:
        return JSONResponse(self.found(int(request.query_params["job_id"])))

    async def _list(self, request: Request) -> JSONResponse:
        """A page of jobs, 20 unless asked for up to 100; tasks and their clusters only with `expand_tasks`.

        Source: databricks.sdk.service.jobs
        """
        asked = request.query_params
        if int(asked.get("limit", _FIRST_PAGE)) > _LARGEST_PAGE:
            raise invalid(f"limit must be between 1 and {_LARGEST_PAGE}.")
        expanded = request.query_params.get("expand_tasks") == "true"
        shown = (
            {key: it for key, it in job.items() if key != "run_as_user_name"} for job in self.jobs.values()
        )
        listed = [job if expanded else _without_tasks(job) for job in shown]
        return JSONResponse(page(listed, asked, key="jobs", size="limit"))

    async def _reset(self, request: Request) -> JSONResponse:
        sent = await request.json()
        self.found(sent["job_id"])["settings"] = self._checked(sent["new_settings"], caller(request))
        return JSONResponse({})

    async def _update(self, request: Request) -> JSONResponse:
        """Replace fields of a job as a whole, and of tasks and job clusters those with the same keys.

        Source: https://docs.databricks.com/api/azure/workspace/jobs/update
        """
        sent = await request.json()
        job = self.found(sent["job_id"])
        settings = dict(job["settings"])
        for field, value in (sent.get("new_settings") or {}).items():
            if key := _KEYS.get(field):
                entries = [*(settings.get(field) or []), *value]
                settings[field] = list({it[key]: it for it in entries}.values())
            else:
                settings[field] = value
        job["settings"] = self._checked(settings, caller(request))
        return JSONResponse({})

    async def _delete(self, request: Request) -> JSONResponse:
        self.jobs.pop((await request.json())["job_id"], None)
        return JSONResponse({})

    def _checked(self, settings: dict[str, Any], who: Caller) -> dict[str, Any]:
        """Return settings as they are kept: what a policy fixes is written into each job cluster."""
        for holder in job_clusters(settings).values():
            holder["new_cluster"] = self._clusters.spec(holder["new_cluster"], who, "job")
        return settings


def _without_tasks(job: dict[str, Any]) -> dict[str, Any]:
    hidden = ("tasks", "job_clusters")
    return {**job, "settings": {key: it for key, it in job["settings"].items() if key not in hidden}}


def job_clusters(settings: dict[str, Any]) -> dict[str, dict[str, Spec]]:
    """Return what holds each `new_cluster` of a job, by the key of the job cluster or the task."""
    shared = {it["job_cluster_key"]: it for it in settings.get("job_clusters") or []}
    own = {it["task_key"]: it for it in settings.get("tasks") or [] if it.get("new_cluster")}
    return {**shared, **own}
