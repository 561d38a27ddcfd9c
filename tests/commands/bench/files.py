"""What artifacts and models cost, each request later by what a real network takes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from tests.commands.bench.place import Place
from tests.commands.bench.rows import PLUGIN, Row

_FILES = """
import json, mlflow, pathlib, resource, tempfile, time
mlflow.set_experiment("bench")
folder = pathlib.Path(tempfile.mkdtemp())
small, large = folder / "small", folder / "large.bin"
small.mkdir()
for number in range({files}):
    (small / str(number)).write_text(str(number))
with large.open("wb") as file:
    for _ in range({megabytes}):
        file.write(bytes(1_000_000))
seconds = []
def timed(work):
    started = time.perf_counter()
    work()
    seconds.append(time.perf_counter() - started)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with mlflow.start_run() as run:
    mlflow.log_text("first", "first.txt")
    fetch = lambda path: mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=path)
    timed(lambda: mlflow.log_artifacts(str(small), "many"))
    timed(lambda: fetch("many"))
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
    code = _FILES.format(files=sizes.files, megabytes=sizes.megabytes)
    figures = []
    with place.far_away() as at:
        for way in (place.ours, place.plugin):
            place.azure.journal.clear()
            measured = way.run(code)
            connections = sum(place.azure.journal.connections().values())
            requests = len(place.azure.journal)
            of_models = zip(*(way.run(_MODEL) for _ in range(sizes.tries)), strict=True)
            figures.append([*measured, connections, requests, *map(statistics.median, of_models)])
    units = {
        f"{sizes.files} small files to a run, {at}": "{:.1f} s",
        f"{sizes.files} small files back, {at}": "{:.1f} s",
        f"one file of {sizes.megabytes} MB to a run, {at}": "{:.1f} s",
        f"one file of {sizes.megabytes} MB back, {at}": "{:.1f} s",
        "memory that the large file takes, both ways": "{:.0f} MB",
        "connections for all of these": "{:.0f}",
        "requests for all of these": "{:.0f}",
        f"`log_model`, {at}": "{:.1f} s",
        f"`load_model`, {at}": "{:.1f} s",
    }
    for (what, unit), ours, other in zip(units.items(), *figures, strict=True):
        yield Row(what, PLUGIN, ours, other, unit)
