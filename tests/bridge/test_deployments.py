"""`mlflow.deployments` on Azure ML: with our login, and with every address that a model has."""

from __future__ import annotations

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed_alone, run_alone

VERSION = "3.17.2"
ENDPOINTS = "/onlineEndpoints"

DEPLOY = """
    import json, mlflow
    from pathlib import Path
    from azure.core.exceptions import ResourceNotFoundError
    from mlflow.deployments import get_deploy_client
    from sklearn.linear_model import LogisticRegression
    mlflow.set_experiment("deployments")
    with mlflow.start_run() as run:
        model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        logged = mlflow.sklearn.log_model(model, name="model", pip_requirements=["scikit-learn"])
    client = get_deploy_client(mlflow.get_tracking_uri())
    Path("deployment.json").write_text(json.dumps({"instance_type": "Standard_DS3_v2"}))
    try:
        client.create_deployment(
            NAME, ADDRESS, endpoint="churn", config={"deploy-config-file": "deployment.json"}
        )
    except ResourceNotFoundError:
        pass  # the emulated Azure has no endpoints
    (version,) = mlflow.MlflowClient().search_model_versions(f"name = '{NAME}-model'")
    print(json.dumps([int(version.version), version.run_id == run.info.run_id]))
    """


@pytest.mark.parametrize(
    ("name", "address"),
    [("by-run", "f'runs:/{run.info.run_id}/model'"), ("by-model", "logged.model_uri")],
)
def test_a_model_is_registered_and_sent_to_its_endpoint_with_our_login(
    azure: EmulatedAzure, name: str, address: str
) -> None:
    code = DEPLOY.replace("NAME", repr(name)).replace(f"{{{name!r}}}", name).replace("ADDRESS", address)

    # MLflow tells its makers of its use.
    assert printed_alone(VERSION, azure, code, MLFLOW_DISABLE_TELEMETRY="true") == [1, True]

    # Then one login served all, the plugin's own chain was not asked, and Azure's endpoints were
    assert len(azure.journal.of("login.microsoftonline.com", "/token")) == 1
    assert azure.journal.refused == []
    assert azure.journal.of("management.azure.com", ENDPOINTS)


def test_a_target_that_is_no_workspace_is_told_in_one_line(azure: EmulatedAzure) -> None:
    done = run_alone(
        VERSION, azure, "from mlflow.deployments import get_deploy_client\nget_deploy_client('azureml')"
    )

    assert done.stderr.splitlines()[-1].endswith("(MLflow tracking URI)")
