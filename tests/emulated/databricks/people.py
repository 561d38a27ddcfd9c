"""Users and service principals, and which groups they are in.

Not minilake's, which knows none of those who have a token here.

Source: https://docs.databricks.com/api/azure/workspace/users
"""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.emulated.databricks.callers import Caller, Callers, caller
from tests.emulated.databricks.errors import denied, invalid
from tests.emulated.databricks.ids import WORKSPACE_ID


class People:
    """All who have a token."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    @property
    def routes(self) -> list[Route]:
        base = "/api/2.0/preview/scim/v2"
        return [
            Route(f"{base}/Me", self._me, methods=["GET"]),
            Route(f"{base}/Users", self._users, methods=["GET"]),
            Route(f"{base}/ServicePrincipals", self._service_principals, methods=["GET"]),
        ]

    async def _me(self, request: Request) -> JSONResponse:
        """Who calls.

        Source: https://docs.databricks.com/api/azure/workspace/currentuser/me
        """
        shown = {**_shown(caller(request)), "userName": caller(request).user_name}
        return JSONResponse(shown, headers={"X-Databricks-Org-Id": WORKSPACE_ID})

    async def _users(self, request: Request) -> JSONResponse:
        """Users by name; only an admin sees which groups others are in."""
        return self._list(request, "userName", service_principals=False)

    async def _service_principals(self, request: Request) -> JSONResponse:
        """Service principals by application ID.

        Source: https://docs.databricks.com/api/azure/workspace/serviceprincipals
        """
        return self._list(request, "applicationId", service_principals=True)

    def _list(self, request: Request, key: str, *, service_principals: bool) -> JSONResponse:
        if "admin of the workspace" not in caller(request).rights:
            raise denied(f"{caller(request).user_name} is not an admin of the workspace.")
        asked = re.fullmatch(rf'{key} eq "((?:[^"\\]|\\.)*)"', request.query_params.get("filter", ""))
        if not asked:
            raise invalid(f"This workspace lists by one filter only: {key} eq")
        name = re.sub(r"\\(.)", r"\1", asked[1])
        # Pages are asked for until one is empty.
        first = int(request.query_params.get("startIndex") or 1) == 1
        found = [
            {**_shown(who), key: name}
            for who in self._callers.all()
            if first and who.user_name == name and ("@" not in name) == service_principals
        ]
        return JSONResponse({"totalResults": len(found), "startIndex": 1, "Resources": found})


def _shown(who: Caller) -> dict[str, Any]:
    return {
        "id": "1",
        "displayName": who.user_name,
        "active": True,
        "groups": [{"display": group, "type": "direct"} for group in who.groups],
    }
