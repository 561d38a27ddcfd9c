"""Forwarding a request to a server of this machine, bodies streamed both ways."""

from __future__ import annotations

import httpx
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse

# RFC 9110, section 7.6.1: these speak of one connection and are not passed on.
_OF_THE_CONNECTION = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}


def new_client(at_once: int | None = None) -> httpx.AsyncClient:
    """A client without proxy or time limit: it asks only this machine.

    Args:
        at_once: how many requests a server takes at once; others wait here. Default: all.
    """
    # The servers close a connection that was idle for five seconds. One that they are about to close is not
    # used again, or the request on it is lost.
    limits = httpx.Limits(max_connections=at_once, keepalive_expiry=1)
    return httpx.AsyncClient(trust_env=False, timeout=None, limits=limits)


async def forward(request: Request, url: str, client: httpx.AsyncClient) -> StreamingResponse:
    """Send the request on as it is, path and Host untouched, to the server at ``url``."""
    target = request.scope["raw_path"] + b"?" + request.scope["query_string"]
    outgoing = client.build_request(
        request.method,
        httpx.URL(url).copy_with(raw_path=target),
        headers=_passed_on(request.headers.items()),
        content=request.stream(),
    )
    answer = await client.send(outgoing, stream=True)
    response = StreamingResponse(
        answer.aiter_raw(), answer.status_code, background=BackgroundTask(answer.aclose)
    )
    response.raw_headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in _passed_on(answer.headers.multi_items())
    ]
    return response


def _passed_on(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in _OF_THE_CONNECTION]
