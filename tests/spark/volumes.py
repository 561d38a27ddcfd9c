"""What all nodes of a cluster have in common: `/Volumes`."""

from __future__ import annotations

import os
import struct
from pathlib import Path


def make_volumes(folder: Path) -> Path:
    """Make `folder` what nodes mount at `/Volumes`, and return it.

    Volumes are object storage, which knows no owners: every user of any node can write to what another has
    made. A default access control list does that here, whatever a process's umask.
    """
    everything = 7
    entries = b"".join(struct.pack("<HHI", who, everything, 0xFFFFFFFF) for who in (0x01, 0x04, 0x20))
    folder.chmod(0o777)
    os.setxattr(folder, "system.posix_acl_default", struct.pack("<I", 2) + entries)
    (folder / "main/default").mkdir(parents=True)
    return folder
