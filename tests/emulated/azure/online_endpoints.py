"""One online endpoint of the workspace, `scored`: what ARM says of it, and the host that it answers at.

Source: https://learn.microsoft.com/rest/api/azureml/online-endpoints
"""

from __future__ import annotations

import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from tests.emulated.azure.identities import Workspace

NAME = "scored"


class OnlineEndpoints:
    """The endpoint, whose key is ``key``."""

    def __init__(self, workspace: Workspace) -> None:
        self.key = secrets.token_urlsafe(24)
        self._workspace = workspace
        self._host = workspace.cloud.scoring_hosts.replace("*", NAME)

    def routes(self, workspace: str) -> list[Route]:
        """Those of ARM, below a workspace's path."""
        return [
            Route(f"{workspace}/onlineEndpoints", self.all),
            Route(f"{workspace}/onlineEndpoints/{{endpoint}}", self.one),
            Route(f"{workspace}/onlineEndpoints/{{endpoint}}/listKeys", self.keys, methods=["POST"]),
        ]

    def scoring_app(self) -> Router:
        """What the endpoint's own host serves."""
        return Router(
            routes=[Route("/score", self.score, methods=["POST"]), Route("/swagger.json", self.swagger)]
        )

    async def all(self, request: Request) -> JSONResponse:
        """The one that there is."""
        return JSONResponse({"value": [self._as_resource()], "nextLink": None})

    async def one(self, request: Request) -> JSONResponse:
        """It, or that there is no other."""
        return self._missing(request) or JSONResponse(self._as_resource())

    async def keys(self, request: Request) -> JSONResponse:
        """Its keys."""
        return self._missing(request) or JSONResponse({"primaryKey": self.key, "secondaryKey": self.key})

    async def score(self, request: Request) -> Response:
        """As many times 1 as there are rows.

        Source: https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-online-endpoint
        """
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return JSONResponse({"error": {"message": "The key is not valid."}}, 401)
        return JSONResponse([1 for _ in (await request.json())["input_data"]["data"]])

    async def swagger(self, request: Request) -> JSONResponse:
        """A description without a format of its own."""
        return JSONResponse({"openapi": "3.0.3", "components": {}})

    def _missing(self, request: Request) -> JSONResponse | None:
        name = request.path_params["endpoint"]
        if name == NAME:
            return None
        error = {"code": "ResourceNotFound", "message": f"The online endpoint '{name}' was not found."}
        return JSONResponse({"error": error}, 404)

    def _as_resource(self) -> dict[str, Any]:
        return {
            "id": f"{self._workspace.resource_id}/onlineEndpoints/{NAME}",
            "name": NAME,
            "type": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints",
            "location": self._workspace.region,
            "tags": {},
            "properties": {
                "authMode": "Key",
                "provisioningState": "Succeeded",
                "scoringUri": f"https://{self._host}/score",
                "swaggerUri": f"https://{self._host}/swagger.json",
                "traffic": {},
            },
        }
