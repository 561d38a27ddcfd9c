"""Unity Catalog's artifact allowlists.

A list is replaced as a whole: who does not read it first loses what others had in it.

Source: https://docs.databricks.com/api/azure/workspace/artifactallowlists
"""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.emulated.databricks.callers import caller
from tests.emulated.databricks.errors import invalid

_TYPES = ("INIT_SCRIPT", "LIBRARY_JAR", "LIBRARY_MAVEN")


class Allowlists:
    """The lists of one metastore, by type."""

    def __init__(self) -> None:
        self._lists: dict[str, dict[str, Any]] = {}

    @property
    def routes(self) -> list[Route]:
        path = "/api/2.1/unity-catalog/artifact-allowlists/{type}"
        return [Route(path, self._get, methods=["GET"]), Route(path, self._put, methods=["PUT"])]

    def paths(self, type: str = "INIT_SCRIPT") -> list[str]:
        """Return the paths on a list."""
        return [matcher["artifact"] for matcher in self._lists.get(type, {}).get("artifact_matchers", [])]

    def allows(self, path: str) -> bool:
        """Whether an init script may run in standard access mode: one on the list is its path's beginning.

        Source: https://learn.microsoft.com/azure/databricks/data-governance/unity-catalog/manage-privileges/allowlist
        """
        return any(path.startswith(allowed) for allowed in self.paths())

    async def _get(self, request: Request) -> JSONResponse:
        return JSONResponse(self._lists.get(_type(request), {}))

    async def _put(self, request: Request) -> JSONResponse:
        """Replace the whole list; only prefixes match."""
        matchers = (await request.json()).get("artifact_matchers") or []
        for matcher in matchers:
            if matcher.get("match_type") != "PREFIX_MATCH" or not matcher.get("artifact"):
                raise invalid(f"Invalid artifact matcher: {matcher}")
        self._lists[_type(request)] = {
            "artifact_matchers": matchers,
            "created_at": int(time.time() * 1000),
            "created_by": caller(request).user_name,
            "metastore_id": "00000000-0000-0000-0000-0000000000a1",
        }
        return JSONResponse(self._lists[_type(request)])


def _type(request: Request) -> str:
    asked: str = request.path_params["type"]
    if asked not in _TYPES:
        raise invalid(f"Invalid artifact type: {asked}")
    return asked
