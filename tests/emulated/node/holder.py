"""Owns a node's mount namespace; runs in it as a process of its own, by `unshare`.

It mounts, under one folder:

    fresh/    what hides this machine's own things (homes, /tmp, ...) from the node
    machine/  fresh over this machine's root
    base/     the node as it was at boot: the replica's layer, and Spark's, over machine
    upper/    what the node changes
    root/     the node: upper over base, with a /dev/shm of its own

It says `ready`, and when its standard input ends, it kills all that runs on the node and goes. So
a node does not outlive the process that booted it, however that one ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """What to mount.

    Attributes:
        folder: an empty folder to do it in; it is removed at the end.
        layers: what is laid over this machine, each laid out as under `/`; the first hides the others.
        shared: folders of this machine by the path where the node has them.
        emptied: mode by path of folders of this machine that are empty on the node.
        removed: files of this machine that the node has not.
        copied: files of this machine that are mounts of their own, which an overlay does not show.
    """

    folder: str
    layers: list[str]
    shared: dict[str, str]
    emptied: dict[str, int]
    removed: list[str]
    copied: list[str]

    def to_json(self) -> str:
        """Return it as the holder's argument."""
        return json.dumps(asdict(self))


def main() -> None:
    """Mount, wait, clean up."""
    plan = Plan(**json.loads(sys.argv[1]))
    folder = Path(plan.folder)
    _mount(plan, folder)
    print("ready", flush=True)
    sys.stdin.read()
    namespace = os.readlink("/proc/self/ns/mnt")
    kill_all(lambda process: os.readlink(process / "ns/mnt") == namespace)
    subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()


def _mount(plan: Plan, folder: Path) -> None:
    # A tmpfs serves as an upper layer where the machine's own root, being an overlay, does not.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "node", folder], check=True)
    for name in ("fresh", "machine", "base", "upper", "work", "root"):
        (folder / name).mkdir()
    _lay_fresh(plan, folder / "fresh")
    # Not one overlay: the kernel refuses a layer that lies within another one, as the replica does in `/`.
    _overlay(f"lowerdir={folder}/fresh:/", folder / "machine")
    lower = f"lowerdir={':'.join(plan.layers)}:{folder}/machine"
    _overlay(lower, folder / "base")
    upper = f"upperdir={folder}/upper,workdir={folder}/work"
    _overlay(f"{lower},{upper}", folder / "root")
    for shared in ("proc", "sys", "dev"):
        subprocess.run(["mount", "--rbind", Path("/") / shared, folder / "root" / shared], check=True)
    # Processes of one node share memory, those of two do not.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "node", folder / "root/dev/shm"], check=True)
    for path, source in plan.shared.items():
        subprocess.run(["mount", "--bind", source, folder / "root" / path.lstrip("/")], check=True)


def _overlay(layers: str, where: Path) -> None:
    # Each of these would have the kernel note a change elsewhere than in upper's own files.
    options = "index=off,metacopy=off,redirect_dir=off"
    subprocess.run(["mount", "-t", "overlay", "-o", f"{layers},{options}", "node", where], check=True)


def _lay_fresh(plan: Plan, fresh: Path) -> None:
    for path, mode in plan.emptied.items():
        folder = _place(fresh, Path(path))
        folder.mkdir()
        folder.chmod(mode)
        os.setxattr(folder, "trusted.overlay.opaque", b"y")
    for path in plan.removed:
        os.mknod(_place(fresh, Path(path)), stat.S_IFCHR)
    for path in plan.copied:
        shutil.copy2(path, _place(fresh, Path(path)))


def _place(fresh: Path, path: Path) -> Path:
    """Return where `path` goes in `fresh`, with its parents made as the machine has them."""
    for parent in reversed(path.parents):
        made = fresh / parent.relative_to("/")
        if not made.exists():
            made.mkdir()
            shutil.copystat(parent, made)
    return fresh / path.relative_to("/")


def kill_all(belongs: Callable[[Path], bool]) -> None:
    """Kill every process for whose folder in `/proc` `belongs` is true, until there is none."""
    while found := [process for process in _processes() if _is_true(belongs, process)]:
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process.name), signal.SIGKILL)
        time.sleep(0.01)


def _processes() -> Iterator[Path]:
    own = str(os.getpid())
    return (each for each in Path("/proc").iterdir() if each.name.isdigit() and each.name != own)


def _is_true(belongs: Callable[[Path], bool], process: Path) -> bool:
    try:
        return belongs(process)
    except OSError:  # it has ended, or is another user's
        return False


if __name__ == "__main__":
    main()
