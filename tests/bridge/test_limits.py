"""What the limits of the service cost: requests, counted."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed, run

VERSION = "3.17.2"
API = "westeurope.api.azureml.ms"
BLOBS = "*.blob.core.windows.net"


def calls(azure: EmulatedAzure) -> Counter[str]:
    """Return how often each endpoint for runs was called, and each kind of request for bytes."""
    ours = Counter("/".join(request.path.split("/")[-2:]) for request in azure.journal.of(API))
    blobs = Counter(request.method for request in azure.journal.of(BLOBS))
    counted = ours + blobs
    return Counter({what: count for what, count in counted.items() if not what.startswith("experiments/")})


def logged(azure: EmulatedAzure, code: str) -> Any:
    """Run `code`, which has a `client` and the `run_id` of a new run, and leaves its answer in `told`."""
    begin = """
        import json, mlflow, uuid
        from mlflow.entities import Metric, Param, RunTag
        client = mlflow.MlflowClient()
        run_id = client.create_run(client.create_experiment(uuid.uuid4().hex)).info.run_id
        told = ""
        """
    return printed(VERSION, azure, f"{begin}{code}\n        print(json.dumps([told]))")[0]


def test_a_run_within_the_limits_costs_no_more_than_plain_mlflow(azure: EmulatedAzure) -> None:
    logged(
        azure,
        """
        client.log_param(run_id, "depth", "p" * 500)
        client.set_tag(run_id, "team", "t" * 1000)
        client.log_metric(run_id, "loss", 1)
        client.log_batch(run_id, [Metric(f"m{n}", n, 1, 0) for n in range(49)],
                         [Param(f"p{n}", "1") for n in range(100)], [RunTag(f"t{n}", "1") for n in range(40)])
        client.log_batch(run_id, params=[Param(f"q{n}", "1") for n in range(99)])
        client.get_run(run_id)
        client.get_metric_history(run_id, "loss")
        client.delete_tag(run_id, "team")
        client.set_terminated(run_id)
        """,
    )

    assert calls(azure) == {
        "runs/create": 1,
        "runs/log-batch": 5,
        "runs/get": 2,  # one for the line that MLflow prints at the end
        "metrics/get-history": 1,
        "runs/delete-tag": 1,
        "runs/update": 1,
    }


def test_a_long_value_costs_its_record(azure: EmulatedAzure) -> None:
    logged(azure, "client.log_param(run_id, 'prompt', 'p' * 900)")

    assert calls(azure) == {"runs/create": 1, "runs/log-batch": 1, "batch/metadata": 1, "PUT": 1}


def test_another_value_of_a_param_is_refused_in_mlflows_words_with_both_as_they_are(
    azure: EmulatedAzure,
) -> None:
    told = logged(
        azure,
        """
        told = []
        client.log_param(run_id, "prompt", "p" * 700)
        client.log_param(run_id, "depth", "1")
        for key, value in ("prompt", "p" * 701), ("prompt", "short"), ("depth", "2"):
            try:
                client.log_param(run_id, key, value)
            except mlflow.MlflowException as error:
                told.append(error.message.splitlines()[0].replace(run_id, "RUN"))
        """,
    )

    said = (
        "Changing param values is not allowed. Param with key='{}' was already logged with value='{}' "
        "for run ID='RUN'. Attempted logging new value '{}'."
    )
    long = "p" * 700
    values = [("prompt", long, long + "p"), ("prompt", long, "short"), ("depth", "1", "2")]
    assert told == [said.format(*each) for each in values]


def test_a_param_without_room_is_logged_again_with_its_value_as_nothing_new(azure: EmulatedAzure) -> None:
    told = logged(
        azure,
        """
        for first in range(0, 200, 100):
            client.log_batch(run_id, params=[Param(f"{first + n}", "1") for n in range(100)])
        for _ in range(2):
            client.log_param(run_id, "last", "one")
        told = client.get_run(run_id).data.params["last"]
        """,
    )

    assert told == "one"
    assert calls(azure)["PUT"] == 1


def test_what_there_is_no_room_for_costs_a_look_at_the_run_and_its_record(azure: EmulatedAzure) -> None:
    logged(
        azure,
        "for n in range(3): client.log_batch(run_id, params=[Param(f'{n}-{i}', '1') for i in range(90)])",
    )

    assert calls(azure) == {
        "runs/create": 1,
        "runs/log-batch": 4,
        "runs/get": 1,
        "batch/metadata": 1,
        "PUT": 1,
    }


@pytest.mark.parametrize(
    ("beyond", "of_service", "records"), [("refused", 50, 3), ("dropped", 50, 3), ("taken", 60, 1)]
)
def test_metric_names_beyond_50_are_kept_whatever_the_service_does_with_them(
    azure: EmulatedAzure, beyond: Any, of_service: int, records: int
) -> None:
    azure.metric_names.beyond = beyond
    code = """
        for step in range(3):
            client.log_batch(run_id, [Metric(f"m{n}", n + step, 1, step) for n in range(60)])
        store = client._tracking_client.store
        served = len(store.runs.read(run_id).data.metrics)
        """
    elsewhere = """
        client = mlflow.MlflowClient()
        history = [[point.value for point in client.get_metric_history(run_id, key)] for key in ("m0", "m59")]
        told = [served, len(client.get_run(run_id).data.metrics), history, run_id]
        """

    served, whole, history, _ = logged(azure, code + elsewhere)

    assert (served, whole) == (of_service, 60)
    assert history == [[0, 1, 2], [59, 60, 61]]
    assert calls(azure)["PUT"] == records


def test_names_that_several_processes_log_are_kept_where_the_service_drops_them_in_silence(
    azure: EmulatedAzure,
) -> None:
    azure.metric_names.beyond = "dropped"
    code = """
        import multiprocessing

        def work(worker):
            for number in range(30):
                client.log_metric(run_id, f"{worker}-{number}", number)

        # Given a run to which its process and two more log, none of them 50 names
        client.log_metric(run_id, "first", 1)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            pool.map(work, range(2), chunksize=1)
        client.log_batch(run_id, [Metric("mean", 5, 1, step) for step in range(3)])
        client.set_terminated(run_id)
        served = len(client._tracking_client.store.runs.read(run_id).data.metrics)
        """
    elsewhere = """
        client = mlflow.MlflowClient()
        names = client.get_run(run_id).data.metrics
        told = [served, len(names), names["mean"], len(client.get_metric_history(run_id, "mean"))]
        """

    assert logged(azure, code + elsewhere) == [50, 62, 5, 3]


def test_a_process_that_did_not_make_a_run_looks_at_it_once_for_new_names(azure: EmulatedAzure) -> None:
    logged(
        azure,
        """
        client.log_metric(run_id, "loss", 1)
        from azureml_databricks.bridge import plugin
        plugin._stores.clear()  # as in a process of its own
        other = plugin.tracking_store(mlflow.get_tracking_uri())
        for step in range(3):
            other.log_batch(run_id, [Metric(f"m{n}", n, 1, step) for n in range(10)], [], [])
        """,
    )

    assert calls(azure) == {"runs/create": 1, "runs/log-batch": 4, "runs/get": 1}


def test_a_history_is_read_in_pages_that_the_service_gives(azure: EmulatedAzure) -> None:
    told = logged(
        azure,
        """
        client.log_batch(run_id, [Metric("loss", n, n, n) for n in range(1000)])
        client.log_batch(run_id, [Metric("loss", n, n, n) for n in range(1000, 2000)])
        told = [point.step for point in client.get_metric_history(run_id, "loss")]
        """,
    )

    assert told == list(range(2000))
    assert calls(azure) == {"runs/create": 1, "runs/log-batch": 10, "metrics/get-history": 3}


def test_a_search_is_one_request_a_page_and_one_for_the_runs_that_are_marked(azure: EmulatedAzure) -> None:
    # Given fifty runs, of which one has a long value
    experiment = printed(
        VERSION,
        azure,
        """
        import json, mlflow
        from mlflow.entities import Metric, Param
        experiment_id = mlflow.create_experiment("searched")
        client = mlflow.MlflowClient()
        for number in range(50):
            run_id = client.create_run(experiment_id).info.run_id
            long = "x" * 900 if number == 33 else "x"
            client.log_batch(run_id, [Metric("loss", number, 1, 0)], [Param("text", f"{number} {long} end")])
        print(json.dumps(experiment_id))
        """,
    )

    def search(question: str) -> tuple[int, Counter[str]]:
        azure.journal.clear()
        code = f"""
            import json, mlflow
            found = mlflow.MlflowClient().search_runs([{experiment!r}], {question})
            print(json.dumps([len(found)]))
            """
        return printed(VERSION, azure, code)[0], calls(azure)

    # Then what the service can do alone is one request, and whatever else is asked for is one more
    record = {"prefix/contentinfo": 1, "GET": 1}
    assert search("") == (50, {"runs/search": 1, **record})
    assert search("'attributes.status = \"RUNNING\"', max_results=10") == (10, {"runs/search": 1})
    assert search("order_by=['metrics.loss DESC'], max_results=5") == (5, {"runs/search": 1, **record})
    assert search("\"params.text LIKE '%end'\"") == (50, {"runs/search": 2, **record})
    assert search("\"params.text LIKE '33%end'\"") == (1, {"runs/search": 2, **record})
    assert search("\"tags.none != 'x'\"") == (0, {"runs/search": 1, **record})


def test_a_search_of_a_thousand_runs_of_which_some_are_marked_is_few_requests(azure: EmulatedAzure) -> None:
    # Given a thousand runs, and three of which something is kept
    experiment, run_id = printed(
        VERSION,
        azure,
        """
        import json, mlflow
        from mlflow.entities import Metric, Param
        experiment_id = mlflow.create_experiment("a thousand".replace(" ", "-"))
        client = mlflow.MlflowClient()
        for text, loss in (("short", 0), *(("x" * 900, 2000 + n) for n in range(3))):
            run_id = client.create_run(experiment_id).info.run_id
            client.log_batch(run_id, [Metric("loss", loss, 1, 0)], [Param("text", text)])
            first = run_id if text == "short" else first
        print(json.dumps([experiment_id, first]))
        """,
    )
    azure.copy_run(run_id, 1000)

    def search(question: str) -> tuple[list[float], list[int], Counter[str]]:
        azure.journal.clear()
        code = f"""
            import json, mlflow
            found = mlflow.MlflowClient().search_runs([{experiment!r}], {question})
            losses = [run.data.metrics["loss"] for run in found]
            print(json.dumps([losses, sorted({{len(run.data.params["text"]) for run in found}})]))
            """
        losses, lengths = printed(VERSION, azure, code)
        return losses, lengths, calls(azure)

    # Then each search is as many requests as it has pages of a thousand, one for the marked runs where
    # they may be meant, and the records of those: a list and one of each
    records = {"prefix/contentinfo": 3, "GET": 3}
    first = [2002.0, 2001.0, 2000.0, 999.0, 998.0]
    assert search("order_by=['metrics.loss DESC'], max_results=5") == (
        first,
        [5, 900],
        {"runs/search": 2, **records},
    )
    assert search("'metrics.loss >= 998', max_results=2000")[1:] == (
        [5, 900],
        {"runs/search": 2, **records},
    )
    assert search("\"params.text LIKE 'xx%'\", order_by=['metrics.loss']") == (
        [2000.0, 2001.0, 2002.0],
        [900],
        {"runs/search": 2, **records},
    )
    losses, lengths, asked = search("'attributes.status = \"RUNNING\"', max_results=2000")
    assert (len(losses), lengths) == (1004, [5, 900])
    assert asked == {"runs/search": 2, **records}


def test_a_mark_finds_room_in_a_run_that_is_full(azure: EmulatedAzure) -> None:
    told = logged(
        azure,
        """
        client.set_tag(run_id, "databricks.cluster_id", "c")
        for n in range(60):
            client.set_tag(run_id, f"tag-{n}", n)
        tags = client.get_run(run_id).data.tags
        served = client._tracking_client.store.runs.read(run_id).data.tags
        told = [len([t for t in tags if t.startswith("tag-")]), tags["databricks.cluster_id"], len(served)]
        """,
    )

    assert told == [60, "c", 50]


def test_what_cannot_be_kept_is_told_in_one_line_and_what_nobody_asked_for_not_at_all(
    azure: EmulatedAzure,
) -> None:
    azure.faults.add(API, "artifacts/batch/metadata", status=403)

    created, said = logged(
        azure,
        """
        experiment_id = client.create_experiment(uuid.uuid4().hex)
        run = client.create_run(experiment_id, tags={"databricks.notebook_path": "p" * 2000, "team": "red"})
        try:
            client.log_param(run.info.run_id, "long", "p" * 900)
        except mlflow.MlflowException as error:
            told = [run.data.tags["team"], error.message.replace(run.info.run_id, "RUN")]
        """,
    )

    assert created == "red"
    assert said == "Azure ML refuses to keep a record of RUN: 403, A test asked for this answer."


def test_a_service_that_stays_busy_is_told_in_one_line(azure: EmulatedAzure) -> None:
    azure.faults.add(API, "log-batch", status=429)

    done = run(
        VERSION,
        azure,
        "import mlflow\nwith mlflow.start_run(): mlflow.log_metric('loss', 1)",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="2",
        MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR="0",
    )

    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith("mlflow.exceptions.MlflowException: ")
    assert "429" in line
    assert "log less often" in line
    # The run's source, without which it goes on, and the metric: each as often as MLflow was told to.
    assert len(azure.journal.of(API, "log-batch")) == 2 * 3


def test_a_long_run_of_429_that_ends_is_waited_for(azure: EmulatedAzure) -> None:
    azure.faults.add(API, "log-batch", status=429, times=5)
    code = """
        import json, mlflow
        with mlflow.start_run() as run:
            mlflow.log_metric("loss", 1)
        print(json.dumps(mlflow.get_run(run.info.run_id).data.metrics))
        """

    assert printed(VERSION, azure, code, MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR="0") == {"loss": 1}


def test_what_the_studio_shows_says_where_the_rest_is(azure: EmulatedAzure) -> None:
    told = logged(
        azure,
        """
        client.log_param(run_id, "prompt", "p" * 900)
        told = client._tracking_client.store.runs.read(run_id).data.params["prompt"]
        """,
    )

    assert told.startswith("p" * 400)
    assert json.dumps(told)[:-1].endswith("]")
    assert "... [cut: azureml-databricks keeps the whole, " in told
    assert len(told) == 500
