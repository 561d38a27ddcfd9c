"""What a process that is forked must not share with its parent: threads, connections."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

_Made = TypeVar("_Made")


class OfThisProcess(Generic[_Made]):
    """Something of which each process makes its own when it needs it first.

    Args:
        make: makes it.
    """

    def __init__(self, make: Callable[[], _Made]) -> None:
        """Have none yet."""
        self._make = make
        self._made_in = 0
        self._made: _Made

    def __bool__(self) -> bool:
        """Whether there is one."""
        return self._made_in == os.getpid()

    def get(self) -> _Made:
        """Return that of this process."""
        if not self:
            self._made, self._made_in = self._make(), os.getpid()
        return self._made
