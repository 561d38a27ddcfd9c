"""A lock of a node that goes with its process: a fork of that process does not hold on to it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_open: set[int] = set()


@contextmanager
def held(path: Path, seconds: float) -> Iterator[bool]:
    """Hold the lock in a file; yield whether it is held, which it is not if another has it for so long.

    Raises:
        OSError: the file cannot be opened.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    _open.add(file)
    try:
        # Who can read it can hold it.
        os.fchmod(file, 0o600)
        yield _taken(file, time.monotonic() + seconds)
    finally:
        if file in _open:  # and not in a fork, which has let it go
            # Closing it is not enough where a fork got it in the moment in which it was not noted.
            fcntl.flock(file, fcntl.LOCK_UN)
            _open.discard(file)
            os.close(file)


def _taken(file: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.02)
        else:
            return True


def _let_go() -> None:
    # A lock is the open file's, which a fork has too: it would be held for as long as the child lives.
    while _open:
        os.close(_open.pop())


os.register_at_fork(after_in_child=_let_go)
