"""Golden files: what a reviewer reads, and a test compares."""

from __future__ import annotations

import os
from pathlib import Path


def assert_is_golden(text: str, path: Path) -> None:
    """Compare a text with a file; with the variable UPDATE_GOLDEN it is written instead."""
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text(), f"UPDATE_GOLDEN=1 writes {path.name} anew: then look at the difference"
