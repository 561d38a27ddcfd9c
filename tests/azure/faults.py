"""Faults on demand: what a test wants to go wrong, where, and how often."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from threading import Lock


@dataclass
class Fault:
    """What goes wrong.

    ``delay`` (seconds) comes first; then the request hangs until the client gives up, or is
    answered with ``status``, or, where neither is set, is served as ever.
    """

    host: str
    path: re.Pattern[str]
    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang: bool = False
    times: int | None = None


class Faults:
    """The faults now in force."""

    def __init__(self) -> None:
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
        times: int | None = None,
    ) -> None:
        """Make requests to ``host`` (``*`` allowed) whose path matches the regular expression
        ``path`` fail, or be slow.

        Args:
            status: the HTTP status to answer, with ``headers``; the service is not asked.
            delay: seconds to wait before anything else.
            hang: never answer.
            times: how many requests to hit; None for all until ``clear()``.
        """
        fault = Fault(host, re.compile(path), status, headers or {}, delay, hang, times)
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, host: str, path: str) -> Fault | None:
        """The first fault that hits this request, counted down."""
        with self._lock:
            for fault in self._faults:
                if fault.times != 0 and fnmatch(host, fault.host) and fault.path.search(path):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None
