"""Artifacts: a client names paths and gets signed addresses, to which it then talks itself.

Runs' artifacts are served under /history, and all, those of models registered from a local folder too,
under /artifact; they are kept as <origin>/<container>/<path>.

Source: azureml.mlflow._restclient.run_artifact, azureml.mlflow._restclient.artifact
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from tests.emulated.azure.azurite import Azurite
from tests.emulated.azure.errors import azureml_error
from tests.emulated.azure.forward import Client
from tests.emulated.azure.ids import DEFAULT, Ids, UnknownIdError

BATCH_SIZE = 100
PAGE_SIZE = 500

Folder = tuple[str, str]


class Artifacts:
    """Which artifacts exist, by origin and container; their bytes are Azurite's."""

    def __init__(self, azurite: Azurite) -> None:
        self._azurite = azurite
        self._created: dict[Folder, dict[str, str]] = {}

    def create(self, folder: Folder, path: str) -> bool:
        """Make an empty artifact. False if there is one already."""
        paths = self._created.setdefault(folder, {})
        if path in paths:
            return False
        paths[path] = datetime.now(timezone.utc).isoformat()
        return True

    def paths(self, folder: Folder, prefix: str = "") -> list[str]:
        return sorted(p for p in self._created.get(folder, ()) if p.startswith(prefix))

    def delete(self, folder: Folder, path: str) -> None:
        self._created.get(folder, {}).pop(path, None)

    def metadata(self, folder: Folder, path: str) -> dict[str, Any]:
        origin, container = folder
        return {
            "artifactId": "/".join((*folder, path)),
            "origin": origin,
            "container": container,
            "path": path,
            "createdTime": self._created[folder][path],
        }

    def content(self, folder: Folder, path: str, *, write: bool) -> dict[str, Any]:
        origin, container = folder
        url = self._azurite.signed_url("/".join((*folder, path)), write=write)
        return {"contentUri": url, "origin": origin, "container": container, "path": path}


def run_artifacts_app(artifacts: Artifacts, mlflow_url: str, ids: Ids) -> Router:
    """The artifacts of runs: ``.../experiments/{id, 0 or name}/runs/{id}/artifacts``."""
    locator = _RunLocator(mlflow_url, ids)
    return _app("/experiments/{experiment}/runs/{run}/artifacts", artifacts, locator)


def all_artifacts_app(artifacts: Artifacts) -> Router:
    """All artifacts, by origin and container: only here can one be overwritten or deleted."""
    prefix = "/artifacts/{origin}/{container}"

    async def locate(request: Request) -> Folder:
        return request.path_params["origin"], request.path_params["container"]

    def more(service: _Service) -> list[Route]:
        return [
            Route(f"{prefix}/write", service.writable_content_info),
            Route(f"{prefix}/batch/metadata:delete", service.delete, methods=["POST"]),
        ]

    return _app(prefix, artifacts, locate, more)


class _RunLocator:
    """Finds the folder of a run, if MLflow knows the run in that experiment."""

    def __init__(self, mlflow_url: str, ids: Ids) -> None:
        self._url = f"{mlflow_url}/api/2.0/mlflow"
        self._ids = ids
        self._client = Client()

    async def __call__(self, request: Request) -> Folder | None:
        asked, run = request.path_params["experiment"], request.path_params["run"]
        try:
            behind = self._ids.run_behind(run)
        except UnknownIdError:
            return None
        info = (await self._get("runs/get", run_id=behind)).get("run", {}).get("info", {})
        number = info.get("experiment_id")
        if number is None:
            return None
        if asked not in (self._ids.experiment(number), number if number == DEFAULT else None):
            found = await self._get("experiments/get", experiment_id=number)
            if asked != found["experiment"]["name"]:
                return None
        return "ExperimentRun", f"dcid.{run}"

    async def _get(self, endpoint: str, **query: str) -> dict[str, Any]:
        answer = await self._client.ask("GET", f"{self._url}/{endpoint}", params=query)
        fields: dict[str, Any] = answer.json()
        return fields


def _app(
    prefix: str,
    artifacts: Artifacts,
    locate: Callable[[Request], Any],
    more: Callable[[_Service], list[Route]] = lambda _: [],
) -> Router:
    service = _Service(artifacts, locate)
    return Router(
        routes=[
            Route(f"{prefix}/batch/metadata", service.create, methods=["POST"]),
            Route(f"{prefix}/contentinfo", service.content_info),
            Route(f"{prefix}/prefix/contentinfo", service.content_infos),
            *more(service),
            Route(prefix, service.list),
        ],
        default=azureml_error(404, "The emulated Azure has no such endpoint for artifacts."),
    )


class _Service:
    def __init__(self, artifacts: Artifacts, locate: Callable[[Request], Any]) -> None:
        self._artifacts = artifacts
        self._locate = locate

    async def create(self, request: Request) -> Response:
        """Make artifacts, at most 100 a batch; a path cannot be made twice, which is a user's report.

        Source: azureml.mlflow._restclient.run_artifact, azureml.mlflow._restclient.artifact;
        facts: reported, https://github.com/lightly-ai/lightly-train/issues/256
        """
        folder: Folder | None = await self._locate(request)
        if folder is None:
            return _no_run(request)
        paths = [item["path"] for item in (await request.json())["paths"]]
        if len(paths) > BATCH_SIZE:
            message = f"A batch may hold at most {BATCH_SIZE} artifacts; this one holds {len(paths)}."
            return azureml_error(400, message)
        new = [path for path in paths if self._artifacts.create(folder, path)]
        return JSONResponse(
            {
                "artifacts": {p: self._artifacts.metadata(folder, p) for p in new},
                "artifactContentInformation": {
                    p: self._artifacts.content(folder, p, write=True) for p in new
                },
                "errors": {p: _conflict(folder, p) for p in paths if p not in new},
            }
        )

    async def content_info(self, request: Request) -> Response:
        """The signed address of one artifact, to read it."""
        folder: Folder | None = await self._locate(request)
        if folder is None:
            return _no_run(request)
        path = request.query_params.get("path", "")
        if path not in self._artifacts.paths(folder):
            return azureml_error(404, f"Artifact {'/'.join((*folder, path))} was not found.")
        return JSONResponse(self._artifacts.content(folder, path, write=False))

    async def writable_content_info(self, request: Request) -> Response:
        """The signed address of one artifact, to write to it.

        Source: azureml.mlflow._restclient.artifact (ArtifactsOperations.get_sas)
        """
        folder, path = await self._locate(request), request.query_params.get("path", "")
        if path not in self._artifacts.paths(folder):
            return azureml_error(404, f"Artifact {'/'.join((*folder, path))} was not found.")
        return JSONResponse(self._artifacts.content(folder, path, write=True))

    async def delete(self, request: Request) -> Response:
        """Delete artifacts.

        Source: azureml.mlflow._restclient.artifact (ArtifactsOperations.delete_batch_meta_data)
        """
        folder = await self._locate(request)
        for item in (await request.json())["paths"]:
            self._artifacts.delete(folder, item["path"])
        return Response(status_code=200)

    async def content_infos(self, request: Request) -> Response:
        """The signed addresses of all artifacts under a path, 500 a page."""

        def describe(folder: Folder, path: str) -> dict[str, Any]:
            return self._artifacts.content(folder, path, write=False)

        return await self._page(request, describe)

    async def list(self, request: Request) -> Response:
        """All artifacts under a path, 500 a page."""
        return await self._page(request, self._artifacts.metadata)

    async def _page(self, request: Request, describe: Callable[[Folder, str], dict[str, Any]]) -> Response:
        folder: Folder | None = await self._locate(request)
        if folder is None:
            return _no_run(request)
        start = int(request.query_params.get("continuationToken", 0))
        paths = self._artifacts.paths(folder, request.query_params.get("path", ""))
        end = start + PAGE_SIZE
        more = {}
        if end < len(paths):
            url = request.url.include_query_params(continuationToken=end)
            more = {"continuationToken": str(end), "nextLink": str(url)}
        return JSONResponse({"value": [describe(folder, p) for p in paths[start:end]], **more})


def _conflict(folder: Folder, path: str) -> dict[str, Any]:
    artifact_id = "/".join((*folder, path))
    message = f"Resource Conflict: ArtifactId {artifact_id} already exists."
    return {"error": {"code": "UserError", "message": message}}


def _no_run(request: Request) -> Response:
    asked = request.path_params
    return azureml_error(404, f"Run {asked['run']} was not found in experiment {asked['experiment']}.")
