"""How much a run of Azure ML holds, and what its searches can: what is more is refused as a whole.

Lengths are counted in UTF-16 units, as a service on .NET counts them. What a run holds is known from the
requests that were served: nobody else writes to the MLflow server behind.

Source: https://learn.microsoft.com/azure/machine-learning/resource-limits-capacity
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.responses import Response

from tests.emulated.azure.errors import mlflow_error

Fields = Mapping[str, Any]

PARAMS, TAGS, METRIC_NAMES = 200, 50, 50
PARAM_VALUE, TAG_KEY, TAG_VALUE, DISPLAY_NAME = 500, 100, 1000, 256
BATCH = {"metrics": 200, "params": 100, "tags": 100}
VALUES_OF_A_METRIC = 250
HISTORY_PAGE = 999
PAGE = 1000

_RUN_NAME = "mlflow.runName"
_LOGGED_MODELS = "mlflow.log-model.history"


@dataclass
class MetricNames:
    """What the service does with metric names beyond 50, which nobody knows: a test may choose."""

    beyond: Literal["refused", "dropped", "taken"] = "refused"


@dataclass
class Run:
    """What a run holds."""

    params: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: set[str] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


Rule = Callable[[Fields, Run], "Response | None"]


class Limits:
    """The limits of the runs of one workspace."""

    def __init__(self, metric_names: MetricNames) -> None:
        self._metric_names = metric_names
        self._runs: dict[str, Run] = defaultdict(Run)

    @asynccontextmanager
    async def run(self, endpoint: str, fields: Fields) -> AsyncIterator[Run]:
        """The run that a request is for; one request at a time where it may change."""
        run_id = fields.get("run_id") or fields.get("run_uuid") or ""
        run = self._runs[run_id] if run_id and endpoint in CHANGES else Run()
        async with run.lock:
            yield run

    def refusal(self, endpoint: str, fields: Fields, run: Run) -> Response | None:
        """The error, None for a request within the limits."""
        refused = self._metric_names.beyond == "refused"
        rules = [rule for rule in RULES.get(endpoint, ()) if refused or rule is not metric_names_are_few]
        return next((error for rule in rules if (error := rule(fields, run))), None)

    def without_dropped(self, endpoint: str, fields: Fields, run: Run) -> Fields:
        """The request without the metrics that are dropped in silence."""
        if self._metric_names.beyond != "dropped" or endpoint not in ("runs/log-batch", "runs/log-metric"):
            return fields
        room = METRIC_NAMES - len(run.metrics)
        new = dict.fromkeys(metric["key"] for metric in _metrics(fields) if metric["key"] not in run.metrics)
        dropped = set(list(new)[max(0, room) :])
        if "key" in fields:
            return {} if fields["key"] in dropped else fields
        return {**fields, "metrics": [each for each in _metrics(fields) if each["key"] not in dropped]}

    def note(self, endpoint: str, fields: Fields, run: Run, answer: Mapping[str, Any]) -> None:
        """Keep in mind what was served."""
        if endpoint == "runs/create":
            made = answer["run"]
            of_service = {tag["key"]: tag["value"] for tag in made["data"].get("tags", ())}
            self._runs[made["info"]["run_id"]].tags.update(of_service)
        run.params |= {param["key"] for param in _params(fields)} if endpoint in _PARAMS else set()
        run.metrics |= {metric["key"] for metric in _metrics(fields)} if endpoint in _METRICS else set()
        run.tags.update(_tags(fields) if endpoint in _TAGS else {})
        if endpoint == "runs/delete-tag":
            run.tags.pop(fields["key"], None)
        if endpoint == "runs/log-model":
            run.tags[_LOGGED_MODELS] = _history(fields, run)


_PARAMS = ("runs/log-batch", "runs/log-parameter")
_METRICS = ("runs/log-batch", "runs/log-metric")
_TAGS = ("runs/log-batch", "runs/set-tag")
CHANGES = {*_PARAMS, *_METRICS, *_TAGS, "runs/delete-tag", "runs/log-model"}


def _params(fields: Fields) -> Iterable[Mapping[str, Any]]:
    return [fields] if "key" in fields else fields.get("params", ())


def _metrics(fields: Fields) -> list[Mapping[str, Any]]:
    return [fields] if "key" in fields else list(fields.get("metrics", ()))


def _tags(fields: Fields) -> dict[str, str]:
    given = [fields] if "key" in fields else fields.get("tags", ())
    return {tag["key"]: tag.get("value", "") for tag in given}


def _history(fields: Fields, run: Run) -> str:
    """The tag by which MLflow 2 tells the models of a run, as its server writes it."""
    return json.dumps([*json.loads(run.tags.get(_LOGGED_MODELS, "[]")), json.loads(fields["model_json"])])


def length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def too_much(field_name: str, limit: int, size: int) -> Response:
    """The error: the one place that words it.

    Source: facts: seen, https://github.com/Azure/azure-sdk-for-python/issues/35685
    """
    return invalid(
        "A field of the entity is over the size limit. "
        f"FieldName={field_name}, Limit={limit}, Size={size}. "
        "See https://aka.ms/azure-machine-learning-limits for service limits documentation."
    )


def _few(field_name: str, limit: int, held: set[str], given: set[str]) -> Response | None:
    both = held | given
    return too_much(field_name, limit, len(both)) if len(both) > max(limit, len(held)) else None


def invalid(message: str) -> Response:
    return mlflow_error(400, "INVALID_PARAMETER_VALUE", message)


def requests_are_small(fields: Fields, run: Run) -> Response | None:
    """200 metrics, 100 params and 100 tags in a request.

    Source: facts: reported, https://github.com/Galileo-Galilei/kedro-mlflow/issues/551
    """
    for kind, limit in BATCH.items():
        if (count := len(fields.get(kind, ()))) > limit:
            return too_much(kind.capitalize(), limit, count)
    return None


def values_of_a_metric_are_few(fields: Fields, run: Run) -> Response | None:
    """250 values of one metric in a request.

    Source: facts: seen, https://github.com/mlflow/mlflow/issues/11462
    """
    for count in Counter(metric["key"] for metric in fields.get("metrics", ())).values():
        if count > VALUES_OF_A_METRIC:
            return too_much("MetricV2Dto.Value/Count", VALUES_OF_A_METRIC, count)
    return None


def metric_names_are_few(fields: Fields, run: Run) -> Response | None:
    """50 metric names in a run; whether MLflow's API refuses more is not known.

    Source: https://learn.microsoft.com/azure/machine-learning/resource-limits-capacity
    """
    return _few("Metrics", METRIC_NAMES, run.metrics, {metric["key"] for metric in _metrics(fields)})


def params_are_few(fields: Fields, run: Run) -> Response | None:
    """200 params in a run, counted over all its requests.

    Source: facts: seen, https://github.com/Azure/azure-sdk-for-python/issues/35685
    """
    return _few("Parameters", PARAMS, run.params, {param["key"] for param in _params(fields)})


def params_are_short(fields: Fields, run: Run) -> Response | None:
    """500 characters in a param's value; one too long loses the whole request.

    Source: facts: reported, https://github.com/Galileo-Galilei/kedro-mlflow/issues/551
    """
    for param in _params(fields):
        if (size := length(param.get("value", ""))) > PARAM_VALUE:
            return too_much("Parameters.Value", PARAM_VALUE, size)
    return None


def tags_are_few(fields: Fields, run: Run) -> Response | None:
    """50 tags in a run, those of the service among them.

    Source: https://learn.microsoft.com/azure/machine-learning/resource-limits-capacity
    """
    names = {*_tags(fields), *([_RUN_NAME] if fields.get("run_name") else [])}
    return _few("Tags", TAGS, set(run.tags), names)


def tags_are_short(fields: Fields, run: Run) -> Response | None:
    """100 characters in a tag's key, 1,000 in its value.

    Source: https://learn.microsoft.com/azure/machine-learning/resource-limits-capacity
    """
    for key, value in _tags(fields).items():
        if length(key) > TAG_KEY:
            return too_much("Tags.Key", TAG_KEY, length(key))
        if length(value) > TAG_VALUE:
            return too_much("Tags.Value", TAG_VALUE, length(value))
    return None


def display_names_are_short(fields: Fields, run: Run) -> Response | None:
    """256 characters in a run's display name.

    Source: https://learn.microsoft.com/azure/machine-learning/resource-limits-capacity
    """
    for name in (fields.get("run_name") or "", _tags(fields).get(_RUN_NAME, "")):
        if length(name) > DISPLAY_NAME:
            return too_much("DisplayName", DISPLAY_NAME, length(name))
    return None


def histories_of_models_are_short(fields: Fields, run: Run) -> Response | None:
    """What MLflow 2 says of a logged model is a tag of its run, so it has a tag's limits.

    Source: https://learn.microsoft.com/azure/machine-learning/resource-limits-capacity
    """
    try:
        tag = {"key": _LOGGED_MODELS, "value": _history(fields, run)}
    except ValueError:
        return invalid(f"The tag {_LOGGED_MODELS} is no JSON.")
    return tags_are_few(tag, run) or tags_are_short(tag, run)


def pages_of_a_history_are_small(fields: Fields, run: Run) -> Response | None:
    """Fewer than 1,000 points in a page of a metric's history, where MLflow's client asks for 25,000.

    Source: facts: reported, https://github.com/mlflow/mlflow/issues/10694
    """
    if (size := int(fields.get("max_results", 0))) > HISTORY_PAGE:
        return invalid(f"max_results must be less than {HISTORY_PAGE + 1}; it is {size}.")
    return None


def pages_are_small(fields: Fields, run: Run) -> Response | None:
    """1,000 results in a page of a search.

    Source: facts: reported, https://github.com/mlflow/mlflow/issues/10694
    """
    if (size := int(fields.get("max_results", 0))) > PAGE:
        return invalid(f"max_results may be at most {PAGE}; it is {size}.")
    return None


# An entity of a filter or an order: `metrics.loss`, "params.`a b`", `tag."x"`; attributes need no prefix.
_ENTITY = re.compile(r"\s*`?(metrics?|param(?:eter)?s?|tags?)`?\s*\.\s*(`[^`]*`|\"[^\"]*\"|[^\s<>=!]+)", re.I)
_VALUE = re.compile(r"'[^']*'|\"[^\"]*\"")


def orders_are_by_attributes(fields: Fields, run: Run) -> Response | None:
    """Runs are ordered by attributes only.

    Source: https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow
    """
    for order in fields.get("order_by", ()):
        if _ENTITY.match(order):
            return invalid(f"Ordering by '{order}' is not supported: only attributes are.")
    return None


def filters_are_simple(fields: Fields, run: Run) -> Response | None:
    """No ``!=`` on tags, and no special characters in the names of metrics.

    Source: https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow
    """
    for clause in re.split(r"\s+AND\s+", fields.get("filter") or "", flags=re.I):
        if not (entity := _ENTITY.match(clause)):
            continue
        kind, name = entity[1].lower(), entity[2].strip('`"')
        rest = _VALUE.sub("", clause[entity.end() :])
        if kind.startswith("tag") and "!=" in rest:
            return invalid(f"The operator '!=' is not supported for tags: '{clause}'.")
        if kind.startswith("metric") and not re.fullmatch(r"\w+", name, re.ASCII):
            return invalid(f"The name of a metric may have no special characters in a filter: '{name}'.")
    return None


# What is refused before MLflow would, by endpoint: each rule returns the error, or None.
RULES: Mapping[str, tuple[Rule, ...]] = {
    "experiments/search": (pages_are_small,),
    "metrics/get-history": (pages_of_a_history_are_small,),
    "model-versions/search": (pages_are_small,),
    "registered-models/search": (pages_are_small,),
    "runs/create": (tags_are_few, tags_are_short, display_names_are_short),
    "runs/log-batch": (
        requests_are_small,
        values_of_a_metric_are_few,
        metric_names_are_few,
        params_are_short,
        params_are_few,
        tags_are_short,
        tags_are_few,
        display_names_are_short,
    ),
    "runs/log-metric": (metric_names_are_few,),
    "runs/log-model": (histories_of_models_are_short,),
    "runs/log-parameter": (params_are_short, params_are_few),
    "runs/search": (pages_are_small, orders_are_by_attributes, filters_are_simple),
    "runs/set-tag": (tags_are_short, tags_are_few, display_names_are_short),
    "runs/update": (display_names_are_short,),
}
