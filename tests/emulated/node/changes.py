"""What files are, and how they differ from what they were."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Change = Literal["added", "changed", "removed"]


@dataclass(frozen=True)
class Entry:
    """All of a file, folder or link that counts as a change.

    Attributes:
        mode: type and permissions.
        owner: user and group.
        modified: in nanoseconds; None for a folder, whose time tells only that something in it changed.
        content: a digest, or a link's target.
    """

    mode: int
    owner: tuple[int, int]
    modified: int | None
    content: bytes

    @classmethod
    def of(cls, path: Path) -> Entry | None:
        """Return what is at `path`, or None."""
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        is_folder = stat.S_ISDIR(status.st_mode)
        return cls(
            mode=status.st_mode,
            owner=(status.st_uid, status.st_gid),
            modified=None if is_folder else status.st_mtime_ns,
            content=_content(path, status.st_mode),
        )


def _content(path: Path, mode: int) -> bytes:
    if stat.S_ISLNK(mode):
        return os.fsencode(path.readlink())
    if stat.S_ISREG(mode):
        return hashlib.blake2b(path.read_bytes()).digest()
    return b""


def walk(tree: Path) -> Iterator[str]:
    """Yield the path of everything in `tree`, as seen from a process for which `tree` is `/`."""
    for folder, folders, files in os.walk(tree):
        inside = folder[len(str(tree)) :]
        for name in (*folders, *files):
            yield f"{inside}/{name}"


def compare(before: Mapping[str, Entry | None], after: Mapping[str, Entry | None]) -> dict[str, Change]:
    """Return what happened to each path of `before` and `after`; None or no entry: not there."""
    changes = {path: _compare(before.get(path), after.get(path)) for path in {*before, *after}}
    return {path: change for path, change in sorted(changes.items()) if change}


def _compare(before: Entry | None, after: Entry | None) -> Change | None:
    if before == after:
        return None
    if before is None:
        return "added"
    return "removed" if after is None else "changed"
