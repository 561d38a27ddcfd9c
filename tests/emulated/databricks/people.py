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
            Route(f"{base}/Groups", self._groups, methods=["GET"]),
        ]

    async def _me(self, request: Request) -> JSONResponse:
        """Who calls.

        Source: https://docs.databricks.com/api/azure/workspace/currentuser/me
        """
        shown = {**self._shown(caller(request)), "userName": caller(request).user_name}
        return JSONResponse(shown, headers={"X-Databricks-Org-Id": WORKSPACE_ID})

    async def _users(self, request: Request) -> JSONResponse:
        """Users by name; only an admin sees which groups others are in."""
        return self._list(request, "userName", service_principals=False)

    async def _service_principals(self, request: Request) -> JSONResponse:
        """Service principals by application ID.

        Source: https://docs.databricks.com/api/azure/workspace/serviceprincipals
        """
        return self._list(request, "applicationId", service_principals=True)

    async def _groups(self, request: Request) -> JSONResponse:
        """Groups of the account that are assigned to the workspace, and its own; by name, or all.

        Source: databricks.sdk.service.iam: `meta.resourceType` says which they are
        """
        _check_admin(request)
        asked = request.query_params.get("filter", "")
        first = int(request.query_params.get("startIndex") or 1) == 1
        there = self._callers.groups - {"account users"}
        names = sorted(there & _asked_for("displayName", asked, there) if asked else there) if first else []
        found = [
            {
                "id": str(number),
                "displayName": name,
                "meta": {"resourceType": "WorkspaceGroup" if name in self._callers.local_groups else "Group"},
            }
            for number, name in enumerate(names, start=1)
        ]
        return JSONResponse({"totalResults": len(found), "startIndex": 1, "Resources": found})

    def _shown(self, who: Caller) -> dict[str, Any]:
        return {
            # Clients take two of one ID for one.
            "id": str(self._callers.all().index(who) + 1),
            "displayName": who.user_name,
            "active": True,
            "groups": [{"display": group, "type": "direct"} for group in who.groups],
        }

    def _list(self, request: Request, key: str, *, service_principals: bool) -> JSONResponse:
        _check_admin(request)
        everybody = {who.user_name for who in self._callers.all()}
        names = _asked_for(key, request.query_params.get("filter", ""), everybody)
        # Whoever logs in as Ada is ada, too: https://www.rfc-editor.org/rfc/rfc7643#section-4.1.1
        names = {name.casefold() for name in names}
        # Pages are asked for until one is empty.
        first = int(request.query_params.get("startIndex") or 1) == 1
        found = [
            {**self._shown(who), key: who.user_name}
            for who in self._callers.all()
            if first
            and who.user_name.casefold() in names
            and ("@" not in who.user_name) == service_principals
        ]
        return JSONResponse({"totalResults": len(found), "startIndex": 1, "Resources": found})


def _check_admin(request: Request) -> None:
    if "admin of the workspace" not in caller(request).rights:
        raise denied(f"{caller(request).user_name} is not an admin of the workspace.")


def _asked_for(key: str, asked: str, there: set[str]) -> set[str]:
    """Return the names that a filter lets through: equal ones, or those that begin so.

    Source: databricks.sdk.service.iam: operators `eq`, `sw` and others, and simple expressions with `or`
    """
    if begins := re.fullmatch(rf'{key} sw "([^"\\]*)"', asked):
        return {name for name in there if name.startswith(begins[1])}
    if asked.startswith("displayName") and key == "applicationId":
        return set()  # nobody here has a name besides
    term = rf'{key} eq "((?:[^"\\]|\\.)*)"'
    if not re.fullmatch(rf"{term}( or {term})*", asked):
        raise invalid(f"This workspace lists by one filter: {key} eq, with or between several, or {key} sw")
    return {re.sub(r"\\(.)", r"\1", it[1]) for it in re.finditer(term, asked)}
