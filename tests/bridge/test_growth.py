"""How much is asked of the service as experiments and registries grow: by what is read, not by its pages."""

from __future__ import annotations

import time

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed

API = "westeurope.api.azureml.ms"
VERSION = "3.17.2"

RUN = """
    import json, mlflow
    experiment = mlflow.set_experiment("{name}").experiment_id
    with mlflow.start_run() as run:
        mlflow.log_metric("accuracy", 0)
        {more}
    print(json.dumps([run.info.run_id, experiment]))
    """
# What `mlflow.search_runs` does, in pages of a hundred.
PAGES = """
    import json, mlflow
    client, found, token = mlflow.MlflowClient(), [], None
    while True:
        page = client.search_runs(
            [{experiment!r}], {where!r}, order_by=[{order!r}], max_results=100, page_token=token
        )
        found += [run.data.metrics["accuracy"] for run in page]
        token = page.token
        if not token:
            break
    print(json.dumps(found))
    """


def searches(azure: EmulatedAzure, what: str) -> int:
    return len(azure.journal.of(API, f"/{what}/search"))


def test_pages_of_runs_in_order_of_a_metric_read_the_experiment_once(azure: EmulatedAzure) -> None:
    # Given an experiment, of two sizes
    run_id, experiment = printed(VERSION, azure, RUN.format(name=f"growth-{time.time_ns()}", more=""))
    asked = []
    for more in (199, 200):
        azure.copy_run(run_id, more)
        azure.journal.clear()

        # When its runs are read in pages, the best first
        found = printed(
            VERSION, azure, PAGES.format(experiment=experiment, where="", order="metrics.accuracy DESC")
        )

        # Then each comes once, in order
        assert found == sorted(found, reverse=True)
        asked.append([len(found), searches(azure, "runs")])

    # And two more pages cost nothing: the service gives all of it at once
    assert asked == [[200, 1], [400, 1]]


def test_pages_of_runs_of_which_one_has_more_than_the_service_takes_go_on_where_they_were(
    azure: EmulatedAzure,
) -> None:
    # Given an experiment with a run of which something is kept
    name = f"growth-{time.time_ns()}"
    _, experiment = printed(VERSION, azure, RUN.format(name=name, more="mlflow.set_tag('long', 'x' * 6000)"))
    run_id, _ = printed(VERSION, azure, RUN.format(name=name, more=""))
    azure.copy_run(run_id, 398)
    azure.journal.clear()

    # When its runs are read in pages, in an order that the service has
    found = printed(
        VERSION,
        azure,
        PAGES.format(experiment=experiment, where="metrics.accuracy >= 0", order="attributes.start_time ASC"),
    )

    # Then no page begins anew: one request each, and one for the runs of which something is kept
    assert len(found) == 400
    assert searches(azure, "runs") == 5
    notes = [request for request in azure.journal.of(API) if "prefix/contentinfo" in request.path]
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("call", "what"),
    [
        ("mlflow.search_registered_models(filter_string=\"name LIKE '{name}%'\")", "registered-models"),
        (
            "mlflow.search_model_versions(filter_string=\"name LIKE '{name}%'\", max_results=250)",
            "model-versions",
        ),
    ],
)
def test_models_by_a_filter_that_the_service_has_not_are_read_once(
    azure: EmulatedAzure, call: str, what: str
) -> None:
    # Given a registry with some hundred models
    name = f"growth-{time.time_ns()}"
    make = f"""
        import json, mlflow
        client = mlflow.MlflowClient()
        with mlflow.start_run() as run:
            mlflow.log_text("x", "model/MLmodel")
        client.create_registered_model("{name}")
        client.create_model_version("{name}", f"runs:/{{run.info.run_id}}/model", run.info.run_id)
        print(json.dumps([]))
        """
    printed(VERSION, azure, make)
    azure.copy_model(name, 249)
    azure.journal.clear()

    # When MLflow reads them in its pages
    found = printed(
        VERSION, azure, f"import json, mlflow; print(json.dumps([_.name for _ in {call.format(name=name)}]))"
    )

    # Then the service is asked once for what there is
    assert len(set(found)) == 250
    assert searches(azure, what) == 1


def test_experiments_by_a_name_that_only_we_know_are_read_once(azure: EmulatedAzure) -> None:
    code = """
        import json, mlflow
        for name in ("Growth ä", "Growth ö", "Growth ü"):
            mlflow.get_experiment_by_name(name) or mlflow.create_experiment(name)
        client, found, token, like = mlflow.MlflowClient(), [], None, "name LIKE 'Growth %'"
        while True:
            page = client.search_experiments(filter_string=like, max_results=1, page_token=token)
            found, token = [*found, *(each.name for each in page)], page.token
            if not token:
                break
        print(json.dumps(sorted(found)))
        """

    assert printed(VERSION, azure, code) == ["Growth ä", "Growth ö", "Growth ü"]
    assert searches(azure, "experiments") == 1
