"""Bearer tokens: issued by login.py, asked for by every other service."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import jwt
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.emulated.azure.identities import Principal


class Tokens:
    """Signed tokens.

    ``lifetime`` (seconds) is that of those issued from now on, ``issued`` has them all. Azure's clock is
    ``ahead`` (seconds) of this machine's.
    """

    def __init__(self) -> None:
        self.lifetime = 3599
        self.ahead = 0
        self.issued: list[str] = []
        self._key = secrets.token_bytes(32)

    def now(self) -> int:
        """The time by Azure's clock."""
        return int(time.time()) + self.ahead

    def issue(self, principal: Principal, audience: str) -> str:
        now = self.now()
        claims = {
            "aud": audience,
            "tid": principal.tenant_id,
            "appid": principal.client_id,
            "oid": principal.object_id,
            "iat": now,
            "exp": now + self.lifetime,
        }
        self.issued.append(jwt.encode(claims, self._key, algorithm="HS256"))
        return self.issued[-1]

    def object_id(self, token: str, audiences: tuple[str, ...]) -> str:
        """Whose token this is. Raises jwt.InvalidTokenError if expired, forged or for others."""
        claims = jwt.decode(
            token,
            self._key,
            algorithms=["HS256"],
            audience=audiences,
            options={"verify_exp": False, "verify_iat": False},  # which go by the clock of this machine
        )
        if claims["exp"] <= self.now():
            raise jwt.ExpiredSignatureError
        return str(claims["oid"])


@dataclass(frozen=True)
class Denial:
    """Why a request is denied, in ARM's words. ``status`` is 401 or 403."""

    status: int
    code: str
    message: str


@dataclass(frozen=True)
class Guard:
    """Lets only principals with a role through to ``app``; ``answer`` words the denial.

    Source: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting;
    facts: seen, an expired token's error in https://github.com/microsoft/foundry-dev-tools/issues/461
    """

    app: ASGIApp
    tokens: Tokens
    audiences: tuple[str, ...]
    principals: tuple[Principal, ...]
    answer: Callable[[Denial], Response]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        denial = self._denial(Request(scope))
        app = self.answer(denial) if denial else self.app
        await app(scope, receive, send)

    def _denial(self, request: Request) -> Denial | None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            message = "Authentication failed. The 'Authorization' header is missing."
            return Denial(401, "AuthenticationFailed", message)
        try:
            object_id = self.tokens.object_id(token, self.audiences)
        except jwt.ExpiredSignatureError:
            message = "The access token expiry UTC time is earlier than current UTC time."
            return Denial(401, "ExpiredAuthenticationToken", message)
        except jwt.InvalidTokenError as error:
            return Denial(401, "InvalidAuthenticationToken", f"The access token is invalid: {error}.")
        if not any(p.object_id == object_id and p.role for p in self.principals):
            message = (
                f"The client with object id '{object_id}' does not have authorization to perform "
                f"action '{request.method}' over scope '{request.url.path}' or the scope is "
                "invalid. If access was recently granted, please refresh your credentials."
            )
            return Denial(403, "AuthorizationFailed", message)
        return None
