"""What goes wrong on the admin's side."""

from __future__ import annotations

import logging
from types import TracebackType


class AdminError(Exception):
    """What is wrong and what to do, in one line; of a file with several problems, a line each."""


class RefusedError(AdminError):
    """Somebody may not do what they want to do; others may."""


class Problems:
    """What is wrong, all of it: `with problems:` goes on after what raises `AdminError` in it."""

    def __init__(self) -> None:
        """Know of none yet."""
        self._lines: list[str] = []

    def __enter__(self) -> None:
        """Begin to look at something."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Note what is wrong with it."""
        if isinstance(error, AdminError):
            self.note(error)
            return True
        return False

    def note(self, error: AdminError) -> None:
        """Note that something is wrong; the same twice is one thing."""
        self._lines += [line for line in str(error).splitlines() if line not in self._lines]

    def tell(self) -> None:
        """Raise all of it.

        Raises:
            AdminError: something is wrong, a line each.
        """
        if self._lines:
            raise AdminError("\n".join(self._lines))


def silence(library: str) -> None:
    """Keep what a library logs from the terminal: what is wrong, we say."""
    logger = logging.getLogger(library)
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
