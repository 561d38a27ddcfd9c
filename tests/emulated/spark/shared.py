"""What all nodes of a cluster have in common: `/Volumes`, and the driver's folder for its workers."""

from __future__ import annotations

import os
import struct
from pathlib import Path


def make_shared(folder: Path) -> dict[str, Path]:
    """Make in `folder` what all nodes mount: /Volumes and /local_disk0/.ephemeral_nfs. Return each by where.

    Volumes are object storage, which knows no owners: every user of any node can write to what another has
    made. A default access control list does that here, whatever a process's umask.

    Source: https://learn.microsoft.com/azure/databricks/volumes/; mlflow.utils.nfs_on_spark
    """
    # MLflow hands models to executors there: `mlflow.utils.nfs_on_spark`.
    shared = {"/Volumes": folder / "volumes", "/local_disk0/.ephemeral_nfs": folder / "nfs"}
    everything = 7
    entries = b"".join(struct.pack("<HHI", who, everything, 0xFFFFFFFF) for who in (0x01, 0x04, 0x20))
    for each in shared.values():
        each.mkdir()
        each.chmod(0o777)
        os.setxattr(each, "system.posix_acl_default", struct.pack("<I", 2) + entries)
    (shared["/Volumes"] / "main/default").mkdir(parents=True)
    (shared["/local_disk0/.ephemeral_nfs"] / "envs").mkdir()
    return shared
