"""A second copy of the record, for when a volume or the record in it is lost.

It lies among the workspace's files, in a folder of the root, where nobody but admins writes unless they are
given that: https://learn.microsoft.com/azure/databricks/workspace/workspace-browser/
"""

from __future__ import annotations

import hashlib
import re

from databricks.sdk import WorkspaceClient

from azureml_databricks.admin.objects.storage import WorkspaceFolder

FOLDER = "/Workspace/azureml-databricks"
_SHOWN_LETTERS = 80


class RecordCopy:
    """The copy of one location's record."""

    def __init__(self, client: WorkspaceClient, location: str) -> None:
        """Name it; it need not exist."""
        self._folder = WorkspaceFolder(client, FOLDER)
        # Two locations may be alike but for what is no letter.
        digest = hashlib.sha256(location.encode()).hexdigest()[:8]
        plain = re.sub(r"[^\w.-]+", "-", location.strip("/"), flags=re.ASCII)[-_SHOWN_LETTERS:]
        self._name = f"{plain}-{digest}.json"

    @property
    def path(self) -> str:
        """Where it is."""
        return f"{FOLDER}/{self._name}"

    def read(self) -> bytes | None:
        """Return what is in it, None where there is none.

        Raises:
            AdminError: it cannot be read.
        """
        return self._folder.read(self._name)

    def keep(self, content: bytes | None) -> None:
        """Make it as the record is; None deletes it.

        Raises:
            AdminError: it cannot be written.
        """
        there = self.read()
        if content not in (None, there):
            self._folder.make()
            self._folder.write(self._name, content)
        elif content is None and there is not None:
            self._folder.delete(self._name)
            if not self._folder.entries(""):
                self._folder.delete("")
