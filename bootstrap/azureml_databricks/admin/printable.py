"""Text that others wrote, as it may go to a terminal: letters, and nothing that a terminal obeys."""

from __future__ import annotations

import sys


def printable(text: str) -> str:
    r"""Return a text in one line, with what is no letter or sign written as Python does: `\x1b`."""
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def printable_json(document: str) -> str:
    """Return a JSON document with such characters in its texts as JSON writes them.

    JSON is UTF-8: where standard output is something else, what is not ASCII is written so, too.
    """
    is_plain = str.isprintable if is_unicode() else _is_plain_ascii
    return "".join(letter if is_plain(letter) or letter == "\n" else _in_json(letter) for letter in document)


def is_unicode() -> bool:
    """Return whether standard output takes all letters: a code page of Windows does not."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _is_plain_ascii(letter: str) -> bool:
    return letter.isascii() and letter.isprintable()


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def _in_json(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def last_lines(text: str) -> list[str]:
    """Return the last lines that say something, at most five: they say more than the first."""
    return [line.strip() for line in text.splitlines() if line.strip()][-5:]
