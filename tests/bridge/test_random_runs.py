"""What is logged through the bridge reads back as from MLflow's own server: that behind the emulated Azure.

`pytest --hypothesis-profile=large` makes many runs instead of few.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.rest_store import RestStore
from mlflow.utils.rest_utils import MlflowHostCreds

from azureml_databricks.bridge import plugin
from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import service_principal

# A store, a run of it, and which of several writers this is.
Step = Callable[[Any, str, int], None]
Store = Any

# What the service sets by itself, or the bridge.
_OTHERS = ("azureml_databricks.", "mlflow.")


@pytest.fixture(scope="module")
def stores(_azure: EmulatedAzure) -> Iterator[tuple[Callable[[], Store], Store]]:
    """What makes a store of the bridge, as each process has its own; and one of MLflow's own server."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**_azure.environment, **service_principal(_azure)}.items():
            patch.setenv(name, value)
        own = RestStore(lambda: MlflowHostCreds(_azure.mlflow_url))
        yield partial(_as_in_a_process_of_its_own, _azure.workspace.tracking_uri), own


def _as_in_a_process_of_its_own(uri: str) -> Store:
    plugin._stores.clear()
    return plugin.tracking_store(uri)


def log(store: Store, run_id: str, metrics: Any = (), params: Any = (), tags: Any = ()) -> None:
    """Log in parts of a hundred, as MLflow's client does."""
    for kind, items in enumerate((metrics, params, tags)):
        for begin in range(0, len(items), 100):
            parts: list[Any] = [[], [], []]
            parts[kind] = items[begin : begin + 100]
            store.log_batch(run_id, *parts)


texts = st.builds(
    lambda piece, length: (piece * length)[:length],
    st.sampled_from(["x", "ü", "a😀", "word "]),
    st.sampled_from([1, 250, 499, 500, 501, 999, 1000, 1001, 3000]),
)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def params(draw: st.DrawFn) -> Step:
    begin, count, text = draw(st.integers(0, 3)) * 60, draw(st.integers(1, 130)), draw(texts)

    def step(store: Store, run_id: str, writer: int) -> None:
        log(store, run_id, params=[Param(f"{writer}-{begin + n}", text) for n in range(count)])

    return step


@st.composite
def tags(draw: st.DrawFn) -> Step:
    begin, count, text = draw(st.integers(0, 3)) * 20, draw(st.integers(1, 40)), draw(texts)
    key = draw(st.sampled_from(["", "k" * 120]))

    def step(store: Store, run_id: str, writer: int) -> None:
        log(store, run_id, tags=[RunTag(f"{writer}-{begin + n}{key}", text) for n in range(count)])

    return step


@st.composite
def untagging(draw: st.DrawFn) -> Step:
    number = draw(st.integers(0, 80))

    def step(store: Store, run_id: str, writer: int) -> None:
        store.delete_tag(run_id, f"{writer}-{number}")

    return step


@st.composite
def metrics(draw: st.DrawFn) -> Step:
    begin, names, steps = draw(st.integers(0, 3)) * 20, draw(st.integers(1, 60)), draw(st.integers(1, 4))
    first, value = draw(st.integers(0, 10)), draw(numbers)

    def step(store: Store, run_id: str, writer: int) -> None:
        points = [
            Metric(f"{writer}-{begin + name}", value + number, 1000 + first + number, first + number)
            for number in range(steps)
            for name in range(names)
        ]
        log(store, run_id, metrics=points)

    return step


stories = st.lists(st.one_of(params(), tags(), metrics(), untagging()), min_size=1, max_size=6)


def written(make: Callable[[], Store], writers: list[list[Step]]) -> tuple[Mapping[str, Any], list[Any]]:
    """Write a run, each writer at the same time; return what is read, and what each step was answered."""
    store = make()
    experiment = store.create_experiment(f"random-{time.time_ns()}")
    run_id = store.create_run(experiment, "ada", 1, [], "a run").info.run_id

    def write(writer: int) -> list[str]:
        own, answers = make(), []
        for step in writers[writer]:
            try:
                step(own, run_id, writer)
                answers.append("")
            except MlflowException as error:
                answers.append(error.error_code)
        return answers

    with ThreadPoolExecutor(len(writers)) as pool:
        answers = list(pool.map(write, range(len(writers))))
    return read(make(), experiment, run_id), answers


def read(store: Store, experiment: str, run_id: str) -> dict[str, Any]:
    run = store.get_run(run_id)
    (row,) = store.search_runs([experiment], "", ViewType.ACTIVE_ONLY, 10, ["metrics.none"])
    names = sorted(run.data.metrics)
    some = {*names[:2], *names[len(names) // 2 :][:1], *names[-2:]}
    return {
        "params": run.data.params,
        "metrics": run.data.metrics,
        "tags": _own(run.data.tags),
        "row": (row.data.params, row.data.metrics, _own(row.data.tags)),
        "histories": {
            name: [
                (point.timestamp, point.step, point.value) for point in store.get_metric_history(run_id, name)
            ]
            for name in some
        },
    }


def _own(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if not key.startswith(_OTHERS)}


@pytest.mark.parametrize("beyond", ["refused", "dropped", "taken"])
@given(story=stories)
def test_a_run_of_one_process_reads_back_as_from_mlflows_own_server(
    azure: EmulatedAzure, stores: tuple[Callable[[], Store], Store], beyond: Any, story: list[Step]
) -> None:
    azure.metric_names.beyond = beyond
    ours, own = stores

    assert written(ours, [story]) == written(lambda: own, [story])


@pytest.mark.parametrize("beyond", ["refused", "dropped", pytest.param("taken", marks=pytest.mark.thorough)])
@given(writers=st.lists(stories, min_size=2, max_size=3))
def test_a_run_of_several_processes_reads_back_as_from_mlflows_own_server(
    azure: EmulatedAzure,
    stores: tuple[Callable[[], Store], Store],
    beyond: Any,
    writers: list[list[Step]],
) -> None:
    azure.metric_names.beyond = beyond
    ours, own = stores

    assert written(ours, writers) == written(lambda: own, writers)
