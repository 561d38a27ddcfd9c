"""Cluster policies, and who may use them.

Not minilake's, whose `edit` keeps what is left out, where the service replaces the whole policy.

Source: https://docs.databricks.com/api/azure/workspace/clusterpolicies
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.emulated.databricks import definitions, families
from tests.emulated.databricks.callers import Caller, Callers, caller
from tests.emulated.databricks.definitions import Definition, MalformedDefinitionError
from tests.emulated.databricks.errors import ApiError, denied, invalid, not_there
from tests.emulated.databricks.ids import new_policy_id
from tests.emulated.databricks.permissions import PermissionLists

_FIELDS = (
    "name",
    "description",
    "definition",
    "policy_family_id",
    "policy_family_definition_overrides",
    "max_clusters_per_user",
    "libraries",
)


class Policies:
    """All policies of the workspace.

    Attributes:
        refused_paths: what no policy may say here. Whether the service takes each field of a cluster is
            written nowhere, so a test says what it does not take.
    """

    def __init__(self, callers: Callers) -> None:
        self._policies: dict[str, dict[str, Any]] = {}
        self.refused_paths: set[str] = set()
        self._users = PermissionLists(callers, "cluster-policies", ["CAN_USE"])

    @property
    def routes(self) -> list[Route]:
        base, permissions = "/api/2.0/policies/clusters", "/api/2.0/permissions/cluster-policies/{policy_id}"
        return [
            Route(f"{base}/create", self._create, methods=["POST"]),
            Route(f"{base}/edit", self._edit, methods=["POST"]),
            Route(f"{base}/delete", self._delete, methods=["POST"]),
            Route(f"{base}/get", self._get, methods=["GET"]),
            Route(f"{base}/list", self._list, methods=["GET"]),
            *families.ROUTES,
            Route(permissions, self._permissions, methods=["GET", "PUT", "PATCH"]),
        ]

    def definition(self, policy_id: str, who: Caller | None = None) -> Definition:
        """Return what a policy says, its family's definition included.

        Args:
            policy_id: of the policy.
            who: who wants to make a cluster with it; None for nobody.

        Raises:
            ApiError: there is no such policy, `who` may not use it, or no cluster can be made with it.

        Source: facts: seen, https://github.com/databricks/cli/pull/6492
        """
        policy = self._found(policy_id)
        if who and not self._may_use(who, policy_id):
            raise denied(f"{who.user_name} is not authorized to use policy {policy['name']} ({policy_id}).")
        try:
            if family := policy.get("policy_family_id"):
                overrides = definitions.parse(policy.get("policy_family_definition_overrides", ""))
                return {**families.FAMILIES[family][1], **overrides}
            return definitions.parse(policy["definition"])
        except MalformedDefinitionError as wrong:
            raise invalid(
                f"Requests for the policy {policy['name']} cannot be satisfied due to the malformed policy "
                f"definition. Please contact your administrator to correct it: {wrong}"
            ) from None

    def _may_use(self, who: Caller, policy_id: str) -> bool:
        """Whether somebody may make clusters with a policy: an admin, and whoever was given CAN_USE.

        Source: https://learn.microsoft.com/azure/databricks/security/auth/access-control/#policies
        """
        return "admin of the workspace" in who.rights or bool(self._users.of(who, policy_id))

    async def _create(self, request: Request) -> JSONResponse:
        sent = self._checked(await request.json())
        policy_id = new_policy_id()
        now, who = int(time.time() * 1000), caller(request).user_name
        self._policies[policy_id] = {
            **sent,
            "policy_id": policy_id,
            "creator_user_name": who,
            "created_at_timestamp": now,
            "is_default": False,
        }
        return JSONResponse({"policy_id": policy_id})

    async def _edit(self, request: Request) -> JSONResponse:
        """Replace the whole policy."""
        sent = await request.json()
        found = self._found(sent.get("policy_id", ""))
        kept = {key: value for key, value in found.items() if key not in _FIELDS}
        self._policies[found["policy_id"]] = {**self._checked(sent, found["policy_id"]), **kept}
        return JSONResponse({})

    async def _delete(self, request: Request) -> JSONResponse:
        """Delete a policy; clusters keep its id."""
        found = self._found((await request.json()).get("policy_id", ""))
        del self._policies[found["policy_id"]]
        return JSONResponse({})

    async def _get(self, request: Request) -> JSONResponse:
        return JSONResponse(self._shown(self._found(request.query_params.get("policy_id", ""))))

    async def _list(self, request: Request) -> JSONResponse:
        """The policies that the caller may use, on one page."""
        who = caller(request)
        seen = [it for policy_id, it in self._policies.items() if self._may_use(who, policy_id)]
        column, order = (request.query_params.get(f"sort_{it}") for it in ("column", "order"))
        key = "name" if column == "POLICY_NAME" else "created_at_timestamp"
        seen.sort(key=lambda policy: policy[key], reverse=order != "ASC")
        return JSONResponse({"policies": [self._shown(it) for it in seen], "total_count": len(seen)})

    async def _permissions(self, request: Request) -> JSONResponse:
        """Who may use a policy: PUT replaces the list, PATCH adds to it."""
        policy_id = self._found(request.path_params["policy_id"])["policy_id"]
        return await self._users.answer(request, policy_id)

    def _found(self, policy_id: str) -> dict[str, Any]:
        if policy_id not in self._policies:
            raise not_there(f"Cluster policy {policy_id} does not exist.")
        return self._policies[policy_id]

    def _shown(self, policy: Mapping[str, Any]) -> dict[str, Any]:
        if "policy_family_id" not in policy:
            return dict(policy)
        overrides = json.loads(policy.get("policy_family_definition_overrides") or "{}")
        merged = {**families.FAMILIES[policy["policy_family_id"]][1], **overrides}
        return {**policy, "definition": json.dumps(merged)}

    def _checked(self, sent: Mapping[str, Any], policy_id: str = "") -> dict[str, Any]:
        """Refuse a name that is not 1 to 100 characters or is taken, and a definition that is not JSON.

        A policy has a definition or a family that there is, and not both.

        Source: https://docs.databricks.com/api/azure/workspace/clusterpolicies/create
        """
        name = sent.get("name", "")
        if not 1 <= len(name) <= 100:
            raise invalid("Policy name must be between 1 and 100 characters.")
        if any(it["name"] == name and it["policy_id"] != policy_id for it in self._policies.values()):
            message = f"Cluster Policy with name `{name}` already exists"
            raise ApiError(400, "RESOURCE_ALREADY_EXISTS", message)
        family = sent.get("policy_family_id")
        if family and sent.get("definition"):
            raise invalid("definition cannot be used with policy_family_id.")
        if family and family not in families.FAMILIES:
            raise invalid(f"Policy family {family} does not exist.")
        if not family and not sent.get("definition"):
            raise invalid("Policy definition must be set.")
        for field in ("definition", "policy_family_definition_overrides"):
            try:
                said = json.loads(sent.get(field) or "{}")
                if refused := self.refused_paths & set(said):
                    raise invalid(f"Policy definition has an unsupported attribute: {refused.pop()}")
            except ValueError as wrong:
                raise invalid(f"Policy {field} is not valid JSON: {wrong}") from None
        return {key: sent[key] for key in _FIELDS if key in sent}
