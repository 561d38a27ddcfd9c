"""Where MLflow says that a run can be seen."""

from __future__ import annotations

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import run

RUN = """
    import mlflow
    mlflow.set_experiment("links")
    with mlflow.start_run(run_name="spring") as run:
        pass
    print("ids", run.info.run_id, run.info.experiment_id)
    """


def lines(version: str, azure: EmulatedAzure, **variables: str) -> tuple[list[str], list[str]]:
    """Return the run's and the experiment's id, and the other lines that were printed."""
    done = run(version, azure, RUN, **variables)
    assert done.returncode == 0, done.stderr
    *printed, ids = done.stdout.splitlines()
    return ids.split()[1:], printed


@pytest.mark.parametrize(
    "version",
    ["3.17.2", *(pytest.param(it, marks=pytest.mark.thorough) for it in ("2.19.0", "2.21.3"))],
)
def test_they_lead_to_the_studio(version: str, azure: EmulatedAzure) -> None:
    (run_id, experiment_id), printed = lines(version, azure)

    place = f"?wsid={azure.workspace.resource_id}&tid={azure.workspace.tenant_id}"
    assert printed == [
        f"🏃 View run spring at: https://ml.azure.com/runs/{run_id}{place}",
        f"🧪 View experiment at: https://ml.azure.com/experiments/id/{experiment_id}{place}",
    ]


def test_in_a_databricks_workspace_too(azure: EmulatedAzure) -> None:
    """MLflow itself would make them of the workspace's address there, and print none in a notebook."""
    _, printed = lines("3.17.2", azure, DATABRICKS_RUNTIME_VERSION="17.3")

    assert [line.partition(" at: https://ml.azure.com/")[1] != "" for line in printed] == [True, True]


def test_who_wants_none_gets_none(azure: EmulatedAzure) -> None:
    assert lines("3.17.2", azure, MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true")[1] == []


@pytest.mark.parametrize("version", ["2.9.2", pytest.param("2.13.1", marks=pytest.mark.thorough)])
def test_a_version_that_prints_none_prints_none(version: str, azure: EmulatedAzure) -> None:
    assert lines(version, azure)[1] == []
