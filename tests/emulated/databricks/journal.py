"""The journal of the workspace's API: what was asked and sent, without secrets, and as a text to compare.

The requests are `tests.emulated.azure`'s, with query and body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.emulated.azure.faults import Faults
from tests.emulated.azure.gateway import Gateway
from tests.emulated.azure.journal import Journal, Request

# By this name a cluster calls, among the clients of databricks-sdk.
CLUSTER = "emulated-cluster"
_SECRETS = {"string_value", "bytes_value", "token_value", "client_secret"}
# Ids as the workspace makes them -> what they are called in a golden file, numbered as they appear.
_IDS = {
    "CLUSTER": re.compile(r"\b\d{4}-\d{6}-[0-9a-z]{8}\b"),
    "POLICY": re.compile(r"\b[0-9A-F]{16}\b"),
    "TIME": re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "NUMBER": re.compile(r"\b\d{15}\b"),
}


class Recorder(Gateway):
    """Where all requests enter; it answers /.well-known/databricks-config itself, which is in no journal.

    Source: databricks.sdk.config
    """

    def __init__(self, app: ASGIApp, journal: Journal, faults: Faults) -> None:
        super().__init__({"*": app}, journal, faults)
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = HttpRequest(scope, receive)
        if scope["path"] == "/.well-known/databricks-config":
            # Each new client of databricks-sdk asks this, before it logs in: no call of anybody's.
            host = str(request.base_url).rstrip("/")
            await JSONResponse({"oidc_endpoint": f"{host}/oidc", "cloud": "azure"})(scope, receive, send)
            return
        if request.headers.get("user-agent", "").startswith(CLUSTER):
            # What a cluster reads is no call of anybody's either.
            await self._app(scope, receive, send)
            return
        scope["body"] = body = await request.body()
        pending = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return pending.pop() if pending else await receive()

        await super().__call__(scope, again, send)

    def _request(self, scope: Scope, host: str, status: int | None, seconds: float) -> Request:
        request = HttpRequest(scope)
        kind = request.headers.get("content-type", "")
        return Request(
            host,
            scope["method"],
            scope["path"],
            status,
            seconds,
            query=unquote(request.url.query),
            body=_shown(scope["body"], kind),
        )


def render(requests: Iterable[Request], names: Mapping[str, str] | None = None) -> str:
    """Return requests as a text for a golden file.

    The ids that the workspace makes are called by their kind, numbered as they appear.

    Args:
        requests: what `EmulatedDatabricks.journal` has.
        names: further texts that differ each time -> what to write instead.
    """
    text = "".join(f"{_line(request)}\n{_indented(request.body)}" for request in requests)
    for varying, name in (names or {}).items():
        text = text.replace(varying, name)
    for name, pattern in _IDS.items():
        found = list(dict.fromkeys(pattern.findall(text)))
        for number, varying in enumerate(found, start=1):
            text = text.replace(varying, f"{name}-{number}")
    return text


def _line(request: Request) -> str:
    query = f"?{request.query}" if request.query else ""
    if request.status is None:
        outcome = " -> no answer"
    else:
        outcome = "" if request.status < 300 else f" -> {request.status}"
    return f"{request.method} {request.path}{query}{outcome}"


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def _shown(body: bytes, kind: str) -> str:
    if not body:
        return ""
    if kind.startswith("application/json"):
        return json.dumps(_masked(json.loads(body)), indent=2, ensure_ascii=False)
    if kind.startswith("multipart/form-data"):
        fields = re.findall(rb'name="(path|format|overwrite|language)"\r\n\r\n(.*?)\r\n', body)
        return "".join(f"{name.decode()}: {value.decode()}\n" for name, value in fields) + "content: ..."
    return "..."


def _masked(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _masked(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner) for inner in value]
    if key in _SECRETS:
        return "***"
    if isinstance(value, str) and value.startswith("{") and not value.startswith("{{"):
        # A policy's definition, which the API takes as a text.
        try:
            return _masked(json.loads(value))
        except ValueError:
            return value
    return value
