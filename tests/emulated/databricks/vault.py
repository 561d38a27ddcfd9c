"""Secret scopes: minilake keeps them; here is who may do what, and the values, for clusters to resolve.

Source: https://docs.databricks.com/api/azure/workspace/secrets
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.emulated.databricks.callers import Caller, Callers, caller
from tests.emulated.databricks.errors import ApiError, denied, invalid, not_there
from tests.emulated.databricks.minilake import Minilake, passed_on

# Each permission holds those before it.
_PERMISSIONS = ("READ", "WRITE", "MANAGE")
_NEEDED = {
    "put": "WRITE",
    "delete": "WRITE",
    "list": "READ",
    "acls/put": "MANAGE",
    "acls/delete": "MANAGE",
    "acls/get": "MANAGE",
    "acls/list": "MANAGE",
    "scopes/delete": "MANAGE",
}
"""Calls that need a permission on the scope (READ, WRITE, MANAGE), which an admin always has:

Source: https://learn.microsoft.com/azure/databricks/security/auth/access-control/#secrets
"""


class Vault:
    """All scopes of the workspace."""

    def __init__(self, minilake: Minilake, callers: Callers) -> None:
        self._minilake = minilake
        self._callers = callers
        self._values: dict[str, dict[str, str]] = {}
        self._key_vaults: dict[str, dict[str, Any]] = {}
        self.moved_back: dict[tuple[str, str], int] = {}
        """By how many milliseconds a secret seems older than it is, by scope and key."""

    @property
    def routes(self) -> list[Route]:
        return [Route("/api/2.0/secrets/{what:path}", self._any, methods=["GET", "POST"])]

    def add_key_vault(self, scope: str, values: Mapping[str, str]) -> None:
        """Make a scope that an Azure Key Vault backs, as somebody does with the portal."""
        vault = f"/subscriptions/0/resourceGroups/security/providers/Microsoft.KeyVault/vaults/{scope}"
        self._key_vaults[scope] = {"resource_id": vault, "dns_name": f"https://{scope}.vault.azure.net/"}
        self._values[scope] = dict(values)

    def value(self, scope: str, key: str) -> str:
        """Return a secret. Raises KeyError where there is none."""
        return self._values[scope][key]

    async def _any(self, request: Request) -> Response:
        """What minilake serves of secrets, to whom it may concern; a scope belongs to whoever made it."""
        what = request.path_params["what"]
        sent = await request.json() if request.method == "POST" else dict(request.query_params)
        scope = sent.get("scope", "")
        if what in _NEEDED:
            await self._check(caller(request), scope, _NEEDED[what])
        if scope in self._key_vaults:
            return self._of_key_vault(what, scope)
        if what == "scopes/create":
            # minilake has one user; the real service gives the scope to whoever makes it.
            sent = {"initial_manage_principal": caller(request).user_name, **sent}
        if what == "acls/put" and not self._callers.knows(sent["principal"]):
            raise invalid(f"Principal {sent['principal']} does not exist.")
        arguments = {"json": sent} if request.method == "POST" else {"params": sent}
        answer = await self._minilake.ask(request.method, request.url.path, **arguments)
        if answer.is_success:
            self._follow(what, sent)
        if answer.status_code == 404:
            raise not_there(answer.json()["message"])
        if what == "scopes/list":
            return JSONResponse({"scopes": [*answer.json()["scopes"], *self._listed_key_vaults()]})
        if what == "list" and answer.is_success:
            listed = answer.json().get("secrets") or []
            for it in listed:
                it["last_updated_timestamp"] -= self.moved_back.get((scope, it["key"]), 0)
            return JSONResponse({"secrets": listed})
        return passed_on(answer)

    def _follow(self, what: str, sent: Mapping[str, Any]) -> None:
        """Keep the values that minilake has."""
        if what == "scopes/create":
            self._values[sent["scope"]] = {}
        elif what == "scopes/delete":
            del self._values[sent["scope"]]
        elif what == "put":
            coded = sent.get("bytes_value")
            value = base64.b64decode(coded).decode() if coded else sent["string_value"]
            self._values[sent["scope"]][sent["key"]] = value
        elif what == "delete":
            del self._values[sent["scope"]][sent["key"]]

    def _of_key_vault(self, what: str, scope: str) -> Response:
        """Of a scope that a key vault backs, everybody may list the keys, and nobody may write.

        Source: https://learn.microsoft.com/azure/databricks/security/secrets/; the words are assumed
        """
        if what == "list":
            return JSONResponse({"secrets": [{"key": key} for key in self._values[scope]]})
        if what in ("put", "delete"):
            raise ApiError(400, "BAD_REQUEST", "Cannot write secrets to Azure KeyVault-backed scope")
        if what == "acls/list":
            return JSONResponse({"items": [{"principal": "users", "permission": "MANAGE"}]})
        if what == "scopes/create":
            raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"Scope {scope} already exists!")
        return JSONResponse({})

    def _listed_key_vaults(self) -> list[dict[str, Any]]:
        return [
            {"name": scope, "backend_type": "AZURE_KEYVAULT", "keyvault_metadata": vault}
            for scope, vault in self._key_vaults.items()
        ]

    async def _check(self, who: Caller, scope: str, permission: str) -> None:
        if scope not in self._values:
            raise not_there(f"Scope {scope} does not exist!")
        if "admin of the workspace" in who.rights or scope in self._key_vaults:
            return
        answer = await self._minilake.ask("GET", "/api/2.0/secrets/acls/list", params={"scope": scope})
        held = [acl["permission"] for acl in answer.json()["items"] if acl["principal"] in who.names]
        if not any(_PERMISSIONS.index(it) >= _PERMISSIONS.index(permission) for it in held):
            raise denied(
                f"User {who.user_name} does not have {permission} permission on scope {scope} "
                "to perform this action."
            )
