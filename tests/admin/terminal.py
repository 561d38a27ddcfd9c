"""A terminal of 80 columns, and what a person sees on it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import termios
import time
from pathlib import Path

import pyte

from tests.admin.command import Command

COLUMNS, LINES = 80, 100


class Terminal:
    """The command line, started on a terminal of its own.

    Args:
        command: in which folder, with which variables.
        arguments: of the command line.
        variables: further ones.
    """

    def __init__(self, command: Command, *arguments: str, **variables: str) -> None:
        self.screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self.screen)
        self.sent = b""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        path = Path(os.ttyname(theirs))
        self._program = command.on_terminal(path, *arguments, TERM="xterm-256color", **variables)
        # Until the end: what is written is gone with the last who has it open.
        self._theirs = theirs

    def wait_for(self, text: str) -> None:
        """Read until a text is on the screen."""
        deadline = time.monotonic() + 600
        while not any(text in line for line in self.screen.display):
            assert time.monotonic() < deadline, self.text
            if not self._read():
                raise AssertionError(f"{text!r} did not come:\n{self.text}")

    def type(self, text: str) -> None:
        """Send what a person types."""
        os.write(self._ours, text.encode())

    def wait(self) -> int:
        """Read to the end, and return the exit status."""
        while self._program.is_running:
            self._read(0.1)
        os.close(self._theirs)
        while self._read():
            pass
        os.close(self._ours)
        return self._program.wait()

    @property
    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip() + "\n"

    def colour(self, text: str) -> str:
        """The colour of a line that has a text."""
        for number, line in enumerate(self.screen.display):
            if text in line:
                return str(self.screen.buffer[number][line.index(text)].fg)
        raise AssertionError(f"{text!r} is not there:\n{self.text}")

    def _read(self, seconds: float = 600) -> bool:
        ready, _, _ = select.select([self._ours], [], [], seconds)
        try:
            data = os.read(self._ours, 65536) if ready else b""
        except OSError:  # the other end is closed
            data = b""
        self.sent += data
        self._stream.feed(data)
        return bool(data)
