"""Logged models of MLflow 3 on a service that has none: what the stories cannot see from within."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed, run

API = "*.api.azureml.ms"
BLOBS = "*.blob.core.windows.net"
VERSION = "3.17.2"

LOG = """
    import json, mlflow
    from sklearn.linear_model import LogisticRegression
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    needs = {"pip_requirements": ["scikit-learn"]}
    """


def test_a_model_is_one_folder_of_its_run_where_mlflow_2_looks_for_it(azure: EmulatedAzure) -> None:
    # Given a model that MLflow 3 has logged and registered
    run_id = printed(
        VERSION,
        azure,
        LOG
        + """
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(model, name="model", registered_model_name="of-mlflow-3", **needs)
    print(json.dumps(run.info.run_id))
    """,
    )

    # When a cluster with MLflow 2 reads it, then it is there, and nothing else is
    of_mlflow_2 = f"""
        import json, mlflow
        listed = [item.path for item in mlflow.MlflowClient().list_artifacts({run_id!r})]
        # Not loaded: what later scikit-learns have pickled, this one's cannot read from any server.
        read = [sorted(mlflow.models.get_model_info(uri).flavors)
                for uri in ("runs:/{run_id}/model", "models:/of-mlflow-3/1")]
        print(json.dumps([listed, read]))
        """
    assert printed("2.9.2", azure, of_mlflow_2) == [["model"], [["python_function", "sklearn"]] * 2]


def test_of_two_models_of_one_name_the_run_gives_the_newer_and_each_id_its_own(azure: EmulatedAzure) -> None:
    found = printed(
        VERSION,
        azure,
        LOG
        + """
    other = LogisticRegression().fit([[0.0], [1.0]], [1, 0])
    with mlflow.start_run() as run:
        first = mlflow.sklearn.log_model(model, name="model", **needs)
        second = mlflow.sklearn.log_model(other, name="model", **needs)
    by_run = f"runs:/{run.info.run_id}/model"
    version = mlflow.register_model(by_run, "newer")
    uris = (first.model_uri, second.model_uri, by_run, f"models:/newer/{version.version}")
    print(json.dumps([mlflow.pyfunc.load_model(uri).predict([[1.0]]).tolist() for uri in uris]))
    """,
    )

    assert found == [[1], [0], [0], [0]]


def one_model(azure: EmulatedAzure) -> tuple[str, str]:
    """Make a model that several processes will change, and return its ID and its run's."""
    model_id, run_id = printed(
        VERSION,
        azure,
        """
        import json, mlflow
        with mlflow.start_run() as run:
            model = mlflow.initialize_logged_model(name="shared")
        print(json.dumps([model.model_id, run.info.run_id]))
        """,
    )
    return model_id, run_id


def test_processes_that_change_one_model_at_once_lose_nothing(azure: EmulatedAzure) -> None:
    model_id, run_id = one_model(azure)

    # When six processes tag it and log its metrics at once
    def change(number: int) -> subprocess.CompletedProcess[str]:
        code = f"""
            import mlflow
            client = mlflow.MlflowClient()
            client.set_logged_model_tags({model_id!r}, {{"tag{number}": "{number}"}})
            client.log_metric({run_id!r}, "metric{number}", {number}.0, model_id={model_id!r})
            """
        return run(VERSION, azure, code)

    with ThreadPoolExecutor(6) as pool:
        changes = list(pool.map(change, range(6)))
    assert [(done.returncode, done.stderr) for done in changes] == [(0, "")] * 6

    # Then it has them all
    tags, metrics = printed(
        VERSION,
        azure,
        f"""
        import json, mlflow
        found = mlflow.get_logged_model({model_id!r})
        tags = [key for key in found.tags if key.startswith("tag")]
        print(json.dumps([sorted(tags), sorted(metric.key for metric in found.metrics)]))
        """,
    )
    assert tags == [f"tag{number}" for number in range(6)]
    assert metrics == [f"metric{number}" for number in range(6)]


def test_the_service_is_asked_once_whether_it_has_logged_models(azure: EmulatedAzure) -> None:
    printed(
        VERSION,
        azure,
        LOG
        + """
    for _ in range(3):
        with mlflow.start_run():
            mlflow.sklearn.log_model(model, name="model", **needs)
    print(json.dumps([len(mlflow.search_logged_models(output_format="list"))]))
    """,
    )

    asked = [(request.method, request.status) for request in azure.journal.of(API, "logged-models")]
    assert asked == [("POST", 404)]


def test_the_day_that_azure_ml_has_logged_models_it_is_they_that_are_used(azure: EmulatedAzure) -> None:
    # Given a model of today
    old = printed(
        VERSION,
        azure,
        LOG
        + """
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(model, name="model", **needs)
    print(json.dumps(logged.model_id))
    """,
    )
    azure.journal.clear()

    # When the service has the API
    azure.generation.mlflow_3 = True
    try:
        new, found = printed(
            VERSION,
            azure,
            LOG
            + f"""
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 1.0)
        logged = mlflow.sklearn.log_model(model, name="model", **needs)
        mlflow.log_metric("late", 2.0, model_id=logged.model_id)
    keys = sorted(metric.key for metric in mlflow.get_logged_model(logged.model_id).metrics)
    outputs = [output.model_id for output in mlflow.get_run(run.info.run_id).outputs.model_outputs]
    name = mlflow.get_logged_model({old!r}).name
    print(json.dumps([logged.model_id, [keys, outputs == [logged.model_id], name]]))
    """,
        )
    finally:
        azure.generation.mlflow_3 = False

    # Then new models are the service's own, and the old one is still there
    assert new.startswith("m-")
    assert "-" not in new[2:]
    assert found == [["late", "loss"], True, "model"]


def test_what_is_known_of_a_model_is_read_once_and_by_its_own_process_not_at_all(
    azure: EmulatedAzure,
) -> None:
    ids = printed(
        VERSION,
        azure,
        LOG
        + """
    experiment = mlflow.set_experiment("read-once")
    ids = []
    for _ in range(4):
        with mlflow.start_run():
            ids.append(mlflow.sklearn.log_model(model, name="model", **needs).model_id)
    client = mlflow.MlflowClient()
    pages = [client.search_logged_models([experiment.experiment_id], max_results=2) for _ in range(3)]
    print(json.dumps(ids))
    """,
    )
    assert [request for request in azure.journal.of(BLOBS) if request.method == "GET"] == []

    printed(
        VERSION, azure, f"import mlflow; [mlflow.get_logged_model(each) for each in {ids!r} * 2]; print('[]')"
    )
    read = Counter(request.path for request in azure.journal.of(BLOBS) if request.method == "GET")
    assert set(read.values()) == {1}


@pytest.mark.parametrize("metrics", [0, 20])
def test_a_model_costs_no_more_requests_for_the_metrics_before_it(azure: EmulatedAzure, metrics: int) -> None:
    """MLflow itself asks for each metric's history; all else is the same."""
    printed(
        VERSION,
        azure,
        LOG
        + f"""
    with mlflow.start_run():
        mlflow.log_metrics({{f"metric{{number}}": number for number in range({metrics})}})
        mlflow.sklearn.log_model(model, name="model", **needs)
    print("[]")
    """,
    )

    asked = Counter(request.path.partition("forecasting/")[2].rpartition("/")[2] for request in azure.journal)
    assert asked["get-history"] == metrics
    assert len(azure.journal) - metrics <= 45, json.dumps(asked)


def test_versions_are_found_by_their_numbers(azure: EmulatedAzure) -> None:
    found = printed(
        VERSION,
        azure,
        LOG
        + """
    with mlflow.start_run():
        for _ in range(3):
            mlflow.sklearn.log_model(model, name="model", registered_model_name="numbered", **needs)
    client = mlflow.MlflowClient()
    conditions = ("version_number > 1", "version_number = 2", "version_number = '2'")
    found = [client.search_model_versions(f"name = 'numbered' AND {each}") for each in conditions]
    print(json.dumps([sorted(version.version for version in versions) for versions in found]))
    """,
    )

    assert found == [["2", "3"], ["2"], ["2"]]


def test_a_model_of_which_nobody_knows_is_told(azure: EmulatedAzure) -> None:
    done = run(VERSION, azure, "import mlflow; mlflow.log_metric('x', 1, model_id='m-nope')")

    assert done.stderr.splitlines()[-1].endswith("Logged model with ID 'm-nope' not found.")
