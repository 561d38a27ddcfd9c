"""What a process costs until its first run is logged, and what metrics cost after it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.commands.bench.place import Place, Way
from tests.commands.bench.rows import IN_THE_BACKGROUND, MANUAL, PLUGIN, Row, say
from tests.emulated.cluster import forget_tokens

_IMPORTED = "import mlflow"
_READY = "import mlflow\nmlflow.get_tracking_uri()"
_RUN = """
import mlflow
mlflow.set_experiment("bench")
with mlflow.start_run():
    mlflow.log_metric("a", 1)
"""
_MODULES = "\nimport json, sys; print(json.dumps(len(sys.modules)))"
_METRICS = """
import json, mlflow, time
mlflow.set_experiment("bench")
with mlflow.start_run():
    mlflow.log_metric("first", 1)
    started = time.perf_counter()
    for step in range({count}):
        mlflow.log_metric("loss", step, step=step)
    {flush}
    seconds = time.perf_counter() - started
print(json.dumps(seconds))
"""


def rows(place: Place) -> Iterator[Row]:
    """Measure each way."""
    tries = place.sizes.tries
    say("process start to a ready tracking URI, and to `import mlflow` done")
    for what, code, beside in (
        ("process start to a ready tracking URI", _READY, MANUAL),
        ("process start to `import mlflow` done", _IMPORTED, PLUGIN),
    ):
        other = place.manual if beside == MANUAL else place.plugin
        yield Row(what, beside, place.ours.seconds(code, tries), other.seconds(code, tries), "{:.2f} s")
    ours, theirs = (_requests_of_notebook(place, way) for way in (place.ours, place.manual))
    yield Row("requests to Azure until a notebook's tracking URI is ready", MANUAL, ours, theirs)
    say("a first run")
    with place.far_away() as at:
        seconds = {name: way.seconds(_RUN, tries) for name, way in _ways(place)}
    for beside in (PLUGIN, MANUAL):
        yield Row(
            f"process start to the end of a first run, {at}", beside, seconds[""], seconds[beside], "{:.2f} s"
        )
    counted = {name: _requests(place, way, _RUN) for name, way in _ways(place)}
    modules = {name: way.run(_RUN + _MODULES) for name, way in _ways(place)}
    for beside in (PLUGIN, MANUAL):
        yield Row("requests to Azure for it", beside, counted[""], counted[beside], in_readme=False)
    yield Row(
        "modules imported until then, with the token that another process has left",
        PLUGIN,
        modules[""],
        modules[PLUGIN],
        in_readme=False,
    )
    yield from _metrics(place)


def _metrics(place: Place) -> Iterator[Row]:
    count = f"{place.sizes.metrics:,} metrics"
    for how, mode, beside in (
        ("one by one", "false", PLUGIN),
        ("in the background (`asyncLogging = true`)", "true", IN_THE_BACKGROUND),
    ):
        say(f"{count}, {how}")
        with place.far_away() as at:
            (ours, of_ours), (theirs, of_theirs) = (
                _logged(place, way, mode) for way in (place.ours, place.plugin)
            )
        yield Row(f"{count}, {how}, {at}", beside, ours, theirs, "{:.1f} s")
        yield Row("their requests", beside, of_ours, of_theirs, in_readme=False)


def _logged(place: Place, way: Way, mode: str) -> tuple[float, int]:
    """Return the seconds until all metrics are in Azure, and the requests that log them.

    Args:
        place: where.
        way: to use MLflow.
        mode: MLflow's own variable: whether `log_metric` returns before Azure has answered.
    """
    place.azure.journal.clear()
    flush = "mlflow.flush_async_logging()" if mode == "true" else ""
    code = _METRICS.format(count=place.sizes.metrics, flush=flush)
    seconds = way.run(code, MLFLOW_ENABLE_ASYNC_LOGGING=mode)
    return seconds, len(place.azure.journal.of("*", "/runs/log-"))


def _ways(place: Place) -> tuple[tuple[str, Way], ...]:
    return ("", place.ours), (PLUGIN, place.plugin), (MANUAL, place.manual)


def _requests(place: Place, way: Way, code: str) -> int:
    forget_tokens(way.node.path("/dev/shm"))
    place.azure.journal.clear()
    way.run(f"{code}\nprint(0)")
    return len(place.azure.journal)


def _requests_of_notebook(place: Place, way: Way) -> int:
    """Return the requests in a notebook, where azure-ai-ml makes more than elsewhere."""
    place.azure.journal.clear()
    way.node.run_notebook([cell for cell in (way.before, _READY) if cell])
    return len(place.azure.journal)
