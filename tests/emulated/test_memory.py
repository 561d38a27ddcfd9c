"""Tests that run at once have memory of their own."""

from __future__ import annotations

import os
from pathlib import Path

from tests.emulated.memory import MEMORY


def test_what_a_test_keeps_in_memory_no_test_of_another_process_finds() -> None:
    # Given the memory of the process that started this one: pytest's, which starts all workers, or a shell
    others = Path(f"/proc/{os.getppid()}/root") / MEMORY.relative_to("/")

    # Then it is not this one's
    assert MEMORY.stat().st_dev != others.stat().st_dev
