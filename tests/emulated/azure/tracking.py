"""MLflow's REST API as Azure ML serves it: a real MLflow server, with Azure ML's limits (limits.py) in front.

Reported by users of Azure ML, not read from a client's source: the rule for experiment names, and the empty
404 for what Azure ML lacks.

Source: https://mlflow.org/docs/latest/api_reference/rest-api.html;
facts: reported, https://github.com/Azure/azure-sdk-for-python/issues/44896
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from tests.emulated.azure import registry, runs
from tests.emulated.azure.artifacts import Artifacts
from tests.emulated.azure.errors import mlflow_error
from tests.emulated.azure.forward import Answer, Client
from tests.emulated.azure.ids import DEFAULT, Ids, UnknownIdError
from tests.emulated.azure.limits import Fields, Limits, invalid

# MLflow's API 2.0 without what MLflow 3 added to it (logged models, run outputs, traces, ...).
_SERVED = {"artifacts", "experiments", "metrics", "model-versions", "registered-models", "runs"}
# The last two: https://learn.microsoft.com/azure/machine-learning/how-to-manage-models-mlflow.
_NOT_SERVED = {"runs/outputs", "registered-models/rename", "registered-models/delete"}

# Fields that MLflow 3 added to requests of MLflow 2.
_OF_MLFLOW_3 = {"model_id", "dataset_name", "dataset_digest", "models"}

_EXPERIMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}")

_BY_NAME = re.compile(r"\s*(name\s*=\s*'[^']*'\s*)?")

_MODEL_URI = re.compile(rb'azureml://[^"]+/experiments/[^/"]+/models/([^/"]+/artifacts)')


@dataclass
class Generation:
    """What the service can: MLflow 2, less what it lacks, or all of MLflow 3, as it may be one day."""

    mlflow_3: bool = False
    lacks: set[str] = field(default_factory=lambda: set(_NOT_SERVED))


def tracking_app(
    mlflow_url: str, generation: Generation, ids: Ids, artifacts: Artifacts, login: str, limits: Limits
) -> Router:
    """Serve MLflow's API; `login` is the display name of who logs in."""
    tracking = _Tracking(mlflow_url, generation, ids, artifacts, login, limits)
    api = "/api/2.0/mlflow"
    preview = "/api/2.0/preview/mlflow"
    return Router(
        routes=[
            Route(f"{preview}/runs/log-batch-async", tracking.log_batch_async, methods=["POST"]),
            Route(f"{preview}/runs/get-run-data-status", tracking.run_data_status),
            Route(api + "/{endpoint:path}", tracking.call, methods=["GET", "POST", "PATCH", "DELETE"]),
        ],
        default=Response(status_code=404),
    )


class _Tracking:
    def __init__(
        self,
        mlflow_url: str,
        generation: Generation,
        ids: Ids,
        artifacts: Artifacts,
        login: str,
        limits: Limits,
    ) -> None:
        self._generation = generation
        self._ids = ids
        self._artifacts = artifacts
        self._login = login
        self._limits = limits
        self._url = f"{mlflow_url}/api/2.0/mlflow"
        # The server has 15 connections to its database, and refuses a request that waits for one too long.
        self._client = Client(at_once=10)

    async def call(self, request: Request) -> Response:
        """MLflow 2's API, by a real MLflow; an empty 404 for the rest, and for what Azure ML leaves out."""
        return await self._call(request, request.path_params["endpoint"])

    async def log_batch_async(self, request: Request) -> Response:
        """A batch, which is written before the answer; its id is not kept.

        Source: azureml.mlflow._store.tracking.store (AzureMLRestStore.log_batch_async)
        """
        response = await self._call(request, "runs/log-batch")
        if response.status_code != 200:
            return response
        return JSONResponse({"batch_tracking_id": str(uuid4())})

    async def run_data_status(self, request: Request) -> Response:
        """Whether a run's batches are written: always.

        Source: azureml.mlflow._store.tracking.store
        """
        return JSONResponse({"is_complete": True})

    async def _call(self, request: Request, endpoint: str) -> Response:
        body = await request.body()
        fields = json.loads(body) if body else {}
        if self._generation.mlflow_3:
            return await self._forward(request, endpoint, fields)
        if endpoint.partition("/")[0] not in _SERVED or endpoint in self._generation.lacks:
            return Response(status_code=404)
        asked = {**request.query_params, **fields}
        for rule in RULES.get(endpoint, ()):
            if error := rule(asked):
                return error
        if endpoint == "model-versions/create" and (
            refused := registry.model_is_small(fields, self._artifacts)
        ):
            return invalid(refused)
        async with self._limits.run(endpoint, asked) as run:
            if error := self._limits.refusal(endpoint, asked, run):
                return error
            taken = self._limits.without_dropped(endpoint, asked, run)
            if not taken:
                return JSONResponse({})
            answer = await self._forward(request, endpoint, taken if taken is not asked else fields)
            if answer.status_code == 200:
                self._limits.note(endpoint, taken, run, json.loads(bytes(answer.body)))
            return answer

    async def _forward(self, request: Request, endpoint: str, fields: Fields) -> Response:
        asked = str(fields.get("experiment_id", ""))
        if endpoint == "runs/create":
            fields = runs.to_create(dict(fields))
            if asked == DEFAULT:
                fields["experiment_id"] = self._ids.experiment(DEFAULT)
        try:
            query = [(key, self._ids.behind({key: value})[key]) for key, value in _query(request)]
            content = (
                json.dumps(self._ids.behind(fields)).encode() if fields or request.method != "GET" else b""
            )
        except UnknownIdError as unknown:
            return mlflow_error(404, "RESOURCE_DOES_NOT_EXIST", str(unknown))
        answer = await self._client.ask(
            request.method,
            f"{self._url}/{endpoint}",
            params=query,
            data=content,
            headers={"content-type": request.headers.get("content-type", "application/json")},
        )
        return self._answer(answer, asked if endpoint == "runs/create" else "")

    def _answer(self, answer: Answer, asked: str) -> Response:
        document = json.loads(_MODEL_URI.sub(rb"azureml://artifacts/LoggedModel/\1", answer.content))
        if answer.status_code != 200:
            message = self._ids.text(str(document.get("message")))
            return mlflow_error(answer.status_code, document["error_code"], message)
        if asked:
            self._ids.asked(self._ids.run(document["run"]["info"]["run_id"]), asked)
        return JSONResponse(runs.answer(self._ids.answer(document), self._login))


def _query(request: Request) -> list[tuple[str, str]]:
    return request.query_params.multi_items()


def _knows_all_fields(fields: Fields) -> Response | None:
    """No field that MLflow 3 added to requests of MLflow 2.

    Source: assumed: strictest reading
    """
    for part in (fields, *fields.get("metrics", ())):
        if unknown := _OF_MLFLOW_3.intersection(part):
            return invalid(f"Unknown field: {', '.join(sorted(unknown))}.")
    return None


def _filter_is_by_name(fields: Fields) -> Response | None:
    """Registered models and versions are found by their exact name only.

    Source: facts: reported, https://github.com/Azure/azure-sdk-for-python/issues/42155;
    https://learn.microsoft.com/azure/machine-learning/how-to-manage-models-mlflow
    """
    if _BY_NAME.fullmatch(fields.get("filter", "")):
        return None
    return invalid("Currently unsupported filter string format.")


def _name_is_valid(fields: Fields) -> Response | None:
    """1 to 256 letters, digits, `_` or `-`; one with `/` passes, though it is never found by that name.

    Source: facts: seen, the service's words in https://github.com/microsoft/dstoolkit-mlops-v2/pull/180
    """
    name = str(fields.get("name", ""))
    if "/" in name or _EXPERIMENT_NAME.fullmatch(name):
        return None
    return invalid(
        f"Experiment name '{name}' must be 1 to 256 letters, digits, '_' or '-', "
        "and start with a letter or digit."
    )


def _name_has_no_slash(fields: Fields) -> Response | None:
    """No experiment is found by a name with `/`.

    Source: facts: reported, https://github.com/Azure/azure-sdk-for-python/issues/45209
    """
    name = str(fields.get("experiment_name", ""))
    if "/" not in name:
        return None
    return mlflow_error(404, "RESOURCE_DOES_NOT_EXIST", f"No experiment with name '{name}'.")


def _refused(rule: Callable[[Fields], str | None]) -> Callable[[Fields], Response | None]:
    """Return a rule that answers as the service does what `rule` says."""

    def answer(fields: Fields) -> Response | None:
        refusal = rule(fields)
        return invalid(refusal) if refusal else None

    return answer


# What Azure ML refuses before MLflow would, by endpoint: each rule returns the error, or None.
RULES: Mapping[str, tuple[Callable[[Fields], Response | None], ...]] = {
    "experiments/create": (_name_is_valid, _refused(registry.no_place_of_its_own)),
    "experiments/get-by-name": (_name_has_no_slash,),
    "experiments/update": (_refused(registry.no_new_name),),
    "model-versions/create": (_knows_all_fields, _refused(registry.tags_are_plain)),
    "model-versions/search": (_filter_is_by_name,),
    "model-versions/set-tag": (_refused(registry.tags_are_plain),),
    "registered-models/create": (_refused(registry.model_name_is_plain),),
    "registered-models/search": (_filter_is_by_name,),
    "runs/log-batch": (_knows_all_fields,),
    "runs/log-inputs": (_knows_all_fields,),
    "runs/log-metric": (_knows_all_fields,),
}
