"""A node under a prefix, for machines that permit no overlay: the same files, and the same Python, copied."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests import REPOSITORY
from tests.emulated.node.changes import Change, Entry, compare, walk
from tests.emulated.node.holder import kill_all
from tests.emulated.node.node import Ability, Node, NodeError
from tests.emulated.node.replica import Replica, settle

_NODES = REPOSITORY / ".cache" / "nodes"
_ROOT_VARIABLE = "AZUREML_DATABRICKS_ROOT"


class PrefixNode(Node):
    """See the package's README.md for the picture."""

    def __init__(self, replica: Replica, root: Path, environment: Mapping[str, str], reason: str) -> None:
        """Take over what lies at `root`; `reason` says why there is no overlay."""
        self._reason = reason
        super().__init__(replica, root, {**environment, _ROOT_VARIABLE: str(root)})

    def path(self, node_path: str) -> Path:
        return Path(self.inside(node_path)).resolve()

    def inside(self, node_path: str) -> str:
        return f"{self.root}{node_path}"

    @property
    def cannot(self) -> Mapping[Ability, str]:
        return {
            "system paths": f"the node lies under a prefix, since {self._reason}",
            "other user": f"the node's files are this user's, since {self._reason}",
            "full disk": f"the node's disk is this machine's, since {self._reason}",
        }

    def command(self, argv: Sequence[str], *, user: str | None, cwd: str) -> list[str]:
        if user:
            raise NotImplementedError(self.cannot["other user"])
        command, *arguments = argv
        if Path(self.inside(command)).exists():
            command = self.inside(command)
        return ["env", f"--chdir={self.inside(cwd)}", command, *arguments]

    def leave_free(self, size: int | None) -> None:
        raise NotImplementedError(self.cannot["full disk"])

    def checkpoint(self) -> None:
        self._baseline = self._state()

    def changes(self) -> dict[str, Change]:
        return compare(self._baseline, self._state())

    def _state(self) -> dict[str, Entry | None]:
        return {path: Entry.of(self.root / path[1:]) for path in walk(self.root)}


@contextlib.contextmanager
def boot_prefix(replica: Replica, environment: Mapping[str, str], reason: str) -> Iterator[PrefixNode]:
    """Boot a node in a folder that goes with it.

    Raises:
        NodeError: at the end, if the replica has been damaged: see `_Links`.
    """
    # Beside the replica: hard links do not lead to another file system.
    _NODES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_NODES) as folder:
        root = Path(folder)
        links = _Links()
        shutil.copytree(replica.layer, root, symlinks=True, dirs_exist_ok=True, copy_function=links.copy)
        if replica.interpreter.of_distribution:
            replica.interpreter.copy_to(root)
        python3 = root / "databricks/python3"
        base = root / replica.interpreter.on_node.relative_to("/")
        settle(python3, was=Path("/databricks/python3"), now=python3, base=base)
        (root / "root").mkdir(mode=0o700)
        (root / "tmp").mkdir()
        (root / "tmp").chmod(0o1777)
        try:
            yield PrefixNode(replica, root, environment, reason)
        finally:
            mark = f"{_ROOT_VARIABLE}={root}\0".encode()
            kill_all(lambda process: mark in (process / "environ").read_bytes())
        links.check(replica)


class _Links:
    """Links what is in a runtime's packages, instead of copying a gigabyte for each node.

    To replace or remove such a file is safe; to write to it in place would change the replica.
    """

    def __init__(self) -> None:
        self._linked: dict[str, tuple[int, int, int]] = {}

    def copy(self, source: str, target: str) -> None:
        """Link `source` if it is in a package, or else copy it."""
        if "/site-packages/" in str(Path(source).parent):
            with contextlib.suppress(OSError):  # another file system, or another user's file
                os.link(source, target)
                self._linked[source] = _identity(source)
                return
        shutil.copy2(source, target)

    def check(self, replica: Replica) -> None:
        """Remove the replica if a file of it is not what it was."""
        damaged = [path for path, was in self._linked.items() if _identity(path) != was]
        if damaged:
            shutil.rmtree(replica.layer)
            raise NodeError(
                f"{damaged[0]} was written to in place, which a node under a prefix cannot undo: write "
                "another file and move it there. The replica is removed, and will be built again."
            )


def _identity(path: str) -> tuple[int, int, int]:
    status = Path(path).lstat()
    return status.st_mode, status.st_size, status.st_mtime_ns
