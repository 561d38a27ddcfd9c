"""A web server of this process, whose connections a test can have cut."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.emulated.azure import forward

if TYPE_CHECKING:
    from typing_extensions import Self


class Server:
    """Serves ``app`` on 127.0.0.1:``port``, in an event loop in a thread of its own.

    Args:
        app: what to serve.
        certificate: a file with key and chain, for HTTPS.
    """

    def __init__(self, app: ASGIApp, certificate: Path | None = None) -> None:
        self._socket = listen()
        self.port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            app,
            http=_Cuttable,
            ssl_certfile=certificate,
            lifespan="off",
            ws="none",
            log_level="warning",
            server_header=False,
            date_header=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    async def _serve(self) -> None:
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            await forward.close_all()

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.01)
        return self

    def __exit__(self, *ended: object) -> None:
        # A client may keep its connections, or a request may hang: none of them is waited for.
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()


def cut(scope: Scope) -> None:
    """Break the connection of a request, as a network does."""
    scope["state"]["transport"].abort()


def listen() -> socket.socket:
    """Return a socket on a free port of 127.0.0.1."""
    # With the protocol named: asyncio then sends small answers at once, 40 ms sooner.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    return listener


class _Cuttable(H11Protocol):
    """Lets an app know the connection that a request came by."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}
