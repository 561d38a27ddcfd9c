"""What is on its way to a run: cut, and divided into what the service has room for and what is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS, MLFLOW_LOGGED_MODELS, MLFLOW_RUN_NAME
from mlflow.utils.validation import _validate_metric, _validate_param, _validate_tag

from azureml_databricks.bridge import limits
from azureml_databricks.bridge.kept import KEPT, Kept, cut, point
from azureml_databricks.bridge.provenance import PREFIX

# Marks runs that have records of logged models and data sets; and those to which another process than the one
# that made the run has added some. The third is no mark, but says the models of a run that has ended.
MARK = "azureml_databricks.records"
SHARED = "azureml_databricks.shared_records"
MODELS = "azureml_databricks.models"

_MARKS = (MARK, SHARED, KEPT)
_LISTS = (MLFLOW_LOGGED_ARTIFACTS, MLFLOW_LOGGED_MODELS)
# The service gives a new run tags of its own, such as mlflow.rootRunId and mlflow.user.
_OF_SERVICE = 4


@dataclass
class Batch:
    """Metrics, params and tags of one run."""

    metrics: list[Metric] = field(default_factory=list)
    params: list[Param] = field(default_factory=list)
    tags: list[RunTag] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.metrics or self.params or self.tags)

    def requests(self) -> Iterator[Batch]:
        """Yield it in parts that are small enough for a request, at least one."""
        metrics, params, tags = limits.METRICS_AT_ONCE, limits.PARAMS_AT_ONCE, limits.TAGS_AT_ONCE
        needed = max(
            1, -(-len(self.metrics) // metrics), -(-len(self.params) // params), -(-len(self.tags) // tags)
        )
        for i in range(needed):
            yield Batch(
                self.metrics[i * metrics : (i + 1) * metrics],
                self.params[i * params : (i + 1) * params],
                self.tags[i * tags : (i + 1) * tags],
            )


def fitting(batch: Batch) -> tuple[Batch, Kept]:
    """Return the batch with values that are short enough, and what is to be kept therefore.

    Raises:
        MlflowException: MLflow itself does not take a value as long as that.
    """
    kept = Kept()
    params = [_short_param(param, kept) for param in batch.params]
    tags = [_short_tag(tag, kept) for tag in batch.tags if _has_legal_key(tag, kept)]
    return Batch(list(batch.metrics), params, tags), kept


def _short_param(param: Param, kept: Kept) -> Param:
    if limits.length(str(param.value)) <= limits.PARAM_VALUE:
        return param
    # Later versions of MLflow cut it to what they take.
    whole = (_validate_param(param.key, param.value) or param).value
    kept.wholes.append(whole)
    return Param(param.key, cut(whole, limits.PARAM_VALUE))


def _short_tag(tag: RunTag, kept: Kept) -> RunTag:
    limit = limits.RUN_NAME if tag.key == MLFLOW_RUN_NAME else limits.TAG_VALUE
    if limits.length(str(tag.value)) <= limit:
        return tag
    # MLflow's lists are made by its own server, which goes by no limit then.
    whole = tag.value if tag.key in _LISTS else (_validate_tag(tag.key, tag.value) or tag).value
    kept.wholes.append(whole)
    return RunTag(tag.key, cut(whole, limit))


def _has_legal_key(tag: RunTag, kept: Kept) -> bool:
    if not isinstance(tag.key, str) or limits.length(tag.key) <= limits.TAG_KEY:
        return True  # what is no text MLflow refuses
    kept.tags[tag.key] = (_validate_tag(tag.key, tag.value) or tag).value
    return False


@dataclass
class Division:
    """A batch in two: what there is room for, and what is kept; and tags that have to make room."""

    fits: Batch
    kept: Kept
    gives_way: list[str]


def divided(batch: Batch, run: Run, *, room: bool = True) -> Division:
    """Divide a batch by what the run holds.

    Args:
        batch: what `fitting` returned.
        run: what the service has of it.
        room: whether there is any, for what the run does not have already.

    Raises:
        MlflowException: MLflow itself does not take what would be kept.
    """
    kept = Kept()
    params = _new([param.key for param in batch.params], run.data.params)
    names = _new([metric.key for metric in batch.metrics], run.data.metrics)
    params = params[_room(limits.PARAMS, run.data.params) if room else 0 :]
    names = names[_room(limits.METRIC_NAMES, run.data.metrics) if room else 0 :]
    for param in batch.params:
        if param.key in params:
            _validate_param(param.key, param.value)
            kept.params[param.key] = param.value
    for metric in batch.metrics:
        if metric.key in names:
            _validate_metric(metric.key, metric.value, metric.timestamp, metric.step)
            kept.metrics.append(point(metric))
    tags = sorted(_new([tag.key for tag in batch.tags], run.data.tags), key=_rank)
    free = _room(limits.TAGS, run.data.tags)
    if kept or len(tags) > (free if room else 0):
        tags = _new([KEPT, *tags], run.data.tags)
    marks = [key for key in tags if key in _MARKS]
    over = tags[max(len(marks), free if room else 0) :]
    last = sorted((key for key in run.data.tags if key not in _MARKS), key=_rank, reverse=True)
    gives_way = last[: max(0, len(marks) - free)]
    new_tags = {tag.key: tag.value for tag in batch.tags}
    for key in over:
        _validate_tag(key, new_tags[key])
    kept.tags = {key: {**run.data.tags, **new_tags}[key] for key in (*over, *gives_way)}
    fits = Batch(
        [metric for metric in batch.metrics if metric.key not in names],
        [param for param in batch.params if param.key not in params],
        [tag for tag in batch.tags if tag.key not in kept.tags],
    )
    if KEPT in tags and KEPT not in new_tags:
        fits.tags.insert(0, RunTag(KEPT, "true"))
    return Division(fits, kept, gives_way)


def at_creation(tags: Sequence[RunTag]) -> tuple[list[RunTag], list[RunTag]]:
    """Return the tags that a run is created with, and those that it is given then: too many, or too long."""
    room = limits.TAGS - _OF_SERVICE
    short = sorted((tag for tag in tags if _fits_as_it_is(tag)), key=lambda tag: _rank(tag.key))
    long = [tag for tag in tags if not _fits_as_it_is(tag)]
    return (list(tags), []) if len(short) <= room and not long else (short[:room], [*short[room:], *long])


def _fits_as_it_is(tag: RunTag) -> bool:
    return not fitting(Batch(tags=[tag]))[1]


def is_unasked(key: str) -> bool:
    """Whether a tag is one that nobody asked for: ours, or of MLflow's own lists."""
    return key in _LISTS or key.startswith(PREFIX)


def _rank(key: str) -> int:
    """Return what comes first where there is no room for all: what nobody asked for is last."""
    if key in _MARKS:
        return 0
    if is_unasked(key):
        return 3 if key in _LISTS else 4
    return 1 if key.startswith("mlflow.") else 2


def _new(keys: Sequence[str], held: Mapping[str, object]) -> list[str]:
    return [key for key in dict.fromkeys(keys) if key not in held]


def _room(limit: int, held: Mapping[str, object]) -> int:
    return max(0, limit - len(held))
