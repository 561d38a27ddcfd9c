"""What was found out, one thing at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

# Who is named in an address, and what signs one.
_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]+(?=@)|(?<=[?&]sig=)[^&\s]+")
# Entra ID's, at the end of what to do about it.
_CODE = re.compile(r" \(AADSTS\d+\)$")


class Verdict(str, Enum):
    """What a finding means for whoever reads it."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"
    NOT_TRIED = "not tried"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        part: of the examination, such as `login`.
        what: was looked at.
        verdict: what it means.
        detail: what was seen, or why it was not tried; one line, without a secret.
        advice: what to do, one line; empty where nothing is to be done.
    """

    part: str
    what: str
    verdict: Verdict
    detail: str
    advice: str = ""


@dataclass(frozen=True)
class Part:
    """A part of the examination, and the findings it makes."""

    name: str

    def ok(self, what: str, detail: str) -> Finding:
        """Return the finding that something is as it should be."""
        return self._finding(what, Verdict.OK, detail)

    def note(self, what: str, detail: str, advice: str = "") -> Finding:
        """Return the finding that something is not as usual, which may well be meant so."""
        return self._finding(what, Verdict.NOTE, detail, advice)

    def wrong(self, what: str, detail: str, advice: str) -> Finding:
        """Return the finding that something does not work."""
        return self._finding(what, Verdict.WRONG, detail, advice)

    def not_tried(self, what: str, why: str, advice: str = "") -> Finding:
        """Return the finding that something could not be looked at."""
        return self._finding(what, Verdict.NOT_TRIED, why, advice)

    def _finding(self, what: str, verdict: Verdict, detail: str, advice: str = "") -> Finding:
        return Finding(self.name, what, verdict, in_one_line(detail), in_one_line(advice))


def in_one_line(text: object) -> str:
    """Return a text, or an error's, in one line, without a password or signature of an address in it."""
    return _IN_ADDRESS.sub("***", " ".join(str(text).split()))


def cause_and_advice(message: str, otherwise: str) -> tuple[str, str]:
    """Return the two halves of a message that says what is wrong and, after a semicolon, what to do.

    Args:
        message: in one line.
        otherwise: the advice where the message has none.
    """
    cause, _, advice = in_one_line(message).partition("; ")
    if code := _CODE.search(advice):
        cause, advice = cause + code[0], advice[: code.start()]
    return cause, advice or otherwise
