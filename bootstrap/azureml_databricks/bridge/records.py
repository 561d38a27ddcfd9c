"""Small records that are added to a run and never changed: what Azure ML's MLflow has no place for.

Each is a JSON file among the run's artifacts, under a folder that listings leave out. A tag would be read
with the run, but Azure ML allows a run 50 tags of 1,000 characters
(https://learn.microsoft.com/azure/machine-learning/resource-limits-capacity), and two processes that change
one tag lose each other's change; of added files none is lost.
"""

from __future__ import annotations

import io
import json
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from azureml_databricks.bridge.parallel import in_parallel

if TYPE_CHECKING:
    from azureml_databricks.bridge.artifacts import Container

Record = dict[str, Any]

# They never change: a process reads each once, as long as they are not too many.
_read: dict[tuple[str, str], Record] = {}
_MOST_READ = 10_000


class Records:
    """The records of one run.

    Args:
        container: the run's artifacts.
    """

    def __init__(self, container: Container) -> None:
        """Take the container."""
        self._container = container

    def add(self, folder: str, record: Record) -> None:
        """Add `record` after those that `folder` has.

        Raises:
            MlflowException: Azure ML or its storage cannot, in one line.
        """
        # Not at the top: most runs have no records, and need no client of Azure's storage.
        from azureml_databricks.bridge import artifacts

        path = f"{artifacts.HIDDEN}/{folder}/{time.time_ns():020}-{secrets.token_hex(4)}.json"
        content = json.dumps(record, separators=(",", ":")).encode()
        with artifacts.telling(f"keep a record of {self._container.container.removeprefix('dcid.')}"):
            artifacts.write(self._container.create([path])[path], content)

    def all(self, folder: str) -> dict[str, list[Record]]:
        """Return the records in `folder` and below, by folder, the oldest first.

        Raises:
            MlflowException: Azure ML or its storage does not give them, in one line.
        """
        from azureml_databricks.bridge import artifacts

        with artifacts.telling(f"read the records of {self._container.container.removeprefix('dcid.')}"):
            found = sorted(self._container.addresses(f"{artifacts.HIDDEN}/{folder}/"))
            records = in_parallel(self._record, found)
        by_folder: dict[str, list[Record]] = {}
        for (path, _), record in zip(found, records, strict=True):
            if record:
                by_folder.setdefault(path.split("/", 1)[1].rpartition("/")[0], []).append(record)
        return by_folder

    def _record(self, found: tuple[str, str]) -> Record:
        path, address = found
        place = self._container.container, path
        if place in _read:
            return _read[place]
        from azure.core.exceptions import ResourceNotFoundError

        from azureml_databricks.bridge import artifacts

        stream = io.BytesIO()
        # A path comes first, then what is in it: another process may be in between.
        with suppress(ResourceNotFoundError):
            artifacts.read(address, stream)
        if not stream.getvalue():
            return {}
        if len(_read) >= _MOST_READ:
            _read.clear()
        _read[place] = json.loads(stream.getvalue())
        return _read[place]
