"""Child processes that never outlive this one."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

# The shell reads a pipe whose other end only this process holds. When this process ends, in
# whatever way, the read ends too and the whole process group is killed, grandchildren included.
# It is killed as well when the command ends by itself, so that a crash is seen at once.
_KEEPER = '("$@" </dev/null; kill -KILL 0) & read -r _; kill -KILL 0'

# Source: ip_local_port_range in https://docs.kernel.org/networking/ip-sysctl.html
_FIRST_OF_THE_KERNELS = 32_768


class Process:
    """A command that listens on 127.0.0.1:``port`` and writes its output to ``log``."""

    def __init__(self, *command: str, port: int, log: Path, env: Mapping[str, str]) -> None:
        self.port = port
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["sh", "-c", _KEEPER, "keeper", *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_until_listening(self, seconds: float = 600.0) -> None:
        """Return once the port answers. Raises RuntimeError with the log if it does not in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(
            f"{self._process.args!r} did not listen on port {self.port}; its log:\n"
            + self._log.read_text(errors="replace")[-4000:]
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def free_port() -> int:
    """Return a port that nobody listens on, and that nobody gets who asks the kernel for any.

    Else a connection somewhere on this machine may have it before the process that it is for.
    """
    while True:
        port = random.randrange(10_000, _FIRST_OF_THE_KERNELS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
