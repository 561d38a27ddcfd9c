"""The folder for our files in a Databricks workspace: in a Unity Catalog volume, or among workspace files."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import AlreadyExists, NotFound, ResourceAlreadyExists
from databricks.sdk.service.workspace import ExportFormat, ImportFormat, ObjectType

from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.services.databricks import telling

# https://learn.microsoft.com/azure/databricks/files/workspace#limitations
_WORKSPACE_FILE_LIMIT = 10 * 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """What is in a folder.

    Attributes:
        size: of a file, in bytes; None of anything else.
        modified: when it was written last, in milliseconds since 1970; 0 where that is not told.
    """

    size: int | None
    modified: int = 0


class Storage(ABC):
    """A folder, and what is in it; names are relative to it.

    Attributes:
        location: its path, as a node sees it.

    Every method raises AdminError where Databricks refuses.
    """

    _read_right: str
    _write_right: str

    def __init__(self, client: WorkspaceClient, location: str) -> None:
        """Name the folder; it need not exist."""
        self._client = client
        self.location = location

    def exists(self) -> bool:
        """Return whether the folder is there."""
        with self._reading():
            try:
                self._look()
            except NotFound:
                return False
        return True

    def entries(self, folder: str) -> dict[str, Entry]:
        """Return what is in a folder by its name, nothing where there is none."""
        with self._reading():
            try:
                return self._entries(self._path(folder))
            except NotFound:
                return {}

    def read(self, name: str) -> bytes | None:
        """Return what is in a file, None where there is none."""
        with self._reading():
            try:
                return self._read(self._path(name))
            except NotFound:
                return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file, over an older one."""
        with self._writing():
            self._write(self._path(name), content, overwrite=True)

    def create(self, name: str, content: bytes) -> bool:
        """Write a file where there is none, and return whether that was so."""
        with self._writing():
            try:
                self._write(self._path(name), content, overwrite=False)
            except (AlreadyExists, ResourceAlreadyExists):
                return False
        return True

    def make(self, folder: str = "") -> None:
        """Make a folder (by default this one) and those above it, where they are not there."""
        with self._writing():
            self._make(self._path(folder))

    def delete(self, name: str) -> None:
        """Delete a file or an empty folder, if it is there."""
        with self._writing(), suppress(NotFound):
            self._delete(self._path(name), is_folder="." not in name)

    def delete_all(self, folder: str) -> None:
        """Delete a folder with all that is in it, if it is there."""
        for name, entry in self.entries(folder).items():
            if entry.size is None:
                self.delete_all(f"{folder}/{name}")
            else:
                with self._writing(), suppress(NotFound):
                    self._delete(self._path(f"{folder}/{name}"), is_folder=False)
        with self._writing(), suppress(NotFound):
            self._delete(self._path(folder), is_folder=True)

    def _path(self, name: str) -> str:
        return f"{self.location}/{name}".rstrip("/")

    def _reading(self) -> AbstractContextManager[None]:
        return telling(f"{self.location} cannot be read", self._read_right)

    def _writing(self) -> AbstractContextManager[None]:
        return telling(f"{self.location} cannot be written", self._write_right)

    @abstractmethod
    def _look(self) -> None: ...

    @abstractmethod
    def _entries(self, path: str) -> dict[str, Entry]: ...

    @abstractmethod
    def _read(self, path: str) -> bytes: ...

    @abstractmethod
    def _write(self, path: str, content: bytes, *, overwrite: bool) -> None: ...

    @abstractmethod
    def _make(self, path: str) -> None: ...

    @abstractmethod
    def _delete(self, path: str, *, is_folder: bool) -> None: ...


class Volume(Storage):
    """A folder in a Unity Catalog volume: https://docs.databricks.com/api/azure/workspace/files."""

    def __init__(self, client: WorkspaceClient, location: str) -> None:
        """Name the folder, and look for its volume.

        Raises:
            AdminError: there is no such volume.
        """
        super().__init__(client, location)
        self.name = ".".join(location.split("/")[2:5])
        self._read_right = f"READ VOLUME on {self.name}, and USE on its catalog and schema"
        self._write_right = f"WRITE VOLUME on {self.name}"
        with telling(f"volume {self.name} cannot be read", self._read_right):
            try:
                self.owner = client.volumes.read(self.name).owner or ""
            except NotFound:
                raise AdminError(
                    f"there is no volume {self.name} (clusters.location): create it, so that only admins may "
                    "write to it, or name another"
                ) from None

    def _look(self) -> None:
        self._client.files.get_directory_metadata(self.location)

    def _entries(self, path: str) -> dict[str, Entry]:
        return {
            entry.name or "": Entry(
                None if entry.is_directory else entry.file_size or 0, entry.last_modified or 0
            )
            for entry in self._client.files.list_directory_contents(path)
        }

    def _read(self, path: str) -> bytes:
        contents = self._client.files.download(path).contents
        assert contents
        with contents:
            return contents.read()

    def _write(self, path: str, content: bytes, *, overwrite: bool) -> None:
        self._client.files.upload(path, io.BytesIO(content), overwrite=overwrite)

    def _make(self, path: str) -> None:
        self._client.files.create_directory(path)

    def _delete(self, path: str, *, is_folder: bool) -> None:
        if is_folder:
            self._client.files.delete_directory(path)
        else:
            self._client.files.delete(path)


class WorkspaceFolder(Storage):
    """A folder of workspace files: https://docs.databricks.com/api/azure/workspace/workspace."""

    def __init__(self, client: WorkspaceClient, location: str) -> None:
        """Name the folder; it need not exist."""
        super().__init__(client, location)
        self._read_right = f"CAN READ on {location}"
        self._write_right = f"CAN MANAGE on {location}, or the admin role"

    def object_id(self) -> str:
        """Return the folder's ID, by which its permissions are found; empty where it is not there."""
        with self._reading():
            try:
                return str(self._client.workspace.get_status(self.location).object_id)
            except NotFound:
                return ""

    def _look(self) -> None:
        self._client.workspace.get_status(self.location)

    def _entries(self, path: str) -> dict[str, Entry]:
        return {
            (entry.path or "").rpartition("/")[2]: Entry(
                entry.size or 0 if entry.object_type == ObjectType.FILE else None, entry.modified_at or 0
            )
            for entry in self._client.workspace.list(path)
        }

    def _read(self, path: str) -> bytes:
        with self._client.workspace.download(path, format=ExportFormat.AUTO) as contents:
            return contents.read()

    def _write(self, path: str, content: bytes, *, overwrite: bool) -> None:
        if len(content) > _WORKSPACE_FILE_LIMIT:
            raise AdminError(
                f"{path} has {len(content):,} bytes, and a workspace file at most {_WORKSPACE_FILE_LIMIT:,}: "
                "use a volume (clusters.location)"
            )
        self._client.workspace.upload(path, content, format=ImportFormat.AUTO, overwrite=overwrite)

    def _make(self, path: str) -> None:
        self._client.workspace.mkdirs(path)

    def _delete(self, path: str, *, is_folder: bool) -> None:
        self._client.workspace.delete(path)


def at(client: WorkspaceClient, location: str) -> Storage:
    """Return the folder at a location.

    Raises:
        AdminError: it is in a volume that does not exist.
    """
    in_volume = location.startswith("/Volumes/")
    return Volume(client, location) if in_volume else WorkspaceFolder(client, location)
