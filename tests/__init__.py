"""Tests, and what they stand on: docs/architecture.md has the tree."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
