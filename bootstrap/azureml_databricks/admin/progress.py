"""How far long work is: told where it is done, shown by whoever shows it, on a terminal or in a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_shown_by: list[Callable[[str], None]] = []


def tell(text: str) -> None:
    """Say what begins or is done now; nobody may be there to show it."""
    if _shown_by:
        _shown_by[-1](text)


@contextmanager
def shown_by(show: Callable[[str], None]) -> Iterator[None]:
    """Have it shown for as long as this lasts."""
    _shown_by.append(show)
    try:
        yield
    finally:
        _shown_by.pop()
