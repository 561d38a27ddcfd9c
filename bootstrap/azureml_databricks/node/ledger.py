"""Changes to files that are not ours, each of which can be taken back to the byte.

Before a file is first touched, what it was goes into the ledger: its bytes, mode, owner and time, or that
it was not there. A later install never records again, so our own text is never taken for the original.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

BEGIN = b"# >>> azureml-databricks >>>"
END = b"# <<< azureml-databricks <<<\n"


class LedgerError(Exception):
    """Why the ledger cannot be read and what to do, in one line."""


@dataclass(frozen=True)
class Entry:
    """One file's state before us.

    Attributes:
        path: the real path, links followed.
        written: SHA-256 of what we last wrote there.
        existed: whether there was a file; the next four describe it.
        mode: permission bits.
        uid: owner; -1 for whoever writes.
        gid: group; -1 for whoever writes.
        mtime_ns: time of the last change, nanoseconds.
        made: folders that we made for it, outermost first.
        derived: whether Python itself may rewrite it (compiled code).
    """

    path: str
    written: str = ""
    existed: bool = False
    mode: int = 0o644
    uid: int = -1
    gid: int = -1
    mtime_ns: int = 0
    made: tuple[str, ...] = ()
    derived: bool = False


class Ledger:
    """The changes made on this node, kept in one folder."""

    def __init__(self, folder: Path) -> None:
        """Read the ledger in `folder`; an empty one where there is none.

        Raises:
            LedgerError: it is damaged.
        """
        self._folder = folder
        self._index = folder / "index.json"
        try:
            entries = json.loads(self._index.read_bytes()) if self._index.exists() else []
            self._entries = {entry["path"]: Entry(**entry) for entry in entries}
        except (TypeError, ValueError) as error:
            raise LedgerError(
                f"{self._index} is damaged ({error}): remove the lines between {BEGIN.decode()!r} and "
                f"{END.decode().strip()!r} from sitecustomize.py by hand, and {folder.parent}"
            ) from None

    def remember(self, path: Path) -> None:
        """Note how a file is that Python itself will write (compiled code), before that happens.

        Raises:
            OSError: the ledger cannot be written.
        """
        path = Path(os.path.realpath(path))
        if str(path) not in self._entries:
            self._record(path, 0o644, derived=True)

    def write(self, path: Path, content: bytes, *, mode: int = 0o644) -> None:
        """Make `path` hold `content`, in one step, with the mode and owner that it had.

        Raises:
            OSError: the file or its folder cannot be written.
        """
        path = Path(os.path.realpath(path))
        entry = self._entries.get(str(path)) or self._record(path, mode, derived=False)
        if entry.written != _digest(content):
            self._save(replace(entry, written=_digest(content)))
        if path.exists() and path.read_bytes() == content:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content, entry)

    def write_block(self, path: Path, block: bytes) -> None:
        """Put `block`, which starts with BEGIN and ends with END, at the end of a file that is there.

        Raises:
            OSError: as `write`.
        """
        before = without_block(path.read_bytes())
        if before and not before.endswith(b"\n"):
            before += b"\n"
        self.write(path, before + block)

    def undo(self) -> list[str]:
        """Take every change back, last first; return a line for each file that could not be as it was."""
        left = []
        for entry in reversed(list(self._entries.values())):
            path = Path(entry.path)
            _beside(path).unlink(missing_ok=True)
            if path.exists() and not self._restore(path, entry):
                left.append(f"{path} was changed by somebody since: only our lines are removed")
            for folder in reversed(entry.made):
                if Path(folder).is_dir() and not os.listdir(folder):
                    os.rmdir(folder)
        return left

    def _record(self, path: Path, mode: int, *, derived: bool) -> Entry:
        made = [str(folder) for folder in reversed(path.parents) if not folder.exists()]
        entry = Entry(str(path), mode=mode, made=tuple(made), derived=derived)
        if path.exists() and not _is_ours(path.read_bytes()):
            stat = path.stat()
            entry = replace(
                entry,
                existed=True,
                mode=stat.st_mode & 0o7777,
                uid=stat.st_uid,
                gid=stat.st_gid,
                mtime_ns=stat.st_mtime_ns,
            )
            self._folder.mkdir(parents=True, exist_ok=True)
            # A block of an install whose ledger was deleted is ours, not the original's.
            self._original(entry).write_bytes(without_block(path.read_bytes()))
        self._save(entry)
        return entry

    def _restore(self, path: Path, entry: Entry) -> bool:
        """Return whether the file is as it was before us."""
        content = path.read_bytes()
        ours = entry.derived or _digest(content) == entry.written
        original = self._original(entry).read_bytes() if entry.existed else None
        stripped = without_block(content)
        # What we wrote last may have had somebody's lines in it, which are no less theirs for that.
        was = original or b""
        theirs = not entry.derived and stripped not in (content, b"", was, was + b"\n")
        if (ours and not theirs) or stripped == was:
            if original is None:
                path.unlink()
            else:
                _replace(path, original, entry)
                os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))
            return True
        if stripped != content:
            _replace(path, stripped, entry)
        return False

    def _original(self, entry: Entry) -> Path:
        return self._folder / _digest(entry.path.encode())

    def _save(self, entry: Entry) -> None:
        self._entries[entry.path] = entry
        self._folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps([asdict(entry) for entry in self._entries.values()], indent=1)
        partial = self._index.with_suffix(".partial")
        partial.write_text(text)
        os.replace(partial, self._index)


def without_block(content: bytes) -> bytes:
    """Return `content` less our block, if it has one."""
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    return before + after if begin and end else content


def _is_ours(content: bytes) -> bool:
    """Return whether all of it is of an install whose ledger was deleted."""
    return BEGIN in content and without_block(content) in (content, b"")


def _replace(path: Path, content: bytes, entry: Entry) -> None:
    """Replace the file in one step: a process that starts meanwhile reads the old or the new."""
    beside = _beside(path)
    beside.write_bytes(content)
    os.chmod(beside, entry.mode)
    os.chown(beside, entry.uid, entry.gid)
    os.replace(beside, path)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.azureml-databricks")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
