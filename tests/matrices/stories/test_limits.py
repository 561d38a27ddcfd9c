"""More than a run of Azure ML holds: as with MLflow's own server, nothing is lost."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import textwrap

import mlflow
import numpy
import pandas
import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Metric, Param, RunTag
from mlflow.utils import validation
from sklearn.linear_model import LinearRegression

pytestmark = pytest.mark.feature("Runs")

LONG = "the beginning " + "ü" * 3000 + " the end"


# Params --------------------------------------------------------------------------------------------


def test_a_run_has_as_many_params_as_are_logged(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        mlflow.log_params({f"first-{number}": number for number in range(190)})
        mlflow.log_params({f"second-{number}": number for number in range(60)})
        mlflow.log_param("last", "one")
        mlflow.log_param("last", "one")

    params = client.get_run(run.info.run_id).data.params
    assert len(params) == 251
    assert (params["first-189"], params["second-59"], params["last"]) == ("189", "59", "one")


@pytest.mark.parametrize("value", ["x" * 501, LONG, "😀" * 400, "y" * 6000])
def test_a_params_value_is_as_long_as_it_is(client: MlflowClient, value: str) -> None:
    with mlflow.start_run() as run:
        mlflow.log_params({"before": 1, "long": value, "after": 2})
        mlflow.log_param("long", value)

    assert client.get_run(run.info.run_id).data.params == {"before": "1", "long": value, "after": "2"}


def test_what_is_too_long_for_mlflow_itself_is_told_or_cut_by_it(client: MlflowClient) -> None:
    most = validation.MAX_PARAM_VAL_LENGTH
    with mlflow.start_run() as run, contextlib.suppress(MlflowException):
        mlflow.log_param("long", "x" * (most + 1))

    assert client.get_run(run.info.run_id).data.params in ({}, {"long": "x" * most})


def test_a_batch_has_all_its_parts_whichever_is_too_long_or_too_many(
    client: MlflowClient, experiment_id: str
) -> None:
    run_id = client.create_run(experiment_id).info.run_id
    client.log_batch(run_id, params=[Param(f"before-{number}", "1") for number in range(100)])
    client.log_batch(run_id, params=[Param(f"more-{number}", "1") for number in range(50)])

    client.log_batch(
        run_id,
        metrics=[Metric("loss", 0.5, 1, 0)],
        params=[Param("long", LONG), *(Param(f"param-{number}", str(number)) for number in range(90))],
        tags=[RunTag("long", LONG), *(RunTag(f"tag-{number}", str(number)) for number in range(90))],
    )

    data = client.get_run(run_id).data
    assert data.metrics == {"loss": 0.5}
    assert len(data.params) == 241
    assert (data.params["long"], data.params["param-89"]) == (LONG, "89")
    assert (data.tags["long"], data.tags["tag-0"], data.tags["tag-89"]) == (LONG, "0", "89")


@pytest.mark.parametrize("name", ["long", "last"])
def test_a_param_is_not_changed_however_long_it_is_and_however_many_there_are(
    client: MlflowClient, name: str
) -> None:
    with mlflow.start_run() as run:
        mlflow.log_params({f"param-{number}": number for number in range(200)})
        mlflow.log_params({"long": LONG, "last": "one"})
        with pytest.raises(MlflowException) as error:
            mlflow.log_param(name, LONG + "!")

    assert error.value.error_code == "INVALID_PARAMETER_VALUE"
    params = client.get_run(run.info.run_id).data.params
    assert (params["long"], params["last"]) == (LONG, "one")


# Tags ----------------------------------------------------------------------------------------------


def test_a_run_has_as_many_tags_as_are_set(client: MlflowClient) -> None:
    with mlflow.start_run(tags={f"first-{number}": "1" for number in range(60)}) as run:
        mlflow.set_tags({f"second-{number}": number for number in range(60)})
        mlflow.set_tag("first-0", "again")
        mlflow.set_tag("second-59", "again")

    tags = client.get_run(run.info.run_id).data.tags
    own = {key: value for key, value in tags.items() if key.startswith(("first", "second"))}
    assert len(own) == 120
    assert own["first-0"] == own["second-59"] == "again"


def test_a_tag_is_as_long_as_it_is_and_changes(client: MlflowClient) -> None:
    key = "k" * 200
    with mlflow.start_run(description=LONG, tags={"given": LONG}) as run:
        mlflow.set_tags({"long": LONG, "short": "1", key: LONG})
        mlflow.set_tags({"short": LONG, "long": "1"})

    tags = client.get_run(run.info.run_id).data.tags
    assert tags["mlflow.note.content"] == tags["given"] == tags["short"] == tags[key] == LONG
    assert tags["long"] == "1"


def test_a_tag_is_deleted_however_long_it_is_and_however_many_there_are(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        mlflow.set_tags({"long": LONG, "k" * 200: "1"})
        mlflow.set_tags({f"tag-{number}": number for number in range(70)})
        for key in ("long", "k" * 200, "tag-0", "tag-69"):
            mlflow.delete_tag(key)
        with pytest.raises(MlflowException) as error:
            mlflow.delete_tag("tag-69")
        # What was kept for want of room, then has room, then is deleted
        mlflow.set_tag("tag-68", "again")
        mlflow.delete_tag("tag-68")

    assert error.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    tags = client.get_run(run.info.run_id).data.tags
    assert {key for key in tags if not key.startswith("mlflow.")} == {
        f"tag-{number}" for number in range(1, 68)
    }


def test_a_runs_name_is_as_long_as_it_is(client: MlflowClient, experiment_id: str) -> None:
    with mlflow.start_run(run_name="a" * 300) as first:
        pass
    second = client.create_run(experiment_id)
    client.update_run(second.info.run_id, name="b" * 300)

    for run, name in ((first, "a" * 300), (second, "b" * 300)):
        found = client.get_run(run.info.run_id)
        assert (found.info.run_name, found.data.tags["mlflow.runName"]) == (name, name)
        condition = f"attributes.run_name = '{name}'"
        (searched,) = client.search_runs([experiment_id], condition)
        assert searched.info.run_name == name


# Metrics -------------------------------------------------------------------------------------------


def test_a_metrics_history_has_all_points_in_order_once(client: MlflowClient, experiment_id: str) -> None:
    run_id = client.create_run(experiment_id).info.run_id
    steps = range(2500)
    for begin in range(0, 2500, 500):
        client.log_batch(
            run_id, [Metric("loss", step / 2, 1000 + step, step) for step in steps[begin:][:500]]
        )

    history = client.get_metric_history(run_id, "loss")

    assert [(point.step, point.value) for point in history] == [(step, step / 2) for step in steps]


def test_a_run_has_as_many_metrics_as_are_logged(client: MlflowClient, experiment_id: str) -> None:
    with mlflow.start_run() as run:
        for step in range(3):
            mlflow.log_metrics({f"metric-{number}": number + step for number in range(120)}, step=step)
        mlflow.log_metric("last", 7)

    metrics = client.get_run(run.info.run_id).data.metrics
    assert metrics == {**{f"metric-{number}": number + 2.0 for number in range(120)}, "last": 7.0}
    for number in (0, 49, 50, 119):
        history = client.get_metric_history(run.info.run_id, f"metric-{number}")
        assert [(point.step, point.value) for point in history] == [(s, number + s) for s in range(3)]
    (found,) = client.search_runs([experiment_id], "metrics.`metric-119` = 121")
    assert found.data.metrics == metrics


# Several at once -----------------------------------------------------------------------------------


def test_processes_that_log_to_one_run_at_once_lose_nothing(client: MlflowClient, experiment_id: str) -> None:
    run_id = client.create_run(experiment_id).info.run_id
    code = """
        import mlflow, sys
        from mlflow.entities import Metric, Param, RunTag
        run_id, number = sys.argv[1:]
        client = mlflow.MlflowClient()
        for part in range(4):
            names = [f"{number}-{part}-{each}" for each in range(20)]
            client.log_batch(
                run_id,
                [Metric(name, float(number), 1, 0) for name in names[:8]],
                [Param(name, name * 100) for name in names],
                [RunTag(name, name) for name in names],
            )
        """
    command = [sys.executable, "-c", textwrap.dedent(code), run_id]
    processes = [subprocess.Popen([*command, str(number)]) for number in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]

    names = [f"{n}-{part}-{each}" for n in range(3) for part in range(4) for each in range(20)]
    data = client.get_run(run_id).data
    assert data.params == {name: name * 100 for name in names}
    assert {name: data.tags.get(name) for name in names} == {name: name for name in names}
    assert len(data.metrics) == 3 * 4 * 8


# What MLflow itself writes -------------------------------------------------------------------------


def test_twelve_tables_are_logged_and_loaded(experiment_id: str) -> None:
    files = [f"tables/of-a-rather-long-name-so-that-the-list-is-long-{number}.json" for number in range(12)]
    with mlflow.start_run() as run:
        for number, file in enumerate(files):
            mlflow.log_table({"number": [number]}, file)

    assert mlflow.load_table(files[11], run_ids=[run.info.run_id])["number"].tolist() == [11]
    table = mlflow.load_table(files[11], extra_columns=["run_id"])
    assert table.values.tolist() == [[11, run.info.run_id]]


def test_models_with_a_signature_of_300_columns(client: MlflowClient) -> None:
    frame = pandas.DataFrame(numpy.eye(3, 300), columns=[f"a column with a name {n}" for n in range(300)])
    model = LinearRegression().fit(frame, [1.0, 2.0, 3.0])
    signature = mlflow.models.infer_signature(frame, model.predict(frame))
    with mlflow.start_run() as run:
        for number in range(3):
            mlflow.sklearn.log_model(
                model, f"model-{number}", signature=signature, pip_requirements=["scikit-learn"]
            )

    loaded = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model-2")
    assert len(loaded.metadata.signature.inputs.inputs) == 300
    if history := client.get_run(run.info.run_id).data.tags.get("mlflow.log-model.history"):
        assert len(json.loads(history)) in (1, 2, 3)


# Search --------------------------------------------------------------------------------------------


@pytest.fixture
def four_runs(client: MlflowClient, experiment_id: str) -> list[str]:
    """The ids of four runs, of which the second has long values and the third many: loss 0 to 3."""
    run_ids = []
    for number in range(4):
        run_id = client.create_run(experiment_id, start_time=1000 + number).info.run_id
        client.log_metric(run_id, "loss", number)
        client.log_metric(run_id, "val/loss", 10 - number)
        client.set_tag(run_id, "text", f"{number} {LONG}" if number == 1 else f"{number} short")
        client.log_param(run_id, "text", f"{number} {LONG}" if number == 1 else f"{number} short")
        many = [Param(f"p{each}", str(each)) for each in range(210 if number == 2 else 2)]
        for begin in range(0, len(many), 100):
            client.log_batch(run_id, params=many[begin : begin + 100])
        if number == 2:
            client.log_batch(run_id, tags=[RunTag(f"t{each}", str(each)) for each in range(60)])
            client.log_batch(run_id, [Metric(f"m{each}", each, 1, 0) for each in range(60)])
        run_ids.append(run_id)
    return run_ids


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("tags.text LIKE '%the end'", [1]),
        ("params.text LIKE '%the end'", [1]),
        (f"params.text = '1 {LONG}'", [1]),
        ("tags.text LIKE '% short'", [3, 2, 0]),
        ("tags.text != '0 short'", [3, 2, 1]),
        ("params.text != '0 short' AND metrics.loss < 3", [2, 1]),
        ("tags.t59 = '59'", [2]),
        ("params.p209 = '209' AND metrics.loss > 1", [2]),
        ("metrics.m59 >= 59", [2]),
        ("metrics.`val/loss` > 8 AND tags.text LIKE '1%'", [1]),
        ("attributes.start_time > 1001 AND tags.t59 = '59'", [2]),
        ("params.p1 = '1'", [3, 2, 1, 0]),
    ],
)
def test_runs_are_found_by_what_is_long_or_much(
    client: MlflowClient, experiment_id: str, four_runs: list[str], condition: str, expected: list[int]
) -> None:
    found = client.search_runs([experiment_id], condition)

    assert [four_runs.index(run.info.run_id) for run in found] == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (["metrics.loss DESC"], [3, 2, 1, 0]),
        (["metrics.`val/loss` DESC"], [0, 1, 2, 3]),
        (["tags.text"], [0, 1, 2, 3]),
        (["params.text DESC"], [3, 2, 1, 0]),
        (["metrics.m59 DESC", "metrics.loss ASC"], [2, 0, 1, 3]),
        (["attributes.start_time ASC"], [0, 1, 2, 3]),
    ],
)
def test_runs_come_in_any_order_and_in_pages(
    client: MlflowClient, experiment_id: str, four_runs: list[str], order: list[str], expected: list[int]
) -> None:
    for condition in ("", "params.p1 = '1'"):
        token: str | None = None
        found: list[int] = []
        while token or not found:
            page = client.search_runs(
                [experiment_id], condition, max_results=3, order_by=order, page_token=token
            )
            found += [four_runs.index(run.info.run_id) for run in page]
            token = page.token
        assert found == expected


def test_rows_have_what_the_runs_have(client: MlflowClient, experiment_id: str, four_runs: list[str]) -> None:
    rows = client.search_runs([experiment_id])

    for row in rows:
        whole = client.get_run(row.info.run_id).data
        assert (row.data.params, row.data.metrics, row.data.tags) == (whole.params, whole.metrics, whole.tags)
    frame = mlflow.search_runs([experiment_id])
    assert frame.set_index("run_id").loc[four_runs[1], "tags.text"] == f"1 {LONG}"


def test_what_no_filter_is_is_told(client: MlflowClient, experiment_id: str) -> None:
    for question in ({"filter_string": "what ever"}, {"order_by": ["metrics.loss UP"]}):
        with pytest.raises(MlflowException) as error:
            client.search_runs([experiment_id], **question)

        assert error.value.error_code == "INVALID_PARAMETER_VALUE"
