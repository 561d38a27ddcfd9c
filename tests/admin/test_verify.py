"""Verify: a model is logged, registered and loaded on a cluster that is really booted."""

from __future__ import annotations

import json
import re
import signal
import time

import pytest
from databricks.sdk.service.compute import State

from tests.admin.conftest import Admin
from tests.databricks import started_cluster


@pytest.fixture
def on_azure(deployed: Admin) -> Admin:
    """An admin whose clusters reach the emulated Azure."""
    deployed.databricks.azure = deployed.azure
    return deployed


def clusters_are_gone(admin: Admin) -> bool:
    client = admin.databricks.cluster_client(admin.databricks.admin)
    return all(it.state == State.TERMINATED for it in client.clusters.list())


def test_a_model_goes_round_on_a_cluster_under_the_policy(on_azure: Admin) -> None:
    done = on_azure.run("verify")

    assert (done.returncode, done.stderr) == (0, "")
    shown = re.sub(r"[0-9a-f]{32}", "RUN", done.stdout)
    assert shown == (
        "\nOn a cluster under the policy\n"
        "check                      result  detail\n"
        "MLflow points at Azure ML  ok      workspace forecasting\n"
        "a run is logged            ok      run RUN in experiment azureml-databricks-verify\n"
        "a model is registered      ok      model azureml-databricks-verify, version 1\n"
        "the model is loaded        ok      it answers [[1]]\n"
        "all of it is deleted       ok      version and run\n"
    )
    assert clusters_are_gone(on_azure)


def test_what_fails_on_the_cluster_is_in_the_table_with_its_cause(on_azure: Admin) -> None:
    client = on_azure.databricks.cluster_client(on_azure.databricks.admin)
    client.secrets.put_secret("azureml", "clientSecret", string_value="wr0ng")

    done = on_azure.run("verify", "--json")

    results = json.loads(done.stdout)["results"]
    assert done.returncode == 1
    assert [it["passed"] for it in results] == [True, False]
    assert "the secret in AZURE_CLIENT_SECRET is wrong" in results[1]["detail"]
    assert "wr0ng" not in done.stdout


def test_a_cluster_that_does_not_start_says_why(on_azure: Admin) -> None:
    client = on_azure.databricks.cluster_client(on_azure.databricks.admin)
    client.secrets.delete_secret("azureml", "clientSecret")

    done = on_azure.run("verify")

    assert done.returncode == 1
    assert done.stderr.startswith("Error: the cluster did not start: ")
    assert "Secret does not exist with scope: azureml and key: clientSecret" in done.stderr
    assert clusters_are_gone(on_azure)


def test_stopped_by_hand_it_takes_its_cluster_along(on_azure: Admin) -> None:
    running = on_azure.run.start("verify")
    deadline = time.monotonic() + 120
    client = on_azure.databricks.cluster_client(on_azure.databricks.admin)
    while not list(client.clusters.list()) and time.monotonic() < deadline:
        time.sleep(0.2)
    running.send(signal.SIGINT)
    done = running.done()

    assert (done.returncode, done.stderr.strip()) == (1, "Aborted!")
    while not clusters_are_gone(on_azure) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert clusters_are_gone(on_azure)


def test_a_user_who_picks_the_policy_needs_nothing_else(on_azure: Admin) -> None:
    databricks = on_azure.databricks
    ann = databricks.user("ann2@contoso.com", groups=["data-scientists"])
    (policy,) = databricks.cluster_client(databricks.admin).cluster_policies.list()
    assert policy.policy_id

    with started_cluster(
        databricks, policy.policy_id, who=ann, azure=on_azure.azure, node_type_id="Standard_DS3_v2"
    ) as node:
        python = node.inside("/databricks/python3/bin/python")
        code = "import mlflow; mlflow.set_experiment('by-ann'); mlflow.start_run(); mlflow.log_metric('x', 1)"
        done = node.run([python, "-c", code])

    assert done.returncode == 0, done.stderr
    assert on_azure.azure.journal.of("*.api.azureml.ms", "runs/log-metric")
