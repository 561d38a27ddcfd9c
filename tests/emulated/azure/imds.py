"""The endpoint of a virtual machine's managed identities, which no proxy leads to.

Source: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.emulated.azure.clouds import Cloud
from tests.emulated.azure.identities import Principal
from tests.emulated.azure.tokens import Tokens

HOST = "169.254.169.254"


def imds_app(cloud: Cloud, tokens: Tokens, identities: Sequence[Principal]) -> ASGIApp:
    """Return the endpoint of a machine to which ``identities`` are assigned, as they are when asked."""
    imds = _Imds(cloud, tokens, identities)
    return Starlette(routes=[Route("/metadata/identity/oauth2/token", imds.token)])


class _Imds:
    def __init__(self, cloud: Cloud, tokens: Tokens, identities: Sequence[Principal]) -> None:
        self._cloud = cloud
        self._tokens = tokens
        self._identities = identities

    async def token(self, request: Request) -> JSONResponse:
        """A token of an identity that the machine has; with several, one must be named."""
        asked = request.query_params
        client_id, resource = asked.get("client_id"), asked.get("resource", "").rstrip("/")
        if request.headers.get("metadata") != "true":
            return _error("Required metadata header not specified")
        if resource not in self._cloud.audiences:
            return _error(
                f"AADSTS500011: The resource principal named {resource} was not found in the tenant"
            )
        assigned = [it for it in self._identities if client_id in (None, it.client_id)]
        if not assigned:
            return _error("Identity not found")
        if len(assigned) > 1:
            return _error(
                "Multiple user assigned identities exist, please specify the clientId / resourceId of the "
                "identity in the token request"
            )
        lifetime = self._tokens.lifetime
        return JSONResponse(
            {
                "access_token": self._tokens.issue(assigned[0], resource),
                "client_id": assigned[0].client_id,
                "expires_in": str(lifetime),
                "expires_on": str(self._tokens.now() + lifetime),
                "resource": resource,
                "token_type": "Bearer",
            }
        )


def as_from(host: str, app: ASGIApp) -> ASGIApp:
    """Return an app that sees all requests as sent to ``host``, whatever port they came by."""

    async def renamed(scope: Scope, receive: Receive, send: Send) -> None:
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        await app({**scope, "headers": [(b"host", host.encode()), *others]}, receive, send)

    return renamed


def _error(description: str) -> JSONResponse:
    return JSONResponse({"error": "invalid_request", "error_description": description}, 400)
