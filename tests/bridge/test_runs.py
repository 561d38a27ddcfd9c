"""What a run costs in requests, where the service's answers are not those of MLflow's own server."""

from __future__ import annotations

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed

API = "westeurope.api.azureml.ms"
IN_AN_EXPERIMENT = "    experiment_id = client.create_experiment(f'costs-{time.time_ns()}')\n"
BEGIN = "\n    import json, mlflow, time\n    client = mlflow.MlflowClient()\n"


def asked(azure: EmulatedAzure, code: str, version: str = "3.17.2") -> list[str]:
    """Return what MLflow's API was asked for, in order."""
    printed(version, azure, BEGIN + code + "    print(json.dumps([]))\n")
    return [request.path.partition("/api/2.0/mlflow/")[2] for request in azure.journal.of(API, "/api/2.0/")]


@pytest.mark.parametrize("version", ["2.9.2", "3.17.2"])
def test_a_run_costs_one_request_more_for_its_source(azure: EmulatedAzure, version: str) -> None:
    code = IN_AN_EXPERIMENT + "    with mlflow.start_run(experiment_id=experiment_id):\n        pass\n"

    calls = [call for call in asked(azure, code, version) if call.startswith("runs/")]

    assert [call for call in calls if call != "runs/get"] == ["runs/create", "runs/log-batch", "runs/update"]


def test_a_run_without_a_source_costs_none(azure: EmulatedAzure) -> None:
    code = IN_AN_EXPERIMENT + "    client.create_run(experiment_id, tags={'team': 'red'})\n"

    assert asked(azure, code) == ["experiments/create", "runs/create"]


def test_a_source_that_is_not_taken_does_not_stop_the_run(azure: EmulatedAzure) -> None:
    azure.faults.add(API, "runs/log-batch", status=400, times=1)
    code = IN_AN_EXPERIMENT + (
        "    with mlflow.start_run(experiment_id=experiment_id):\n        mlflow.log_metric('loss', 1)\n"
    )

    assert asked(azure, code).count("runs/log-batch") + asked(azure, code).count("runs/log-metric") >= 2


def test_the_default_experiment_is_looked_up_once(azure: EmulatedAzure) -> None:
    code = "    for _ in range(3):\n        client.search_runs(['0'])\n        client.get_experiment('0')\n"

    assert sorted(asked(azure, code)) == sorted(
        ["experiments/get-by-name", *["runs/search", "experiments/get"] * 3]
    )


def test_who_has_made_a_run_in_it_knows_it(azure: EmulatedAzure) -> None:
    code = "    client.create_run('0')\n    client.search_runs(['0'])\n"

    assert asked(azure, code) == ["runs/create", "runs/search"]


def test_the_end_of_a_run_asks_for_no_address_that_is_known(azure: EmulatedAzure) -> None:
    code = "    run = client.create_run('0')\n    client.update_run(run.info.run_id, 'FINISHED')\n"

    assert [call for call in asked(azure, code) if call != "runs/get"] == ["runs/create", "runs/update"]
