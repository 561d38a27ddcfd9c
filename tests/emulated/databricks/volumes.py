"""Unity Catalog's volumes: minilake keeps them and their files; here is who may do what, and the words.

Source: https://docs.databricks.com/api/azure/workspace/files
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.emulated.databricks.callers import Caller, Callers, caller
from tests.emulated.databricks.errors import ApiError, denied
from tests.emulated.databricks.minilake import Minilake, passed_on

OF_THE_WORKSPACE = ("users", "admins")
"""Groups that Unity Catalog does not know, being of one workspace:

Source: https://learn.microsoft.com/azure/databricks/admin/users-groups/groups#types-of-groups
"""
_METHODS = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"]


class Volumes:
    """The volumes of one metastore."""

    def __init__(self, minilake: Minilake, callers: Callers) -> None:
        self._minilake = minilake
        self._callers = callers
        self._owners: dict[tuple[str, str], str] = {}
        # Of two at once that must not replace a file, one is the second.
        self._writing = {"PUT": asyncio.Lock()}

    @property
    def routes(self) -> list[Route]:
        catalog = "/api/2.1/unity-catalog"
        return [
            Route("/api/2.0/fs/{kind}/Volumes/{path:path}", self._files, methods=_METHODS),
            Route("/api/2.0/fs/{what}", self._presigned, methods=["POST"]),
            Route(f"{catalog}/permissions/{{kind}}/{{name}}", self._grants, methods=["GET", "PATCH"]),
            Route(f"{catalog}/effective-permissions/{{kind}}/{{name}}", self._grants, methods=["GET"]),
            *(
                route
                for kind in ("catalogs", "schemas", "volumes")
                for route in (
                    Route(f"{catalog}/{kind}", self._make, methods=["POST"]),
                    Route(f"{catalog}/{kind}/{{name}}", self._securable, methods=_METHODS),
                )
            ),
        ]

    async def check(self, who: Caller, volume: str, privilege: str) -> None:
        """Refuse who lacks the privilege on a volume, or USE on its catalog or schema.

        Args:
            who: the caller.
            volume: `catalog.schema.name`.
            privilege: `READ VOLUME` or `WRITE VOLUME`.

        Raises:
            ApiError: there is no such volume, or `who` lacks the privilege, or one on what is above.

        Source: https://learn.microsoft.com/azure/databricks/data-governance/unity-catalog/manage-privileges/privileges
        """
        await self._must_exist(volume)
        if "admin of the metastore" in who.rights:
            return
        path = f"/api/2.1/unity-catalog/effective-permissions/VOLUME/{volume}"
        answer = (await self._minilake.ask("GET", path)).json()
        held = {
            grant["privilege"]
            for assignment in answer["privilege_assignments"]
            if assignment["principal"] in who.names
            for grant in assignment["privileges"]
        }
        catalog, schema, _ = volume.split(".")
        for needed, on in (
            ("USE CATALOG", f"Catalog '{catalog}'"),
            ("USE SCHEMA", f"Schema '{catalog}.{schema}'"),
            (privilege, f"Volume '{volume}'"),
        ):
            if not held & {needed.replace(" ", "_"), "ALL_PRIVILEGES"}:
                raise denied(f"User does not have {needed} on {on}.")

    async def _must_exist(self, volume: str) -> None:
        answer = await self._minilake.ask("GET", f"/api/2.1/unity-catalog/volumes/{volume}")
        if answer.status_code == 404:
            raise ApiError(404, "VOLUME_DOES_NOT_EXIST", f"Volume '{volume}' does not exist.")

    async def _files(self, request: Request) -> Response:
        """Files and folders of a volume; a file is not replaced unless `overwrite=true`."""
        parts = request.path_params["path"].split("/")
        reads = request.method in ("GET", "HEAD")
        await self.check(caller(request), ".".join(parts[:3]), "READ VOLUME" if reads else "WRITE VOLUME")
        kind = "file" if request.path_params["kind"] == "files" else "directory"
        async with self._writing.get(request.method, nullcontext()):
            if request.method == "PUT" and kind == "file" and request.query_params.get("overwrite") != "true":
                there = await self._minilake.ask("HEAD", request.url.path)
                if there.is_success:
                    raise _in_words(kind, "PUT", 409)
            answer = await self._minilake.forward(request)
        if answer.status_code < 400:
            return answer
        if answer.status_code == 404 and len(parts) == 3 and kind == "directory":
            # An empty volume, of which minilake has no folder yet.
            return Response() if request.method == "HEAD" else JSONResponse({"contents": []})
        raise _in_words(kind, request.method, answer.status_code)

    async def _presigned(self, request: Request) -> Response:
        """Refused: a workspace need not have presigned URLs, and databricks-sdk then uses the Files API.

        Source: databricks.sdk.mixins.files
        """
        reason = "FILES_API_API_IS_NOT_ENABLED"
        raise ApiError(403, "PERMISSION_DENIED", "Presigned URLs API is not enabled", reason)

    async def _grants(self, request: Request) -> Response:
        """Who has which privilege; the metastore's admin changes that, and for no group of the workspace.

        Source: https://docs.databricks.com/api/azure/workspace/grants
        """
        kind, name = request.path_params["kind"].lower(), request.path_params["name"]
        if kind == "volume":
            await self._must_exist(name)
        if request.method == "GET":
            return await self._minilake.forward(request)
        if "admin of the metastore" not in caller(request).rights:
            raise denied(f"User does not have MANAGE on {kind.capitalize()} '{name}'.")
        for change in (await request.json()).get("changes") or []:
            if not self._callers.knows(change["principal"]) or change["principal"] in OF_THE_WORKSPACE:
                message = f"Could not find principal with name {change['principal']}"
                raise ApiError(404, "PRINCIPAL_DOES_NOT_EXIST", message)
        return await self._minilake.forward(request)

    async def _make(self, request: Request) -> Response:
        """Make a catalog, a schema or a volume; who does is its owner.

        Source: https://learn.microsoft.com/azure/databricks/data-governance/unity-catalog/manage-privileges/ownership
        """
        answer = await self._minilake.ask("POST", request.url.path, json=await request.json())
        if answer.is_success:
            made = answer.json()
            name = made.get("full_name") or made["name"]
            self._owners[_kind(request), name] = caller(request).user_name
        return passed_on(answer)

    async def _securable(self, request: Request) -> Response:
        """A catalog, a schema or a volume.

        Source: https://docs.databricks.com/api/azure/workspace/volumes
        """
        kind, name = _kind(request), request.path_params["name"]
        if kind == "volumes":
            await self._must_exist(name)
        if request.method != "GET":
            return await self._minilake.forward(request)
        answer = await self._minilake.ask("GET", request.url.path)
        owner = {"owner": self._owners.get((kind, name), "")} if answer.is_success else {}
        return JSONResponse({**answer.json(), **owner}, answer.status_code)


def _kind(request: Request) -> str:
    """Return `catalogs`, `schemas` or `volumes`."""
    return request.url.path.split("/")[4]


def _in_words(kind: str, method: str, status: int) -> ApiError:
    """Say what is wrong with a file or a folder, with the reason that databricks-sdk reads.

    Source: https://docs.databricks.com/api/azure/workspace/files
    """
    if status == 404:
        reason = "FILES_API_FILE_NOT_FOUND" if kind == "file" else "FILES_API_DIRECTORY_IS_NOT_FOUND"
        return ApiError(404, "NOT_FOUND", f"The {kind} being accessed is not found.", reason)
    if method == "PUT":
        message = "The file being created already exists."
        return ApiError(409, "ALREADY_EXISTS", message, "FILES_API_FILE_ALREADY_EXISTS")
    message = "The directory being deleted is not empty."
    return ApiError(400, "INVALID_PARAMETER_VALUE", message, "FILES_API_DIRECTORY_IS_NOT_EMPTY")
