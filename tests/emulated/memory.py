"""A process of tests with a `/dev/shm` of its own, as each node of a cluster has one.

What runs outside an emulated node keeps its shared token there. Without this, tests that run at once would
take each other's tokens, wait for each other's logins, and count too many or too few of them.
"""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

MEMORY = Path("/dev/shm")
_CLONE_NEWNS = 0x00020000  # linux/sched.h: mounts of its own


def have_own_memory() -> bool:
    """Give this process, and what it starts from now on, an empty `/dev/shm`.

    Returns:
        Whether it may: it takes root.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS):
        return False
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tests", MEMORY], check=True)
    return True
