"""Experiments and runs: what is logged is there, and is found."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import pandas
import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Metric, Param, RunTag, ViewType

if TYPE_CHECKING:
    from tests.matrices.stories.conftest import Elsewhere

pytestmark = pytest.mark.feature("Runs")


# Experiments ---------------------------------------------------------------------------------------


def test_an_experiment_is_found_by_name_and_by_id(name: str) -> None:
    experiment_id = mlflow.create_experiment(f"{name}-2", tags={"team": "churn"})

    by_name = mlflow.get_experiment_by_name(f"{name}-2")

    assert by_name is not None
    assert by_name.experiment_id == experiment_id
    assert by_name.tags["team"] == "churn"
    assert mlflow.get_experiment(experiment_id).name == f"{name}-2"
    assert mlflow.get_experiment_by_name(f"{name}-3") is None


def test_an_experiments_name_is_taken_once(name: str) -> None:
    with pytest.raises(MlflowException) as error:
        mlflow.create_experiment(name)

    assert error.value.error_code == "RESOURCE_ALREADY_EXISTS"


def test_set_experiment_makes_it_once(name: str) -> None:
    made = mlflow.set_experiment(f"{name}-2")
    found = mlflow.set_experiment(f"{name}-2")

    assert made.experiment_id == found.experiment_id


@pytest.mark.differs_on_azure("renamed_experiments")
def test_an_experiment_is_renamed(client: MlflowClient, experiment_id: str, name: str) -> None:
    client.rename_experiment(experiment_id, f"{name}-renamed")

    assert client.get_experiment(experiment_id).name == f"{name}-renamed"


@pytest.mark.differs_on_azure("artifact_locations")
def test_an_experiment_has_the_artifact_location_that_it_is_given(name: str, tmp_path: Path) -> None:
    there = (tmp_path / "there").as_uri()

    experiment_id = mlflow.create_experiment(f"{name}-2", artifact_location=there)

    assert mlflow.get_experiment(experiment_id).artifact_location == there


def test_what_is_logged_in_an_experiment_with_an_artifact_location_is_there(
    client: MlflowClient, name: str, tmp_path: Path
) -> None:
    there = (tmp_path / "there").as_uri()
    experiment_id = mlflow.create_experiment(f"{name}-2", artifact_location=there)

    run = client.create_run(experiment_id)
    client.log_text(run.info.run_id, "x", "notes/x.txt")

    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes/x.txt") == "x"


def test_the_default_experiment_is_0(client: MlflowClient, elsewhere: Elsewhere) -> None:
    run_id = client.create_run("0").info.run_id

    default = client.get_experiment("0")
    assert default.name == "Default"
    assert client.get_run(run_id).info.experiment_id == default.experiment_id
    code = """
        condition = f"attributes.run_id = '{run_id}'"
        runs = mlflow.search_runs(["0"], filter_string=condition, output_format="list")
        print(json.dumps([run.info.run_id for run in runs]))
    """
    assert elsewhere(code, run_id=run_id) == [run_id]


def test_an_experiment_is_tagged(client: MlflowClient, experiment_id: str) -> None:
    client.set_experiment_tag(experiment_id, "owner", "Ada")

    assert client.get_experiment(experiment_id).tags["owner"] == "Ada"


def test_experiments_are_found_by_name_and_by_tag(
    client: MlflowClient, experiment_id: str, name: str
) -> None:
    client.set_experiment_tag(experiment_id, "story", name)

    for condition in (f"name = '{name}'", f"name LIKE '{name[:-1]}%'", f"tags.story = '{name}'"):
        assert [found.name for found in mlflow.search_experiments(filter_string=condition)] == [name]


def test_a_deleted_experiment_comes_back(client: MlflowClient, experiment_id: str) -> None:
    client.delete_experiment(experiment_id)
    assert client.get_experiment(experiment_id).lifecycle_stage == "deleted"

    client.restore_experiment(experiment_id)
    assert client.get_experiment(experiment_id).lifecycle_stage == "active"


# A run ---------------------------------------------------------------------------------------------


def test_params_metrics_and_tags_are_there() -> None:
    with mlflow.start_run(run_name="first try", description="a note", tags={"stage": "draft"}) as run:
        mlflow.log_param("depth", 3)
        mlflow.log_params({"rate": 0.1, "kind": "tree"})
        mlflow.log_metric("loss", 0.5)
        mlflow.log_metrics({"accuracy": 0.75, "recall": 1})
        mlflow.set_tag("owner", "Ada")
        mlflow.set_tags({"stage": "final", "umlaut": "größer"})

    found = mlflow.get_run(run.info.run_id)
    assert found.data.params == {"depth": "3", "rate": "0.1", "kind": "tree"}
    assert found.data.metrics == {"loss": 0.5, "accuracy": 0.75, "recall": 1.0}
    expected = {"owner": "Ada", "stage": "final", "umlaut": "größer", "mlflow.note.content": "a note"}
    assert expected.items() <= found.data.tags.items()
    assert found.info.run_name == "first try"


def test_a_metrics_history_has_every_step_and_its_time(client: MlflowClient) -> None:
    now = int(time.time() * 1000)
    with mlflow.start_run() as run:
        for step in range(3):
            client.log_metric(run.info.run_id, "loss", 1 / (step + 1), timestamp=now + step, step=step)

    history = client.get_metric_history(run.info.run_id, "loss")

    assert [(point.step, point.value, point.timestamp) for point in history] == [
        (0, 1.0, now),
        (1, 0.5, now + 1),
        (2, 1 / 3, now + 2),
    ]
    assert client.get_run(run.info.run_id).data.metrics == {"loss": 1 / 3}


def test_odd_numbers_are_metrics_too(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        mlflow.log_metrics({"nan": math.nan, "inf": math.inf, "tiny": 5e-324, "negative": -1e300})

    metrics = client.get_run(run.info.run_id).data.metrics

    assert math.isnan(metrics.pop("nan"))
    # A server may keep the largest number for infinity, as MLflow's own on a database does.
    assert metrics.pop("inf") >= sys.float_info.max
    assert metrics == {"tiny": 5e-324, "negative": -1e300}


def test_a_param_is_not_changed(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        mlflow.log_param("depth", 3)
        mlflow.log_param("depth", 3)
        with pytest.raises(MlflowException):
            mlflow.log_param("depth", 4)

    assert client.get_run(run.info.run_id).data.params == {"depth": "3"}


def test_a_tag_is_deleted(client: MlflowClient) -> None:
    with mlflow.start_run(tags={"keep": "1", "drop": "1"}) as run:
        mlflow.delete_tag("drop")

    tags = client.get_run(run.info.run_id).data.tags
    assert "keep" in tags
    assert "drop" not in tags


def test_a_run_that_ends_is_finished_and_one_that_raises_has_failed() -> None:
    with mlflow.start_run() as good:
        assert mlflow.get_run(good.info.run_id).info.status == "RUNNING"
    with pytest.raises(ZeroDivisionError), mlflow.start_run() as bad:
        _ = 1 / 0

    assert mlflow.get_run(good.info.run_id).info.status == "FINISHED"
    assert mlflow.get_run(bad.info.run_id).info.status == "FAILED"
    assert mlflow.get_run(good.info.run_id).info.end_time >= good.info.start_time


def test_a_run_is_renamed_and_its_status_set(client: MlflowClient, experiment_id: str) -> None:
    run = client.create_run(experiment_id, run_name="before")

    client.update_run(run.info.run_id, status="FINISHED", name="after")

    found = client.get_run(run.info.run_id)
    assert (found.info.run_name, found.info.status) == ("after", "FINISHED")


def test_nested_runs_know_their_parent() -> None:
    with mlflow.start_run() as parent, mlflow.start_run(nested=True) as child:
        mlflow.log_metric("loss", 1)

    assert mlflow.get_parent_run(child.info.run_id).info.run_id == parent.info.run_id
    condition = f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
    children = mlflow.search_runs(filter_string=condition, output_format="list")
    assert [run.info.run_id for run in children] == [child.info.run_id]


def test_a_deleted_run_comes_back(client: MlflowClient, experiment_id: str) -> None:
    run_id = client.create_run(experiment_id).info.run_id

    client.delete_run(run_id)
    assert client.search_runs([experiment_id]) == []
    deleted = client.search_runs([experiment_id], run_view_type=ViewType.DELETED_ONLY)
    assert [run.info.run_id for run in deleted] == [run_id]

    client.restore_run(run_id)
    assert [run.info.run_id for run in client.search_runs([experiment_id])] == [run_id]


def test_where_a_runs_artifacts_are_is_always_known(client: MlflowClient, experiment_id: str) -> None:
    with mlflow.start_run() as run:
        known = [run.info, mlflow.active_run().info]
    client.update_run(run.info.run_id, name="renamed")
    with mlflow.start_run(run.info.run_id) as resumed:
        known += [resumed.info, mlflow.active_run().info]

    known += [
        client.get_run(run.info.run_id).info,
        *(each.info for each in client.search_runs([experiment_id])),
    ]
    assert len({info.artifact_uri for info in known}) == 1
    assert known[0].artifact_uri.rstrip("/").endswith(f"{run.info.run_id}/artifacts")
    assert {info.experiment_id for info in known} == {experiment_id}


def test_who_made_a_run_and_from_what_is_told(client: MlflowClient, experiment_id: str) -> None:
    given = {
        "mlflow.user": "ada@example.com",
        "mlflow.source.name": "train.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": "c0ffee",
    }

    made = client.create_run(experiment_id, tags=given)

    (found,) = client.search_runs([experiment_id], "tags.`mlflow.source.name` = 'train.py'")
    for run in (made, found, client.get_run(made.info.run_id)):
        assert given.items() <= run.data.tags.items()


def test_a_run_goes_on_in_another_process(client: MlflowClient, elsewhere: Elsewhere) -> None:
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 1, step=0)

    code = """
        with mlflow.start_run(run_id) as run:
            mlflow.log_metric("loss", 0.5, step=1)
            mlflow.log_param("resumed", True)
        print(json.dumps(run.info.run_id))
    """
    assert elsewhere(code, run_id=run.info.run_id) == run.info.run_id

    found = client.get_run(run.info.run_id)
    assert found.data.params == {"resumed": "True"}
    assert [point.value for point in client.get_metric_history(run.info.run_id, "loss")] == [1, 0.5]
    assert found.info.status == "FINISHED"


def test_the_experiment_of_the_environment_is_used(
    elsewhere: Elsewhere, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", f"{name}-2")

    code = """
        with mlflow.start_run() as run:
            pass
        print(json.dumps(mlflow.get_experiment(run.info.experiment_id).name))
    """
    assert elsewhere(code) == f"{name}-2"


def test_two_threads_log_to_two_runs(client: MlflowClient, experiment_id: str) -> None:
    def train(number: int) -> str:
        run_id: str = client.create_run(experiment_id).info.run_id
        for step in range(5):
            client.log_metric(run_id, "loss", number * 10 + step, step=step)
        client.log_param(run_id, "number", number)
        return run_id

    with ThreadPoolExecutor(2) as pool:
        run_ids = list(pool.map(train, (0, 1)))

    for number, run_id in enumerate(run_ids):
        history = client.get_metric_history(run_id, "loss")
        assert [point.value for point in history] == [number * 10 + step for step in range(5)]
        assert client.get_run(run_id).data.params == {"number": str(number)}


# Much at once --------------------------------------------------------------------------------------


def test_hundreds_of_metrics_params_and_tags_in_one_call_lose_none(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        mlflow.log_metrics({f"metric-{number}": number for number in range(450)})
        mlflow.log_params({f"param-{number}": number for number in range(250)})
        mlflow.set_tags({f"tag-{number}": number for number in range(250)})

    data = client.get_run(run.info.run_id).data
    assert data.metrics == {f"metric-{number}": number for number in range(450)}
    assert data.params == {f"param-{number}": str(number) for number in range(250)}
    assert {f"tag-{number}": str(number) for number in range(250)}.items() <= data.tags.items()


def test_a_batch_of_450_metrics_loses_none(client: MlflowClient, experiment_id: str) -> None:
    run_id = client.create_run(experiment_id).info.run_id
    now = int(time.time() * 1000)

    client.log_batch(
        run_id,
        metrics=[Metric("loss", step / 2, now, step) for step in range(450)],
        params=[Param(f"param-{number}", str(number)) for number in range(100)],
        tags=[RunTag(f"tag-{number}", str(number)) for number in range(100)],
    )

    assert [point.value for point in client.get_metric_history(run_id, "loss")] == [
        step / 2 for step in range(450)
    ]
    data = client.get_run(run_id).data
    assert len(data.params) == 100
    assert {f"tag-{number}" for number in range(100)} <= data.tags.keys()


def test_a_long_param_is_kept_whole(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        mlflow.log_param("prompt", "p" * 500)
        mlflow.set_tag("note", "n" * 4000)

    data = client.get_run(run.info.run_id).data
    assert (len(data.params["prompt"]), len(data.tags["note"])) == (500, 4000)


# Asynchronous logging ------------------------------------------------------------------------------


def test_what_is_logged_asynchronously_is_there_after_waiting(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        operations = [
            *(mlflow.log_metric("loss", step, step=step, synchronous=False) for step in range(300)),
            mlflow.log_params({f"param-{number}": number for number in range(150)}, synchronous=False),
            mlflow.set_tag("owner", "Ada", synchronous=False),
        ]
        for operation in operations:
            operation.wait()

    data = client.get_run(run.info.run_id).data
    assert sorted(point.value for point in client.get_metric_history(run.info.run_id, "loss")) == list(
        range(300)
    )
    assert len(data.params) == 150
    assert data.tags["owner"] == "Ada"


@pytest.mark.since("2.13")
def test_flushing_waits_for_what_was_logged_asynchronously(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        for step in range(50):
            mlflow.log_metric("loss", step, step=step, synchronous=False)
        mlflow.flush_async_logging()

        assert len(client.get_metric_history(run.info.run_id, "loss")) == 50


@pytest.mark.since("2.13")
def test_a_process_that_exits_without_flushing_loses_nothing(
    client: MlflowClient, experiment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = client.create_run(experiment_id).info.run_id
    code = f"""
import mlflow
with mlflow.start_run({run_id!r}):
    for step in range(250):
        mlflow.log_metric("loss", step, step=step)
    mlflow.log_params({{f"param-{{number}}": number for number in range(20)}})
    mlflow.set_tag("owner", "Ada")
"""
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")

    subprocess.run([sys.executable, "-c", code], check=True)

    assert len(client.get_metric_history(run_id, "loss")) == 250
    data = client.get_run(run_id).data
    assert len(data.params) == 20
    assert data.tags["owner"] == "Ada"


# Search --------------------------------------------------------------------------------------------


@pytest.fixture
def three_runs(client: MlflowClient, experiment_id: str) -> list[str]:
    """The ids of three runs: loss 0, 1, 2; depth "0", "1", "2"; the first is tagged, the last has failed."""
    run_ids = []
    for number in range(3):
        run = client.create_run(experiment_id, run_name=f"run-{number}")
        client.log_metric(run.info.run_id, "loss", number)
        client.log_param(run.info.run_id, "depth", number)
        run_ids.append(run.info.run_id)
    client.set_tag(run_ids[0], "best", "yes")
    client.set_terminated(run_ids[0])
    client.set_terminated(run_ids[2], status="FAILED")
    return run_ids


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("metrics.loss > 0.5", [1, 2]),
        ("metrics.loss <= 1 AND params.depth != '0'", [1]),
        ("params.depth = '2'", [2]),
        ("params.depth LIKE '1%'", [1]),
        ("tags.best = 'yes'", [0]),
        ("attributes.status = 'FAILED'", [2]),
        ("attributes.run_name = 'run-1'", [1]),
        ("attributes.start_time > 0", [0, 1, 2]),
    ],
)
def test_runs_are_found_by_what_was_logged(
    three_runs: list[str], condition: str, expected: list[int]
) -> None:
    found = mlflow.search_runs(filter_string=condition, output_format="list")

    assert {run.info.run_id for run in found} == {three_runs[number] for number in expected}


def test_runs_are_found_by_their_ids(three_runs: list[str]) -> None:
    condition = f"attributes.run_id IN ('{three_runs[0]}', '{three_runs[2]}')"

    found = mlflow.search_runs(filter_string=condition, output_format="list")

    assert {run.info.run_id for run in found} == {three_runs[0], three_runs[2]}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("metrics.loss DESC", [2, 1, 0]),
        ("params.depth ASC", [0, 1, 2]),
        ("attributes.run_name DESC", [2, 1, 0]),
    ],
)
def test_runs_come_in_the_order_asked_for(three_runs: list[str], order: str, expected: list[int]) -> None:
    found = mlflow.search_runs(order_by=[order], output_format="list")

    assert [run.info.run_id for run in found] == [three_runs[number] for number in expected]


def test_runs_come_in_pages(client: MlflowClient, experiment_id: str, three_runs: list[str]) -> None:
    first = client.search_runs([experiment_id], max_results=2, order_by=["metrics.loss"])
    second = client.search_runs(
        [experiment_id], max_results=2, order_by=["metrics.loss"], page_token=first.token
    )

    assert [run.info.run_id for run in [*first, *second]] == three_runs
    assert not second.token


def test_a_search_may_ask_for_thousands(
    client: MlflowClient, experiment_id: str, three_runs: list[str]
) -> None:
    assert len(client.search_runs([experiment_id], max_results=5000)) == 3
    assert len(mlflow.search_runs([experiment_id], max_results=5000)) == 3


def test_runs_are_a_data_frame(experiment_id: str, three_runs: list[str], name: str) -> None:
    frame = mlflow.search_runs(experiment_names=[name], order_by=["metrics.loss"])

    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["run_id"]) == three_runs
    assert list(frame["metrics.loss"]) == [0, 1, 2]
    assert list(frame["params.depth"]) == ["0", "1", "2"]
    assert set(frame["experiment_id"]) == {experiment_id}


def test_runs_of_several_experiments_are_found_together(
    client: MlflowClient, experiment_id: str, name: str
) -> None:
    other_id = mlflow.create_experiment(f"{name}-2")
    runs = {client.create_run(each).info.run_id for each in (experiment_id, other_id)}

    found = client.search_runs([experiment_id, other_id])

    assert {run.info.run_id for run in found} == runs


# Datasets, and the rest ----------------------------------------------------------------------------


def test_a_dataset_is_an_input_of_its_run(client: MlflowClient) -> None:
    frame = pandas.DataFrame({"age": [1.0, 2.0], "churned": [0.0, 1.0]})
    dataset = mlflow.data.from_pandas(frame, source="https://example.com/churn.csv", name="churn")
    with mlflow.start_run() as run:
        mlflow.log_input(dataset, context="training")

    (found,) = client.get_run(run.info.run_id).inputs.dataset_inputs

    assert (found.dataset.name, found.dataset.digest) == ("churn", dataset.digest)
    assert {tag.key: tag.value for tag in found.tags} == {"mlflow.data.context": "training"}
    source = mlflow.data.get_source(found)
    assert source.url == "https://example.com/churn.csv"


def test_runs_are_found_by_their_dataset() -> None:
    frame = pandas.DataFrame({"age": [1.0]})
    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(frame, source="https://example.com/a.csv", name="churn"))
    with mlflow.start_run():
        pass

    found = mlflow.search_runs(filter_string="datasets.name = 'churn'", output_format="list")

    assert [each.info.run_id for each in found] == [run.info.run_id]


def test_system_metrics_are_not_logged_unasked(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        pass

    assert client.get_run(run.info.run_id).data.metrics == {}


def test_a_run_that_is_not_there_is_told(client: MlflowClient) -> None:
    with pytest.raises(MlflowException) as error:
        client.get_run("0" * 32)

    assert error.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_the_script_is_named_in_the_run(tmp_path: Path, client: MlflowClient, experiment_id: str) -> None:
    script = tmp_path / "train.py"
    script.write_text(f"import mlflow\nwith mlflow.start_run(experiment_id={experiment_id!r}):\n    pass\n")

    subprocess.run([sys.executable, script], check=True)

    (run,) = client.search_runs([experiment_id])
    assert run.data.tags["mlflow.source.name"].endswith("train.py")
