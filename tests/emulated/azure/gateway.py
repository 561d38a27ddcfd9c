"""Where all requests enter: journal, faults, and the service that the host names."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from fnmatch import fnmatch

from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.emulated.azure.faults import Fault, Faults
from tests.emulated.azure.journal import Journal, Request
from tests.emulated.azure.server import cut


class Gateway:
    """Routes by host (``services``: pattern to service)."""

    def __init__(self, services: Mapping[str, ASGIApp], journal: Journal, faults: Faults) -> None:
        self._services = services
        self._journal = journal
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        url = HttpRequest(scope).url
        host, started = url.hostname or "", time.monotonic()
        status: int | None = None
        is_recorded = False

        def record() -> None:
            nonlocal is_recorded
            is_recorded = True
            self._journal.append(self._request(scope, host, status, time.monotonic() - started))

        async def recorded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # Before it is sent: a client that has its answer finds it in the journal.
                record()
            await send(message)

        fault = self._faults.take(host, scope["path"])
        app = _Faulty(self._service(host), fault, record) if fault else self._service(host)
        try:
            await app(scope, receive, recorded)
        finally:
            if not is_recorded:
                record()

    def _request(self, scope: Scope, host: str, status: int | None, seconds: float) -> Request:
        return Request(host, scope["method"], scope["path"], status, seconds)

    def _service(self, host: str) -> ASGIApp:
        for pattern, service in self._services.items():
            if fnmatch(host, pattern):
                return service
        return JSONResponse({"error": f"The emulated Azure has no host {host}."}, status_code=404)


class _Faulty:
    def __init__(self, app: ASGIApp, fault: Fault, record: Callable[[], None]) -> None:
        self._app = app
        self._fault = fault
        self._record = record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(self._fault.delay)
        app = self._app
        if self._fault.after:
            await app(scope, receive, _to_nobody)
        if self._fault.hang or self._fault.cut:
            # Before the client knows: it may be gone, and the journal read, before its end is seen here.
            self._record()
        self._fault.hit.set()
        if self._fault.cut:
            cut(scope)
        if self._fault.hang or self._fault.cut:
            await _until_the_client_gives_up(receive)
            return
        if self._fault.page:
            app = HTMLResponse(self._fault.page, self._fault.status or 200)
        elif self._fault.torn:
            app = _torn
        elif self._fault.status is not None:
            error = {"code": "InjectedFault", "message": "A test asked for this answer."}
            headers = dict(self._fault.headers)
            app = JSONResponse({"error": error}, self._fault.status, headers)
        await app(scope, receive, send)


async def _torn(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with half of what the header says."""
    head = [(b"content-type", b"application/json"), (b"content-length", b"64")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b'{"run": {"info": {', "more_body": True})
    # What was written has gone before the connection does.
    await asyncio.sleep(0.05)
    cut(scope)


async def _to_nobody(message: Message) -> None:
    pass


async def _until_the_client_gives_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
