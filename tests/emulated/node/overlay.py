"""A node with a root file system of its own: an overlay in a mount namespace, entered by chroot."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from tests import REPOSITORY
from tests.emulated.node import holder
from tests.emulated.node.changes import Change, Entry, compare, walk
from tests.emulated.node.interpreter import is_foreign
from tests.emulated.node.node import Ability, Node, NodeError
from tests.emulated.node.replica import Replica

_EMPTIED = {"/root": 0o700, "/home": 0o755, "/tmp": 0o1777, "/var/tmp": 0o1777, str(REPOSITORY): 0o755}


class OverlayNode(Node):
    """See the package's README.md for the picture."""

    def __init__(
        self, replica: Replica, holder_process: int, folder: Path, environment: Mapping[str, str]
    ) -> None:
        """Take over what `holder_process` has mounted in `folder`."""
        self._holder = holder_process
        self._seen_by_holder = Path(f"/proc/{holder_process}/root") / folder.relative_to("/")
        self._folder = folder
        self._chroot = folder / "root"
        super().__init__(replica, self._seen_by_holder / "root", environment)

    def path(self, node_path: str) -> Path:
        return _resolve(self.root, Path(node_path))

    def inside(self, node_path: str) -> str:
        return node_path

    @property
    def cannot(self) -> Mapping[Ability, str]:
        return {}

    def command(self, argv: Sequence[str], *, user: str | None, cwd: str) -> list[str]:
        return [
            *("nsenter", f"--mount=/proc/{self._holder}/ns/mnt"),
            *("chroot", *([f"--userspec={user}:"] if user else []), str(self._chroot)),
            *("env", f"--chdir={cwd}", *argv),
        ]

    def checkpoint(self) -> None:
        self._baseline = self._state()

    def changes(self) -> dict[str, Change]:
        before, after = dict(self._baseline), self._state()
        base = self._seen_by_holder / "base"
        for path in after.keys() - before.keys():
            before[path] = Entry.of(base / path[1:])
        for path in before.keys() - after.keys():
            after[path] = Entry.of(base / path[1:])
        return compare(before, after)

    def leave_free(self, size: int | None) -> None:
        disk = os.statvfs(self.root)
        used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        limit = "50%" if size is None else used + size
        mount = ["mount", "--options", f"remount,size={limit}", str(self._folder)]
        subprocess.run(["nsenter", f"--mount=/proc/{self._holder}/ns/mnt", *mount], check=True)

    def _state(self) -> dict[str, Entry | None]:
        """Return what is now at each path where anything happened since boot."""
        return {path: Entry.of(self.root / path[1:]) for path in self._touched()}

    def _touched(self) -> Iterator[str]:
        # A folder that is gone hides what was beneath it: that is gone too, and only base still knows.
        upper, base = self._seen_by_holder / "upper", self._seen_by_holder / "base"
        for path in walk(upper):
            yield path
            if (base / path[1:]).is_dir() and not (base / path[1:]).is_symlink():
                yield from _gone(base, self.root, path)
        yield from _gone(base, self.root, "")


def _gone(base: Path, root: Path, folder: str) -> Iterator[str]:
    """Yield what `base` has in `folder` and `root` has not, with all that is beneath."""
    for child in os.scandir(f"{base}{folder}"):
        path = f"{folder}/{child.name}"
        if not os.path.lexists(f"{root}{path}"):
            yield path
            if child.is_dir(follow_symlinks=False):
                yield from (path + beneath for beneath in walk(base / path[1:]))


def _resolve(root: Path, path: Path) -> Path:
    """Return where `path` leads for a process whose root is `root`: links may be absolute."""
    reached = Path("/")
    pending = list(reversed(path.parts))
    for _ in range(1000):
        if not pending:
            return root / reached.relative_to("/")
        reached = Path(os.path.normpath(reached / pending.pop()))
        if (root / reached.relative_to("/")).is_symlink():
            target = (root / reached.relative_to("/")).readlink()
            reached = reached.parent
            pending.extend(reversed(target.parts))
    raise NodeError(f"{path} leads in a circle on the node: see its links")


@contextlib.contextmanager
def boot_overlay(
    replica: Replica,
    environment: Mapping[str, str],
    layers: Sequence[Path] = (),
    shared: Mapping[str, Path] | None = None,
) -> Iterator[OverlayNode]:
    """Boot a node; `layers` and `shared` as of `boot`.

    Raises:
        NodeError: this machine does not permit it.
    """
    all_layers = [*layers, replica.layer]
    with _mounted(all_layers, shared or {}, replica.interpreter.version) as (process, folder):
        yield OverlayNode(replica, process, folder, environment)


@lru_cache
def refusal() -> str | None:
    """Return why this machine permits no overlays, or None where it does."""
    try:
        with _mounted([REPOSITORY], {}, ""):
            return None
    except NodeError as error:
        return str(error)


@contextlib.contextmanager
def _mounted(layers: Sequence[Path], shared: Mapping[str, Path], python: str) -> Iterator[tuple[int, Path]]:
    """Yield the process that holds the namespace, and the folder that is a node in it."""
    folder = Path(tempfile.mkdtemp(prefix="node-"))
    plan = holder.Plan(
        folder=str(folder),
        layers=[str(layer) for layer in layers],
        shared={path: str(source) for path, source in shared.items()},
        emptied={
            path: mode
            for path, mode in {**_EMPTIED, f"/usr/local/lib/python{python}": 0o755}.items()
            if Path(path).is_dir()
        },
        removed=_of_this_machine_only(),
        copied=[path for path in ("/etc/hosts", "/etc/resolv.conf") if Path(path).exists()],
    )
    # A session of its own: Ctrl-C is for the tests, which then let the node go.
    process = subprocess.Popen(
        [
            *("unshare", "--mount", "--propagation=private"),
            *(sys.executable, "-I", holder.__file__, plan.to_json()),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    assert process.stderr
    with process:
        if process.stdout.readline() != "ready\n":
            folder.rmdir()
            why = process.stderr.readline().strip()
            raise NodeError(f"this machine permits no overlay: {why}")
        yield process.pid, folder
        _, why = process.communicate()
        if process.returncode:
            raise NodeError(f"the node did not go: {why}")


@lru_cache
def _of_this_machine_only() -> list[str]:
    startup_files = Path("/usr/lib/python3/dist-packages").glob("*.pth")
    foreign = [str(path) for path in startup_files if is_foreign(path)]
    return [*foreign, *(path for path in ("/etc/pip.conf",) if Path(path).exists())]
