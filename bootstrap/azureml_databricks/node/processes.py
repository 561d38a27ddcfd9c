"""Which Pythons were running on this node before a certain moment."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

# The kernel counts a process's start in ticks of 10 ms, and clocks may be set.
_MARGIN_SECONDS = 1.0


def pythons_older_than(seconds: float) -> list[int]:
    """Return the numbers of this node's Pythons, but for this one, that started longer than `seconds` ago.

    An orphan counts as well: a fork keeps what its parent had, and its parent may have been older.
    """
    return [
        number
        for number, parent, age in _pythons()
        if number != os.getpid() and (parent == 1 or age > seconds - _MARGIN_SECONDS)
    ]


def _pythons() -> Iterator[tuple[int, int, float]]:
    """Yield number, parent and age in seconds of each."""
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # A host may show the processes of its containers, which have other files.
            if os.path.samefile(process / "root", "/") and "python" in os.readlink(process / "exe"):
                # The fields after the name, by proc(5): state, parent, ..., the start in ticks since boot.
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                yield int(process.name), int(fields[1]), now - int(fields[19]) / os.sysconf("SC_CLK_TCK")
        except OSError:  # it has ended, or is the kernel's own
            continue
