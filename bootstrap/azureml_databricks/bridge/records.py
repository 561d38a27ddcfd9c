"""Small records of a run, which are added and never changed: what Azure ML's MLflow has no place for.

They are in JSON files among the run's artifacts, in a folder that listings leave out. A tag would be read
with the run, but Azure ML allows a run 50 tags of 1,000 characters
(https://learn.microsoft.com/azure/machine-learning/resource-limits-capacity), and two processes that change
one tag lose each other's change; of added files none is lost.

Whoever adds many files merges them: what they hold is written to one first, and they are removed then. Each
record has an id, so that it counts once where both are seen, or where two processes merge at once.
"""

from __future__ import annotations

import io
import json
import logging
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException

from azureml_databricks.bridge.parallel import in_parallel

if TYPE_CHECKING:
    from azureml_databricks.bridge.artifacts import Container

_logger = logging.getLogger("mlflow.azureml_databricks")

Record = dict[str, Any]

# After so many files of its own a process merges.
_MANY = 8
# How many bytes a file is read and written for, however few are added; and how many it has at most.
_SMALL, _LARGE = 16 << 10, 4 << 20
# Its name tells its size, which listings do not.
_FILE = re.compile(r".*\.(\d+)\.json")

# Files never change: a process reads each once, and none of its own, as long as they are not too much.
_held: dict[tuple[str, str], list[Entry]] = {}
_held_bytes = 0
_MOST_HELD_BYTES = 8 << 20


_latest = 0


def _new_id() -> str:
    """Return an id that sorts after those that this process has made before, however the clock is set."""
    global _latest
    _latest = max(_latest + 1, time.time_ns())
    return f"{_latest:020}-{secrets.token_hex(4)}"


@dataclass(frozen=True)
class Entry:
    """A record and what it is of, such as `models/KEY`; ids are in the order of time."""

    folder: str
    record: Record
    id: str = field(default_factory=_new_id)


@dataclass
class _Written:
    """The files that this process has written for a run, and how many of them since it has merged last."""

    paths: list[str] = field(default_factory=list)
    since: int = 0
    merges: bool = True


_written: dict[str, _Written] = {}


class Records:
    """The records of one run.

    Args:
        container: the run's artifacts.
    """

    def __init__(self, container: Container) -> None:
        """Take the container."""
        self._container = container
        self._run_id = container.container.removeprefix("dcid.")

    def add(self, entries: list[Entry]) -> None:
        """Add records.

        Raises:
            MlflowException: Azure ML or its storage cannot, in one line.
        """
        # Not at the top: most runs have no records, and need no client of Azure's storage.
        from azureml_databricks.bridge.clients import telling

        with telling(f"keep a record of {self._run_id}"):
            path = self._write(entries)
        written = _written.setdefault(self._run_id, _Written())
        written.paths.append(path)
        written.since += 1
        if written.merges and written.since >= _MANY:
            self._merge(written)

    def all(self, folder: str, waiting: Iterable[Entry] = ()) -> dict[str, list[Record]]:
        """Return the records of `folder` and below, by folder, the oldest first.

        Args:
            folder: such as `models`.
            waiting: records that are not there yet.

        Raises:
            MlflowException: Azure ML or its storage does not give them, in one line.
        """
        from azureml_databricks.bridge.clients import telling

        with telling(f"read the records of {self._run_id}"):
            found = self._files()
        return _by_folder([*found.values(), list(waiting)], folder)

    def written(self, folder: str) -> dict[str, list[Record]] | None:
        """Return those that this process has added, None where it has forgotten some."""
        paths = _written.get(self._run_id, _Written()).paths
        files = [_held.get((self._run_id, path)) for path in paths]
        known = [entries for entries in files if entries is not None]
        return _by_folder(known, folder) if len(known) == len(files) else None

    def _write(self, entries: list[Entry]) -> str:
        from azureml_databricks.bridge import artifacts

        content = json.dumps([astuple(entry) for entry in entries], separators=(",", ":")).encode()
        path = f"{artifacts.HIDDEN}/{_new_id()}.{len(content)}.json"
        artifacts.write(self._container.create([path])[path], content)
        self._hold(path, entries, len(content))
        return path

    def _files(self) -> dict[str, list[Entry]]:
        """Return what is in each file; what one had that went while it was read is in another by now."""
        from azureml_databricks.bridge.artifacts import HIDDEN

        found: dict[str, list[Entry]] = {}
        missing: set[str] | None = None
        while True:
            addresses = dict(self._container.addresses(f"{HIDDEN}/"))
            if missing and missing <= addresses.keys():
                return found  # who makes them has not written them yet, or never will
            new = {path: addresses[path] for path in sorted(addresses.keys() - found.keys())}
            read = self._contents(new)
            found |= read
            missing = new.keys() - read.keys()
            if not missing:
                return found

    def _contents(self, addresses: Mapping[str, str]) -> dict[str, list[Entry]]:
        """Return what is in files, of those that have anything."""
        read = zip(addresses, in_parallel(self._entries, addresses.items()), strict=True)
        return {path: entries for path, entries in read if entries is not None}

    def _entries(self, file: tuple[str, str]) -> list[Entry] | None:
        path, address = file
        if (held := _held.get((self._run_id, path))) is not None:
            return held
        from azure.core.exceptions import ResourceNotFoundError

        from azureml_databricks.bridge import artifacts

        stream = io.BytesIO()
        with suppress(ResourceNotFoundError):
            artifacts.read(address, stream)
        if not stream.getvalue():
            return None
        entries: list[Entry] = []
        try:
            entries = [_entry(*each) for each in json.loads(stream.getvalue())]
        except (RecursionError, TypeError, ValueError) as error:
            _logger.warning(
                "artifact %r of run %s is left out, since it is no record of azureml-databricks (%s): "
                "somebody else wrote it, delete it",
                *(path, self._run_id, error),
            )
        self._hold(path, entries, len(stream.getvalue()))
        return entries

    def _hold(self, path: str, entries: list[Entry], size: int) -> None:
        global _held_bytes
        if _held_bytes + size > _MOST_HELD_BYTES:
            _held.clear()
            _held_bytes = 0
        _held[self._run_id, path] = entries
        _held_bytes += size

    def _merge(self, written: _Written) -> None:
        """Merge what is worth it; what cannot be merged stays as it is."""
        from azure.core.exceptions import AzureError

        from azureml_databricks.bridge.artifacts import HIDDEN

        written.since = 0
        try:
            addresses = dict(self._container.addresses(f"{HIDDEN}/"))
            read = self._contents({path: addresses[path] for path in _worth_merging(addresses)})
            merged = {path: entries for path, entries in read.items() if entries}
            if len(merged) < 2:
                return
            path = self._write(_each_once(merged.values()))
            # In place: another thread may add to them.
            written.paths.append(path)
            for each in merged:
                with suppress(ValueError):
                    written.paths.remove(each)
            self._container.delete(list(merged))
        except (AzureError, MlflowException) as error:
            written.merges = False
            _logger.debug("the records of run %s are not merged: %s", self._run_id, error)


def _entry(folder: str, record: Record, id: str) -> Entry:
    if not (isinstance(folder, str) and isinstance(record, dict) and isinstance(id, str)):
        raise TypeError("not a folder, a record and an id")
    return Entry(folder, record, id)


def _each_once(files: Iterable[list[Entry]]) -> list[Entry]:
    entries = {entry.id: entry for of_file in files for entry in of_file}
    return [entries[each] for each in sorted(entries)]


def _by_folder(files: Iterable[list[Entry]], folder: str) -> dict[str, list[Record]]:
    by_folder: dict[str, list[Record]] = {}
    for entry in _each_once(files):
        if entry.folder == folder or entry.folder.startswith(f"{folder}/"):
            by_folder.setdefault(entry.folder, []).append(entry.record)
    return by_folder


def _worth_merging(paths: Iterable[str]) -> list[str]:
    """Return small files, and each that is not much larger than all smaller ones together.

    So what is added is written again a few times only, and there are as many files as its size has digits.
    """
    sizes = {path: int(match[1]) for path in paths if (match := _FILE.fullmatch(path))}
    worth: list[str] = []
    total = 0
    for path in sorted(sizes, key=lambda each: sizes[each]):
        if sizes[path] > max(_SMALL, 2 * total) or total + sizes[path] > _LARGE:
            break
        worth.append(path)
        total += sizes[path]
    return worth
