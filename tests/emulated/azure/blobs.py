"""Azure Blob Storage: Azurite takes the account from the Host header, as Azure does.

Source: https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.emulated.azure.forward import Client


def blobs_app(azurite_url: str) -> ASGIApp:
    client = Client()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        """All that Azurite knows of blobs, signatures checked."""
        response: Response = await client.forward(Request(scope, receive), azurite_url)
        await response(scope, receive, send)

    return app
