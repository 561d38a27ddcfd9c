"""The golden files of the admin's side."""

from __future__ import annotations

from pathlib import Path

from tests.commands import golden

_FOLDER = Path(__file__).parent / "golden"


def assert_is_golden(text: str, name: str) -> None:
    """Compare a text with `golden/NAME.txt`."""
    golden.assert_is_golden(text, _FOLDER / f"{name}.txt")
