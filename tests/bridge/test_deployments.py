"""`mlflow.deployments` on Azure ML: with our login, and with every address that a model has."""

from __future__ import annotations

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed, printed_alone, run_alone

VERSION = "3.17.2"
ENDPOINTS = "/onlineEndpoints"

DEPLOY = """
    import json, mlflow
    from pathlib import Path
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
    except mlflow.MlflowException as error:  # the emulated Azure makes no deployments
        assert "create the deployment" in str(error) and "404" in str(error)
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


def test_what_becomes_of_an_endpoint_is_told_in_one_line_with_mlflows_codes(azure: EmulatedAzure) -> None:
    code = """
    import json, mlflow, pandas as pd
    from mlflow.deployments import get_deploy_client
    client, told = get_deploy_client(mlflow.get_tracking_uri()), []
    for ask in (lambda: client.get_endpoint("churn"), lambda: client.delete_deployment("x", "churn"),
                lambda: client.predict(None, pd.DataFrame({"x": [1]}), "churn"), lambda: client.predict()):
        try:
            ask()
        except mlflow.MlflowException as error:
            told.append([error.error_code, error.message])
    print(json.dumps([[each["name"] for each in client.list_endpoints()], told]))
    """

    names, told = printed(VERSION, azure, code)

    missing = "404, The online endpoint 'churn' was not found."
    assert names == ["scored"]
    assert told[0] == ["RESOURCE_DOES_NOT_EXIST", f"Azure ML refuses to get the endpoint 'churn': {missing}"]
    assert told[-1] == ["INTERNAL_ERROR", "Error, must provide one of deployment_name or endpoint"]
    assert len(told) == 4
    assert not [message for _, message in told if "\n" in message]
