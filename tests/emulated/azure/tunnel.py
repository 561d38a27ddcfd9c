"""The proxy: CONNECT to a host of the cloud reaches the local TLS server, all else is refused.

proxy.py was considered: its plugins can change a host's address but not its port.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from fnmatch import fnmatch
from urllib.parse import urlsplit

from tests.emulated.azure.faults import Faults
from tests.emulated.azure.journal import Journal, Request


class Tunnel:
    """One proxy for all clients. ``hosts`` are patterns."""

    def __init__(self, hosts: Sequence[str], tls_port: int, journal: Journal, faults: Faults) -> None:
        self._hosts = hosts
        self._tls_port = tls_port
        self._journal = journal
        self._faults = faults
        self._clients: set[asyncio.StreamWriter] = set()

    def abort(self) -> None:
        """Cut all connections."""
        for client in self._clients:
            client.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection of a client."""
        self._clients.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
            host = target.rpartition(":")[0]
            if method == "CONNECT" and self._allows(host):
                self._journal.note_connection(host)
                await asyncio.sleep(self._faults.connecting)
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await self._join(reader, writer)
            else:
                self._refuse(method, target, writer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # The client went away; nobody is left to be told.
        finally:
            self._clients.discard(writer)
            writer.close()

    def _allows(self, host: str) -> bool:
        return any(fnmatch(host.lower(), pattern) for pattern in self._hosts)

    def _refuse(self, method: str, target: str, writer: asyncio.StreamWriter) -> None:
        url = urlsplit(f"//{target}" if method == "CONNECT" else target)
        request = Request(url.hostname or "", method, url.path, 403, 0.0, refused=True)
        self._journal.append(request)
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._tls_port)
        client = writer.get_extra_info("socket")
        await asyncio.gather(_copy(reader, server_writer, client), _copy(server_reader, writer))


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sender: socket.socket | None = None
) -> None:
    try:
        while data := await reader.read(1 << 18):
            if sender:
                # Through a proxy urllib3 keeps a body back until the head is acknowledged: now, not in 40 ms.
                sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
