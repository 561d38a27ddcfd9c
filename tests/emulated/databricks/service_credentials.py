"""Unity Catalog's credentials.

Source: https://docs.databricks.com/api/azure/workspace/credentials
"""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.emulated.databricks.callers import caller
from tests.emulated.databricks.errors import ApiError


class ServiceCredentials:
    """The credentials of one metastore, by name."""

    def __init__(self) -> None:
        self._credentials: dict[str, dict[str, Any]] = {}

    @property
    def routes(self) -> list[Route]:
        every = "/api/2.1/unity-catalog/credentials"
        one = f"{every}/{{name}}"
        return [
            Route(every, self._create, methods=["POST"]),
            Route(every, self._list, methods=["GET"]),
            Route(one, self._get, methods=["GET"]),
            Route(one, self._delete, methods=["DELETE"]),
        ]

    async def _create(self, request: Request) -> JSONResponse:
        sent = await request.json()
        name = sent["name"]
        if name in self._credentials:
            raise ApiError(409, "CREDENTIAL_ALREADY_EXISTS", f"Credential '{name}' already exists")
        who = caller(request).user_name
        self._credentials[name] = {
            **{key: value for key, value in sent.items() if key != "skip_validation"},
            "id": str(uuid4()),
            "full_name": name,
            "owner": who,
            "created_by": who,
            "created_at": int(time.time() * 1000),
        }
        return JSONResponse(self._credentials[name])

    async def _list(self, request: Request) -> JSONResponse:
        purpose = request.query_params.get("purpose")
        found = [it for it in self._credentials.values() if purpose in (None, it.get("purpose"))]
        return JSONResponse({"credentials": found})

    async def _get(self, request: Request) -> JSONResponse:
        return JSONResponse(self._credentials[self._name(request)])

    async def _delete(self, request: Request) -> JSONResponse:
        del self._credentials[self._name(request)]
        return JSONResponse({})

    def _name(self, request: Request) -> str:
        name: str = request.path_params["name"]
        if name not in self._credentials:
            raise ApiError(404, "CREDENTIAL_DOES_NOT_EXIST", f"Credential '{name}' does not exist.")
        return name
