"""See docs/contributing.md for what is where."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
