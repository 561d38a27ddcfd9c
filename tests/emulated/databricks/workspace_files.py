"""Workspace files.

minilake has notebooks only, and no AUTO format.

Source: https://docs.databricks.com/api/azure/workspace/workspace
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.emulated.databricks.callers import Callers, caller
from tests.emulated.databricks.errors import ApiError, denied, invalid, not_there
from tests.emulated.databricks.ids import new_number
from tests.emulated.databricks.permissions import PermissionLists

LIMIT = 10 * 1024 * 1024
"""`import` takes 10 MB, though a user may upload 500 MB in the browser.

Source: https://docs.databricks.com/api/azure/workspace/workspace/import,
https://learn.microsoft.com/azure/databricks/files/workspace#limitations
"""
_READ, _WRITE = ("CAN_READ", "CAN_RUN"), ("CAN_EDIT", "CAN_MANAGE")
_NOTEBOOK = b"# Databricks notebook source"


@dataclass
class _Object:
    path: PurePosixPath
    kind: str
    content: bytes = b""
    id: int = field(default_factory=new_number)
    at: int = field(default_factory=lambda: int(time.time() * 1000))

    def info(self) -> dict[str, Any]:
        info = {"path": str(self.path), "object_type": self.kind, "object_id": self.id}
        if self.kind == "FILE":
            info |= {"size": len(self.content), "created_at": self.at, "modified_at": self.at}
        if self.kind == "NOTEBOOK":
            info |= {"language": "PYTHON"}
        return info


class WorkspaceFiles:
    """The tree under `/Workspace`; the API knows its paths with and without that.

    An admin may do everything, others what they were given on a folder or one above.

    Source: https://learn.microsoft.com/azure/databricks/security/auth/access-control/#folders
    """

    def __init__(self, callers: Callers) -> None:
        self._objects: dict[PurePosixPath, _Object] = {}
        self._lists = PermissionLists(callers, "directories", [*_READ, *_WRITE])
        for folder in ("/", "/Shared", "/Users"):
            self._make(PurePosixPath(folder))
        # Whatever is in it, everybody may change.
        self._lists.give(self._id(PurePosixPath("/Shared")), "users", "CAN_MANAGE")

    @property
    def routes(self) -> list[Route]:
        base, permissions = "/api/2.0/workspace", "/api/2.0/permissions/directories/{id}"
        return [
            Route(f"{base}/import", self._import, methods=["POST"]),
            Route(f"{base}/export", self._export, methods=["GET"]),
            Route(f"{base}/get-status", self._get_status, methods=["GET"]),
            Route(f"{base}/list", self._list, methods=["GET"]),
            Route(f"{base}/mkdirs", self._mkdirs, methods=["POST"]),
            Route(f"{base}/delete", self._delete, methods=["POST"]),
            Route(permissions, self._permissions, methods=["GET", "PUT", "PATCH"]),
        ]

    def add_home(self, user_name: str) -> None:
        """Make a user's folder."""
        self._make(PurePosixPath("/Users", user_name))

    async def _permissions(self, request: Request) -> JSONResponse:
        """Who may do what in a folder.

        Source: https://docs.databricks.com/api/azure/workspace/permissions
        """
        folders = {self._id(path): path for path, it in self._objects.items() if it.kind == "DIRECTORY"}
        object_id = request.path_params["id"]
        if object_id not in folders:
            raise not_there(f"Directory {object_id} does not exist.")
        self._check(request, folders[object_id], ["CAN_MANAGE"])
        above = [self._id(it) for it in folders[object_id].parents if it in self._objects]
        return await self._lists.answer(request, object_id, above)

    def _check(self, request: Request, path: PurePosixPath, levels: Sequence[str]) -> None:
        """Refuse who has none of the permissions on the path or on a folder above it."""
        who = caller(request)
        if "admin of the workspace" in who.rights or path.is_relative_to(f"/Users/{who.user_name}"):
            return
        held = {
            level
            for folder in (path, *path.parents)
            if folder in self._objects
            for level in self._lists.of(who, self._id(folder))
        }
        if not held & set(levels):
            raise denied(f"{who.user_name} does not have {levels[0].replace('_', ' ').title()} on {path}.")

    def _id(self, path: PurePosixPath) -> str:
        return str(self._objects[path].id)

    async def _import(self, request: Request) -> JSONResponse:
        """Keep a file of at most 10 MB, in AUTO or RAW; AUTO makes a notebook of one."""
        path, content, asked, overwrite = await _sent(request)
        self._check(request, path, _WRITE)
        if len(content) > LIMIT:
            message = f"content size ({len(content)}) exceeded the limit {LIMIT}"
            raise ApiError(400, "MAX_NOTEBOOK_SIZE_EXCEEDED", message)
        if asked not in ("AUTO", "RAW"):
            raise invalid(f"This workspace imports AUTO and RAW only, not {asked}")
        is_notebook = asked == "AUTO" and (path.suffix == ".ipynb" or content.startswith(_NOTEBOOK))
        kind = "NOTEBOOK" if is_notebook else "FILE"
        if is_notebook:
            path = path.with_suffix("")
        there = self._objects.get(path)
        if path.parent not in self._objects:
            raise not_there(f"The parent folder ({path.parent}) does not exist.")
        if there and (not overwrite or there.kind != kind):
            raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"Path ({path}) already exists.")
        self._objects[path] = _Object(path, kind, content, id=there.id if there else new_number())
        return JSONResponse({})

    async def _export(self, request: Request) -> Response:
        """A file; no folder."""
        found = self._readable(request)
        if found.kind == "DIRECTORY":
            raise invalid(f"{found.path} is a directory: this workspace exports files only")
        if request.query_params.get("direct_download") == "true":
            return Response(found.content, media_type="application/octet-stream")
        return JSONResponse({"content": base64.b64encode(found.content).decode(), "file_type": "file"})

    async def _get_status(self, request: Request) -> JSONResponse:
        return JSONResponse(self._readable(request).info())

    async def _list(self, request: Request) -> JSONResponse:
        found = self._readable(request)
        listed = [found] if found.kind != "DIRECTORY" else self._in(found.path)
        return JSONResponse({"objects": [each.info() for each in listed]} if listed else {})

    async def _mkdirs(self, request: Request) -> JSONResponse:
        path = _path((await request.json())["path"])
        self._check(request, path, _WRITE)
        for folder in reversed([path, *path.parents]):
            there = self._objects.get(folder)
            if there and there.kind != "DIRECTORY":
                raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"{folder} is not a directory.")
            if not there:
                self._make(folder)
        return JSONResponse({})

    async def _delete(self, request: Request) -> JSONResponse:
        """Delete; a folder that is not empty only with `recursive`."""
        sent = await request.json()
        found = self._found(sent["path"])
        self._check(request, found.path, _WRITE)
        if found.kind == "DIRECTORY" and self._in(found.path) and not sent.get("recursive"):
            raise ApiError(400, "DIRECTORY_NOT_EMPTY", f"Folder ({found.path}) is not empty")
        for path in [each for each in self._objects if each.is_relative_to(found.path)]:
            del self._objects[path]
        return JSONResponse({})

    def _readable(self, request: Request) -> _Object:
        found = self._found(request.query_params["path"])
        self._check(request, found.path, [*_READ, *_WRITE])
        return found

    def _found(self, path: str) -> _Object:
        found = self._objects.get(_path(path))
        if found is None:
            raise not_there(f"Path ({path}) doesn't exist.")
        return found

    def _in(self, folder: PurePosixPath) -> list[_Object]:
        return list(self._children(folder))

    def _children(self, folder: PurePosixPath) -> Iterator[_Object]:
        for path in sorted(self._objects):
            if path.parent == folder and path != folder:
                yield self._objects[path]

    def _make(self, folder: PurePosixPath) -> None:
        self._objects[folder] = _Object(folder, "DIRECTORY")


def _path(text: str) -> PurePosixPath:
    path = PurePosixPath(text)
    if not path.is_absolute():
        raise invalid(f"Path ({text}) should start with '/'")
    return PurePosixPath("/", *path.parts[2:]) if path.parts[1:2] == ("Workspace",) else path


async def _sent(request: Request) -> tuple[PurePosixPath, bytes, str, bool]:
    """Return path, content, format and whether to overwrite, from a form or from JSON."""
    if request.headers["content-type"].startswith("multipart/form-data"):
        async with request.form() as form:
            upload = form["content"]
            content = await upload.read() if isinstance(upload, UploadFile) else str(upload).encode()
            fields = {name: str(value) for name, value in form.items()}
    else:
        fields = await request.json()
        content = base64.b64decode(fields.get("content", ""))
    overwrite = str(fields.get("overwrite", "false")).lower() == "true"
    return _path(fields["path"]), content, fields.get("format", "SOURCE"), overwrite
