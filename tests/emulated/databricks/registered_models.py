"""Unity Catalog's registered models, as MLflow's registry `databricks-uc` uses them, and their files.

What is asked and answered is read from MLflow's own client.

Source: mlflow.store._unity_catalog.registry.rest_store
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.emulated.databricks.callers import caller
from tests.emulated.databricks.errors import ApiError, invalid, not_there
from tests.emulated.databricks.minilake import Minilake

_BASE = "/api/2.0/mlflow/unity-catalog"
_IS_ENABLED = "is-databricks-sdk-models-artifact-repository-enabled"


class RegisteredModels:
    """The registered models of one metastore."""

    def __init__(self, minilake: Minilake) -> None:
        self._minilake = minilake
        self._models: dict[str, dict[str, Any]] = {}
        self._versions: dict[tuple[str, str], dict[str, Any]] = {}
        self._files: dict[PurePosixPath, bytes] = {}

    @property
    def routes(self) -> list[Route]:
        models, versions = f"{_BASE}/registered-models", f"{_BASE}/model-versions"
        return [
            Route(f"{models}/create", self._create_model, methods=["POST"]),
            Route(f"{models}/get", self._get_model, methods=["GET"]),
            Route(f"{models}/alias", self._set_alias, methods=["POST"]),
            Route(f"{models}/alias", self._get_by_alias, methods=["GET"]),
            Route(f"{models}:{_IS_ENABLED}", self._is_enabled, methods=["GET"]),
            Route(f"{versions}/create", self._create_version, methods=["POST"]),
            Route(f"{versions}/finalize", self._finalize, methods=["POST"]),
            Route(f"{versions}/get", self._get_version, methods=["GET"]),
            Route(f"{versions}/emit-lineage", self._emit_lineage, methods=["POST"]),
            Route("/api/2.0/fs/files/Models/{path:path}", self._put_file, methods=["PUT"]),
            Route("/api/2.0/fs/files/Models/{path:path}", self._get_file, methods=["GET", "HEAD"]),
            Route("/api/2.0/fs/directories/Models/{path:path}", self._list, methods=["GET", "HEAD"]),
        ]

    async def _create_model(self, request: Request) -> JSONResponse:
        """A model, in a schema that there is.

        Source: https://docs.databricks.com/api/azure/workspace/registeredmodels/create
        """
        sent = await request.json()
        name = sent["name"]
        if name.count(".") != 2:
            raise invalid(f"Model name '{name}' is not a valid three-level name")
        schema = name.rpartition(".")[0]
        if (await self._minilake.ask("GET", f"/api/2.1/unity-catalog/schemas/{schema}")).status_code == 404:
            raise not_there(f"Schema '{schema}' does not exist.")
        if name in self._models:
            raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"Registered model '{name}' already exists")
        self._models[name] = {**sent, "user_id": caller(request).user_name, "aliases": []}
        return JSONResponse({"registered_model": self._models[name]})

    async def _get_model(self, request: Request) -> JSONResponse:
        return JSONResponse({"registered_model": self._model(await _fields(request))})

    async def _set_alias(self, request: Request) -> JSONResponse:
        fields = await _fields(request)
        model = self._model(fields)
        self._version(fields)
        others = [each for each in model["aliases"] if each["alias"] != fields["alias"]]
        model["aliases"] = [*others, {"alias": fields["alias"], "version": fields["version"]}]
        return JSONResponse({})

    async def _get_by_alias(self, request: Request) -> JSONResponse:
        fields = await _fields(request)
        for each in self._model(fields)["aliases"]:
            if each["alias"] == fields["alias"]:
                return JSONResponse({"model_version": self._version({**fields, **each})})
        raise not_there(f"Alias '{fields['alias']}' does not exist.")

    async def _is_enabled(self, request: Request) -> JSONResponse:
        """Files go by the Files API, so that no storage account has to answer."""
        return JSONResponse({_IS_ENABLED.replace("-", "_"): True})

    async def _create_version(self, request: Request) -> JSONResponse:
        """The next version of a model; a logged model that it is of has to be this workspace's.

        Source: https://github.com/mlflow/mlflow/issues/18194
        """
        fields = await _fields(request)
        self._model(fields)
        if model_id := fields.get("model_id"):
            raise not_there(f"Logged model with ID '{model_id}' does not exist.")
        number = str(sum(name == fields["name"] for name, _ in self._versions) + 1)
        place = "/".join(("/Models", *fields["name"].split("."), number))
        self._versions[fields["name"], number] = {
            **fields,
            "version": number,
            "status": "PENDING_REGISTRATION",
            "creation_timestamp": int(time.time() * 1000),
            "user_id": caller(request).user_name,
            "storage_location": place,
        }
        return JSONResponse({"model_version": self._versions[fields["name"], number]})

    async def _finalize(self, request: Request) -> JSONResponse:
        version = self._version(await _fields(request))
        version["status"] = "READY"
        return JSONResponse({"model_version": version})

    async def _get_version(self, request: Request) -> JSONResponse:
        return JSONResponse({"model_version": self._version(await _fields(request))})

    async def _emit_lineage(self, request: Request) -> JSONResponse:
        self._version(await _fields(request))
        return JSONResponse({})

    async def _put_file(self, request: Request) -> Response:
        self._files[_path(request)] = await request.body()
        return Response(status_code=204)

    async def _get_file(self, request: Request) -> Response:
        if _path(request) not in self._files:
            message = "The file being accessed is not found."
            raise ApiError(404, "NOT_FOUND", message, "FILES_API_FILE_NOT_FOUND")
        return Response(self._files[_path(request)], media_type="application/octet-stream")

    async def _list(self, request: Request) -> Response:
        folder = _path(request)
        files = [path for path in self._files if folder in path.parents]
        if not files:
            message = "The directory being accessed is not found."
            raise ApiError(404, "NOT_FOUND", message, "FILES_API_DIRECTORY_IS_NOT_FOUND")
        children = {folder / path.relative_to(folder).parts[0] for path in files}
        contents = [
            {"path": f"/Models/{child}", "is_directory": child not in self._files, "name": child.name}
            for child in sorted(children)
        ]
        return JSONResponse({"contents": contents})

    def _model(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        if fields["name"] not in self._models:
            raise not_there(f"Registered model '{fields['name']}' does not exist.")
        return self._models[fields["name"]]

    def _version(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        place = fields["name"], str(fields["version"])
        if place not in self._versions:
            raise not_there(f"Model version '{fields['name']}' version {fields['version']} does not exist.")
        return self._versions[place]


async def _fields(request: Request) -> dict[str, Any]:
    """Return what is asked; MLflow sends a GET's as query."""
    sent: dict[str, Any] = dict(request.query_params) if request.method == "GET" else await request.json()
    return sent


def _path(request: Request) -> PurePosixPath:
    return PurePosixPath(request.path_params["path"])
