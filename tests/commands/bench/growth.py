"""How many requests there are as notebooks, models and runs become more: a figure of ten times the size."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.commands.bench.place import Place
from tests.commands.bench.rows import SMALLER, Row, say
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
print(json.dumps(best[0].data.metrics["accuracy"]))
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
    say("notebooks that begin at once on a node")
    requests, logins = _notebooks(place)
    yield from _at_each_size("requests of {} notebooks at once on a node", requests)
    yield from _at_each_size("logins of {} notebooks at once on a node", logins)
    say("registered models")
    yield from _at_each_size("requests to find {} registered models by a part of their names", _models(place))
    say("runs of an experiment")
    best, all_of_them = _runs(place)
    yield from _at_each_size("requests to find the best of {} runs", best)
    yield from _at_each_size("requests to read {} runs, in the order of a metric", all_of_them)


def _at_each_size(what: str, figures: dict[int, int]) -> Iterator[Row]:
    for smaller, larger in pairwise(sorted(figures)):
        yield Row(
            f"{what.format(f'{larger:,}')}, beside {smaller:,}",
            SMALLER,
            figures[larger],
            figures[smaller],
            times=larger / smaller,
        )


def _notebooks(place: Place) -> tuple[dict[int, int], dict[int, int]]:
    """Return the requests and the logins of so many processes that begin at once, by their number."""
    requests, logins = {}, {}
    way = place.ours
    code = _RUN.format(name="bench")
    for count in place.sizes.notebooks:
        forget_tokens(way.node.path("/dev/shm"))
        place.azure.journal.clear()
        begun = [way.node.popen([way.python, "-c", code]) for _ in range(count)]
        for process in begun:
            _, said = process.communicate()
            assert process.returncode == 0, said
        requests[count] = len(place.azure.journal)
        logins[count] = len(place.azure.journal.of(_LOGIN, "/token"))
    return requests, logins


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


def _runs(place: Place) -> tuple[dict[int, int], dict[int, int]]:
    """Return the requests for the best run, and for all of them, by the size of the experiment."""
    best: dict[int, int] = {}
    all_of_them: dict[int, int] = {}
    for size in place.sizes.runs:
        run_id, experiment = place.ours.run(_RUN.format(name=f"bench-{size}"))
        place.azure.copy_run(run_id, size - 1)
        for code, found, figures in ((_BEST, size - 2, best), (_ALL, size, all_of_them)):
            place.azure.journal.clear()
            assert place.ours.run(code.format(experiment=experiment)) == found
            figures[size] = len(place.azure.journal)
    return best, all_of_them
