"""How many requests there are as notebooks, models and runs become more: a figure of ten times the size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise

from tests.commands.bench.place import Place
from tests.commands.bench.rows import SMALLER, Row
from tests.emulated.cluster import forget_tokens

_LOGIN = "login.microsoftonline.com"
_RUN = """
import json, mlflow
experiment = mlflow.set_experiment({name!r}).experiment_id
with mlflow.start_run() as run:
    mlflow.log_metric("accuracy", 0)
print(json.dumps([run.info.run_id, experiment]))
"""
_MODEL = """
import mlflow
mlflow.MlflowClient().create_registered_model({name!r})
print(0)
"""
_BEST = """
import json, mlflow
order = ["metrics.accuracy DESC"]
best = mlflow.search_runs([{experiment!r}], order_by=order, max_results=1, output_format="list")
print(json.dumps([run.data.metrics["accuracy"] for run in best]))
"""
_ALL = """
import json, mlflow
runs = mlflow.search_runs([{experiment!r}], order_by=["metrics.accuracy DESC"], output_format="list")
print(json.dumps(len(runs)))
"""
_MODELS = """
import json, mlflow
print(json.dumps(len(mlflow.search_registered_models(filter_string="name LIKE '{name}%'"))))
"""


def rows(place: Place) -> Iterator[Row]:
    """Measure each at its sizes."""
    yield from _at_two_sizes("notebooks at once on a node: requests", _notebooks(place))
    yield from _at_two_sizes("logins of all of them", _notebooks(place, host=_LOGIN))
    yield from _at_two_sizes("models found by a part of their names: requests", _models(place))
    yield from _at_two_sizes("runs, the best of them: requests", _runs(place, _BEST))
    yield from _at_two_sizes("runs, all of them by a metric: requests", _runs(place, _ALL))


def _at_two_sizes(what: str, figures: dict[int, int]) -> Iterator[Row]:
    sizes = sorted(figures)
    for smaller, larger in pairwise(sizes):
        yield Row(f"{larger:,} {what}", f"{SMALLER}, {smaller:,}", figures[larger], figures[smaller])


def _notebooks(place: Place, host: str = "*") -> dict[int, int]:
    """Return the requests of so many processes that begin at once, by their number."""
    figures = {}
    way = place.ours
    code = _RUN.format(name="bench")
    for count in place.sizes.notebooks:
        forget_tokens(way.node.path("/dev/shm"))
        place.azure.journal.clear()
        begun = [way.node.popen([way.python, "-c", code]) for _ in range(count)]
        for process in begun:
            _, said = process.communicate()
            assert process.returncode == 0, said
        figures[count] = len(place.azure.journal.of(host))
    return figures


def _models(place: Place) -> dict[int, int]:
    figures = {}
    for size in place.sizes.models:
        name = f"bench-{size}-x"
        place.ours.run(_MODEL.format(name=name))
        place.azure.copy_model(name, size - 1)
        place.azure.journal.clear()
        assert place.ours.run(_MODELS.format(name=name)) == size
        figures[size] = len(place.azure.journal)
    return figures


def _runs(place: Place, code: str) -> dict[int, int]:
    figures = {}
    for size in place.sizes.runs:
        name = f"bench-{size}-{len(code)}"
        run_id, experiment = place.ours.run(_RUN.format(name=name))
        place.azure.copy_run(run_id, size - 1)
        place.azure.journal.clear()
        found = place.ours.run(code.format(experiment=experiment))
        assert found == [size - 2] or found == size, json.dumps(found)
        figures[size] = len(place.azure.journal)
    return figures
