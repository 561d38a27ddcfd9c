"""What goes wrong on the admin's side."""

from __future__ import annotations

import logging
from collections.abc import Collection
from types import TracebackType


class AdminError(Exception):
    """What is wrong and what to do, in one line; of a file with several problems, a line each."""


class NotDoneError(AdminError):
    """What was asked for was not done: that is sure, as it is not where nobody answers."""


class RefusedError(NotDoneError):
    """Somebody may not do what they want to do; others may."""


class ElsewhereError(AdminError):
    """What was given has to go somewhere else.

    Attributes:
        command: the command of ours that takes it, such as `secrets set`; empty if none does, None if the
            message says all of it.
    """

    def __init__(self, message: str, command: str | None) -> None:
        """Say what is wrong, and where it goes."""
        super().__init__(message)
        self.command = command


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

    def tell(self, but: Collection[str] = ()) -> None:
        """Raise all of it.

        Args:
            but: lines that are no error where there is no other.

        Raises:
            AdminError: something is wrong, a line each.
        """
        if set(self._lines) - set(but):
            raise AdminError("\n".join(self._lines))


def silence(library: str) -> None:
    """Keep what a library logs from the terminal: what is wrong, we say."""
    logger = logging.getLogger(library)
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
