"""Faults on demand: what a test wants to go wrong, where, and how often."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from threading import Event, Lock


@dataclass
class Fault:
    """What goes wrong.

    ``delay`` (seconds) comes first, and with ``after`` what the request is for is done; then the
    request hangs until the client gives up, or has its connection cut, or is answered with
    ``status``, or, where none of these is set, is served as ever. A ``torn`` answer is cut in the middle
    of its body, and one with a ``page`` is no JSON. ``hit`` is set when it does.
    """

    host: str
    path: re.Pattern[str]
    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang: bool = False
    cut: bool = False
    torn: bool = False
    page: str = ""
    after: bool = False
    skip: int = 0
    times: int | None = None
    hit: Event = field(default_factory=Event)


class Faults:
    """The faults now in force."""

    def __init__(self) -> None:
        # Seconds that each new connection takes: its handshakes go there and back too.
        self.connecting = 0.0
        self._faults: list[Fault] = []
        self._lock = Lock()

    def add(
        self,
        host: str = "*",
        path: str = "",
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        delay: float = 0.0,
        hang: bool = False,
        cut: bool = False,
        torn: bool = False,
        page: str = "",
        after: bool = False,
        skip: int = 0,
        times: int | None = None,
    ) -> Fault:
        """Make requests to ``host`` (``*`` allowed) whose path matches the regular expression
        ``path`` fail, or be slow.

        Args:
            status: the HTTP status to answer, with ``headers``; the service is not asked.
            delay: seconds to wait before anything else.
            hang: never answer.
            cut: break the connection instead of answering.
            torn: break it in the middle of the answer's body.
            page: the body to answer instead, as HTML, with ``status`` or 200; the service is not asked.
            after: let the service do what the request asks for first; only its answer is lost.
            skip: how many such requests to let through before.
            times: how many requests to hit; None for all until ``clear()``.
        """
        fault = Fault(
            host,
            re.compile(path),
            status,
            headers or {},
            delay=delay,
            hang=hang,
            cut=cut,
            torn=torn,
            page=page,
            after=after,
            skip=skip,
            times=times,
        )
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
            self.connecting = 0.0

    def take(self, host: str, path: str) -> Fault | None:
        """The first fault that hits this request, counted down."""
        with self._lock:
            for fault in self._faults:
                if fault.times != 0 and fnmatch(host, fault.host) and fault.path.search(path):
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None
