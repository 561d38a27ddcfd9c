"""Variables of MLflow's and of Azure ML's jobs from outside: each does what a user expects of it."""

from __future__ import annotations

from typing import Any

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed_alone, run_alone

VERSION = "3.17.2"

RESUME = """
    import json, mlflow
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 1.0)
        mlflow.log_text("hello", "hello.txt")
    found = mlflow.get_run(run.info.run_id)
    print(json.dumps({
        "run": run.info.run_id,
        "status": found.info.status,
        "experiment": mlflow.get_experiment(found.info.experiment_id).name,
        "metrics": found.data.metrics,
        "artifacts": [each.path for each in mlflow.MlflowClient().list_artifacts(run.info.run_id)],
    }))
    """


def begun_run(azure: EmulatedAzure) -> str:
    """Return a run of the experiment `outside` that another process has begun."""
    code = """
        import json, mlflow
        mlflow.set_experiment("outside")
        client = mlflow.MlflowClient()
        experiment = client.get_experiment_by_name("outside")
        print(json.dumps(client.create_run(experiment.experiment_id).info.run_id))
        """
    run_id: str = printed_alone(VERSION, azure, code)
    return run_id


def resumed(run_id: str) -> dict[str, Any]:
    return {
        "run": run_id,
        "status": "FINISHED",
        "experiment": "outside",
        "metrics": {"loss": 1.0},
        "artifacts": ["hello.txt"],
    }


def test_a_run_that_is_given_is_gone_on_with(azure: EmulatedAzure) -> None:
    run_id = begun_run(azure)

    assert printed_alone(VERSION, azure, RESUME, MLFLOW_RUN_ID=run_id) == resumed(run_id)


def test_so_is_one_that_azure_mls_own_variable_names_too(azure: EmulatedAzure) -> None:
    # The plugin would take this process for a job of Azure ML's, and leave the run's status to that.
    run_id = begun_run(azure)

    found = printed_alone(VERSION, azure, RESUME, MLFLOW_RUN_ID=run_id, AZUREML_RUN_ID=run_id)

    assert found == resumed(run_id)


def test_a_run_of_long_ago_in_azure_mls_variable_changes_nothing(azure: EmulatedAzure) -> None:
    found = printed_alone(
        VERSION, azure, RESUME, AZUREML_RUN_ID="0d9b8a3c-gone", AZUREML_EXPERIMENT="outside"
    )

    assert found == resumed(found["run"])


def test_a_token_from_outside_is_not_sent(azure: EmulatedAzure) -> None:
    # Given all that makes the plugin log in with it
    run_id = begun_run(azure)
    azure.journal.clear()

    found = printed_alone(
        VERSION,
        azure,
        RESUME,
        MLFLOW_RUN_ID=run_id,
        MLFLOW_EXPERIMENT_NAME="outside",
        MLFLOW_TRACKING_TOKEN="somebody-elses",
        MLFLOW_TRACKING_USERNAME="somebody",
        MLFLOW_TRACKING_PASSWORD="else",
    )

    # Then all is done with our own login, which the service would not do with another
    assert found == resumed(run_id)
    asked = azure.journal.of("*.api.azureml.ms")
    assert asked
    assert {each.status for each in asked} <= {200, 201}


def test_a_run_that_does_not_exist_is_told_in_one_line(azure: EmulatedAzure) -> None:
    done = run_alone(VERSION, azure, RESUME, MLFLOW_RUN_ID="0d9b8a3c0000000000000000000000aa")

    assert done.returncode == 1
    assert "0d9b8a3c0000000000000000000000aa" in done.stderr.splitlines()[-1]
