"""Asking a server of this machine, and forwarding requests to it, bodies streamed both ways."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from yarl import URL

# RFC 9110, section 7.6.1: these speak of one connection and are not passed on.
_OF_THE_CONNECTION = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
_OF_A_BODY = {"content-length", "transfer-encoding"}

_open: defaultdict[asyncio.AbstractEventLoop, list[ClientSession]] = defaultdict(list)


@dataclass(frozen=True)
class Answer:
    """What a server answered.

    Attributes:
        status_code: of HTTP.
        content: the body.
    """

    status_code: int
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether it did what it was asked for."""
        return self.status_code < 300

    def json(self) -> Any:
        """Return the body as what it says."""
        return json.loads(self.content)


class Client:
    """Asks one server, over kept connections, without proxy or time limit.

    Args:
        at_once: how many requests the server takes at once; others wait here. Default: all.
    """

    def __init__(self, at_once: int = 0) -> None:
        self._at_once = at_once

    @cached_property
    def _session(self) -> ClientSession:
        # Made by the first request, whose event loop it belongs to. A connection that the server is about to
        # close, after five idle seconds, is not used again: the request on it would be lost.
        session = ClientSession(
            connector=TCPConnector(limit=self._at_once, keepalive_timeout=1),
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(),
            auto_decompress=False,
        )
        _open[asyncio.get_running_loop()].append(session)
        return session

    async def ask(self, method: str, url: str, **arguments: Any) -> Answer:
        """Send a request of our own; arguments as of `aiohttp.ClientSession.request`."""
        async with self._session.request(method, url, allow_redirects=False, **arguments) as answer:
            return Answer(answer.status, await answer.read())

    async def forward(self, request: Request, url: str) -> StreamingResponse:
        """Send a request on as it is, path and Host untouched, to the server at `url`."""
        target = request.scope["raw_path"] + b"?" + request.scope["query_string"]
        answer = await self._session.request(
            request.method,
            URL(url + target.decode("ascii").removesuffix("?"), encoded=True),
            headers=[(name, value) for name, value in request.headers.items() if _is_passed_on(name)],
            data=request.stream() if _OF_A_BODY & set(request.headers) else None,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            allow_redirects=False,
        )
        response = StreamingResponse(
            answer.content.iter_any(), answer.status, background=BackgroundTask(answer.release)
        )
        response.raw_headers = [
            (name, value) for name, value in answer.raw_headers if _is_passed_on(name.decode("latin-1"))
        ]
        return response


async def close_all() -> None:
    """Close the connections of all clients that were used in this event loop."""
    for session in _open.pop(asyncio.get_running_loop(), ()):
        await session.close()


def _is_passed_on(header: str) -> bool:
    return header.lower() not in _OF_THE_CONNECTION
