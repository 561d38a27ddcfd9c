"""Text as files and pipes have it on any system: its encoding, and how its lines end."""

from __future__ import annotations

import codecs

# What a file may begin with: UTF-8's mark from editors on Windows, UTF-16's from `>` in PowerShell 5.
# https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_character_encoding
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def decoded(content: bytes) -> str:
    """Return the text, with lines that end as they do here.

    Raises:
        UnicodeDecodeError: it is neither UTF-8 nor UTF-16.
    """
    mark = next((mark for mark in _MARKS if content.startswith(mark)), b"")
    text = content[len(mark) :].decode(_MARKS.get(mark) or _unmarked(content))
    return text.replace("\r\n", "\n")


def _unmarked(content: bytes) -> str:
    # Half of the bytes of a text in UTF-16 are zero, as long as its letters are those of TOML and JSON.
    if content[1:2] == b"\0":
        return "utf-16-le"
    return "utf-16-be" if content[:1] == b"\0" else "utf-8"
