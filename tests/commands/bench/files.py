"""What artifacts and models cost, each request later by what a real network takes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from tests.commands.bench.place import Place, Way
from tests.commands.bench.rows import PLUGIN, Row, say

_TIMED = """
import json, mlflow, pathlib, tempfile, time
mlflow.set_experiment("bench")
folder = pathlib.Path(tempfile.mkdtemp())
seconds = []
def timed(work):
    started = time.perf_counter()
    work()
    seconds.append(time.perf_counter() - started)
def fetch(path):
    return mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=path)
"""
_SMALL = f"""{_TIMED}
for number in range({{files}}):
    (folder / str(number)).write_text(str(number))
with mlflow.start_run() as run:
    mlflow.log_text("first", "first.txt")
    timed(lambda: mlflow.log_artifacts(str(folder), "many"))
    timed(lambda: fetch("many"))
print(json.dumps(seconds))
"""
_LARGE = f"""{_TIMED}
import resource
large = folder / "large.bin"
with large.open("wb") as file:
    for _ in range({{megabytes}}):
        file.write(bytes(1_000_000))
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with mlflow.start_run() as run:
    mlflow.log_text("first", "first.txt")
    fetch("first.txt")
    before = peak()
    timed(lambda: mlflow.log_artifact(str(large)))
    timed(lambda: fetch("large.bin"))
    memory = peak() - before
print(json.dumps([*seconds, memory / 1024]))
"""
_MODEL = """
import json, mlflow, time
from sklearn.linear_model import LogisticRegression
mlflow.set_experiment("bench")
model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
with mlflow.start_run() as run:
    mlflow.log_text("first", "first.txt")
    started = time.perf_counter()
    mlflow.sklearn.log_model(model, "model", pip_requirements=["scikit-learn"])
    logged = time.perf_counter()
mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model")
print(json.dumps([logged - started, time.perf_counter() - logged]))
"""


def rows(place: Place) -> Iterator[Row]:
    """Measure with us and with the plugin alone."""
    sizes = place.sizes
    figures = []
    with place.far_away() as at:
        for way, named in ((place.ours, "ours"), (place.plugin, PLUGIN)):
            figures.append(_measured(place, way, named))
    units = {
        f"{sizes.files} small files to a run, {at}": "{:.1f} s",
        f"{sizes.files} small files back, {at}": "{:.1f} s",
        "connections for these small files, both ways": "{:.0f}",
        "requests for these small files, both ways": "{:.0f}",
        f"one file of {sizes.megabytes} MB to a run, {at}": "{:.1f} s",
        f"one file of {sizes.megabytes} MB back, {at}": "{:.1f} s",
        f"memory that one file of {sizes.megabytes} MB takes, both ways": "{:.0f} MB",
        f"`log_model`, {at}": "{:.1f} s",
        f"`load_model`, {at}": "{:.1f} s",
    }
    for (what, unit), ours, other in zip(units.items(), *figures, strict=True):
        # Which of the two takes more memory differs from run to run.
        yield Row(what, PLUGIN, ours, other, unit, in_readme="MB takes" not in what)


def _measured(place: Place, way: Way, named: str) -> list[float]:
    """Return a figure for each row; of what is tried more than once, the median."""
    sizes = place.sizes
    say(f"{sizes.files} small files, {named}")
    place.azure.journal.clear()
    small = way.run(_SMALL.format(files=sizes.files))
    connections, requests = sum(place.azure.journal.connections().values()), len(place.azure.journal)
    say(f"one file of {sizes.megabytes} MB, {named}")
    large = _medians(way, _LARGE.format(megabytes=sizes.megabytes), sizes.large_tries)
    say(f"a model, {named}")
    return [*small, connections, requests, *large, *_medians(way, _MODEL, sizes.tries)]


def _medians(way: Way, code: str, tries: int) -> list[float]:
    return [statistics.median(it) for it in zip(*(way.run(code) for _ in range(tries)), strict=True)]
