"""All that is sent to emulators, whole: what their journals leave out, so that a secret can be looked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True)
class Sent:
    """A request as it came.

    Attributes:
        host: that it was for.
        path: without the query.
        url: with it.
        headers: by name in small letters, in their order.
        body: what was read of it.
    """

    host: str
    path: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Transcript:
    """The requests so far, in the order of their ends; give `of` to an emulator as its `transcript`."""

    def __init__(self) -> None:
        self.requests: list[Sent] = []

    def of(self, app: ASGIApp) -> ASGIApp:
        """Return an app that does the same, and is written down."""

        async def written_down(scope: Scope, receive: Receive, send: Send) -> None:
            body = bytearray()

            async def heard() -> Message:
                message = await receive()
                body.extend(message.get("body", b""))
                return message

            try:
                await app(scope, heard, send)
            finally:
                request = Request(scope)
                url, headers = request.url, tuple(request.headers.items())
                self.requests.append(Sent(url.hostname or "", url.path, str(url), headers, bytes(body)))

        return written_down
