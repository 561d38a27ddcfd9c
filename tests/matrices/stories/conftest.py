"""What the stories share. They run against whatever server the environment's variables name."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import mlflow
import pytest
from mlflow import MlflowClient
from packaging.version import Version
from sklearn.linear_model import LogisticRegression

_MARKERS = {
    "feature(name)": "the column of the README's table",
    "since(version)": "the first MLflow version that has what the story tells of",
    "until(version)": "the first MLflow version that has it no longer",
    "differs_on_azure(id)": "Azure ML cannot keep this promise: docs/mlflow.md says why",
}
# The files that take longest begin first.
_LONG = ("test_spark", "test_autologging")
_ON_AZURE = os.environ["MLFLOW_TRACKING_URI"].startswith("azureml:")

Elsewhere = Callable[..., Any]


def pytest_configure(config: pytest.Config) -> None:
    for marker, meaning in _MARKERS.items():
        config.addinivalue_line("markers", f"{marker}: {meaning}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    absent = [item for item in items if not _has_it(item)]
    config.hook.pytest_deselected(items=absent)
    items[:] = [item for item in items if item not in absent]
    items.sort(key=lambda item: item.path.stem not in _LONG)
    for item in items:
        for feature in item.iter_markers("feature"):
            item.user_properties.append(("feature", feature.args[0]))
        if _ON_AZURE and (difference := item.get_closest_marker("differs_on_azure")):
            item.add_marker(pytest.mark.xfail(strict=True, reason=difference.args[0]))


def _has_it(item: pytest.Item) -> bool:
    version = Version(mlflow.__version__)
    return all(version >= Version(since.args[0]) for since in item.iter_markers("since")) and all(
        version < Version(until.args[0]) for until in item.iter_markers("until")
    )


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name that nothing else has, for an experiment or a registered model."""
    return f"{re.sub('[^a-z0-9]+', '-', request.node.name)[:60]}-{uuid4().hex[:8]}"


@pytest.fixture(autouse=True)
def experiment_id(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The id of the story's own experiment, which is set; the story starts in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    experiment = mlflow.set_experiment(name)
    yield str(experiment.experiment_id)
    while mlflow.active_run():
        mlflow.end_run()


@pytest.fixture
def client() -> MlflowClient:
    return MlflowClient()


@pytest.fixture(scope="session")
def classifier() -> LogisticRegression:
    """A model that says 0 for 0 and 1 for 1."""
    return LogisticRegression().fit([[0.0], [1.0]], [0, 1])


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    """Run code in another process, where the names given are set; returns the JSON that it prints last."""

    def run(code: str, **variables: object) -> Any:
        given = "".join(f"{variable} = {value!r}\n" for variable, value in variables.items())
        source = f"import json, mlflow\n{given}{textwrap.dedent(code)}"
        done = subprocess.run(
            [sys.executable, "-c", source], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
