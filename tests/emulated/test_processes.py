"""The servers behind the emulators have ports of their own."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.emulated.azure.processes import free_port


def test_a_port_is_none_that_the_kernel_gives_to_somebody_else_meanwhile() -> None:
    of_the_kernel = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    first, last = map(int, of_the_kernel)

    for _ in range(100):
        port = free_port()

        assert not first <= port <= last
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))
