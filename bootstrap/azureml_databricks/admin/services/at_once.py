"""Several requests at once: an admin waits for the slowest, and not for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

# Fewer than the connections that databricks-sdk keeps.
_AT_ONCE = 8
T = TypeVar("T")


def at_once(calls: Iterable[Callable[[], T]]) -> list[T]:
    """Return what calls return, in their order.

    Raises:
        Exception: what the first of them raised; those that have not begun are left out.
    """
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        return list(pool.map(lambda call: call(), calls))
    finally:
        pool.shutdown(cancel_futures=True)
