"""The journal: one record a request, so that a test can say what was called and what was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from threading import Lock
from typing import overload


@dataclass(frozen=True)
class Request:
    """One request.

    ``path`` has no query: Azure's may hold a signature. ``status`` is None where no answer was sent,
    and 403 with ``refused`` for a host that is not of this cloud. ``seconds`` is the time to the
    first byte of the answer. ``query`` and ``body`` are kept for Databricks only, secrets masked.
    """

    host: str
    method: str
    path: str
    status: int | None
    seconds: float
    refused: bool = False
    query: str = ""
    body: str = ""


class Journal(Sequence[Request]):
    """The requests so far, in the order of their answers. Safe to read while clients run."""

    def __init__(self) -> None:
        self._requests: list[Request] = []
        self._connections: Counter[str] = Counter()
        self._lock = Lock()

    def append(self, request: Request) -> None:
        with self._lock:
            self._requests.append(request)

    def clear(self) -> None:
        with self._lock:
            self._requests.clear()
            self._connections.clear()

    def note_connection(self, host: str) -> None:
        with self._lock:
            self._connections[host] += 1

    def connections(self) -> Counter[str]:
        """How many connections were made to each host."""
        with self._lock:
            return self._connections.copy()

    def hosts(self) -> Counter[str]:
        """How many requests each host was asked, refused hosts included."""
        return Counter(request.host for request in self)

    def of(self, host: str, path_contains: str = "") -> list[Request]:
        """The requests to ``host`` (``*`` allowed) whose path contains ``path_contains``."""
        return [r for r in self if fnmatch(r.host, host) and path_contains in r.path]

    @property
    def refused(self) -> list[Request]:
        """The requests to hosts that are not of this cloud."""
        return [r for r in self if r.refused]

    def __len__(self) -> int:
        return len(self._requests)

    @overload
    def __getitem__(self, index: int) -> Request: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Request]: ...

    def __getitem__(self, index: int | slice) -> Request | Sequence[Request]:
        with self._lock:
            return self._requests[index]

    def __iter__(self) -> Iterator[Request]:
        return iter(self[:])

    def __repr__(self) -> str:
        return "\n".join(map(repr, self)) or "Journal()"
