"""What the service refuses is told in one line, and MLflow's error codes stay what they were."""

from __future__ import annotations

from typing import Any

import pytest
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import ErrorCode

from azureml_databricks.bridge import refusals
from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed

API = "westeurope.api.azureml.ms"
ONE_TRY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0"}

ASK = """
    import json, mlflow, time
    client = mlflow.MlflowClient()
    said = {}

    def ask(what, *args, **kwargs):
        try:
            what(*args, **kwargs)
        except mlflow.MlflowException as error:
            said[what.__name__] = [str(error), error.error_code]

    name = f"refused-{time.time_ns()}"
"""
PRINT = "    print(json.dumps(said))\n"


def said(azure: EmulatedAzure, code: str, version: str = "3.17.2", **variables: str) -> dict[str, list[str]]:
    """Return message and error code of each call that was refused, by the call's name."""
    told: dict[str, list[str]] = printed(version, azure, ASK + code + PRINT, **variables)
    return told


@pytest.mark.parametrize("version", ["2.9.2", "3.17.2"])
def test_whatever_is_refused_is_one_line_with_mlflows_code(azure: EmulatedAzure, version: str) -> None:
    code = """
    run = client.create_run("0")
    ask(client.log_metric, "lost_sock_0k0", "loss", 1)
    ask(client.get_run, "lost_sock_0k0")
    ask(client.get_experiment, "11111111-1111-1111-1111-111111111111")
    client.create_registered_model(name)
    ask(client.create_registered_model, name)
    ask(client.get_model_version, name, "7")
    ask(client.rename_experiment, run.info.experiment_id, "other")
"""

    told = said(azure, code, version)

    codes = {call: code for call, (_, code) in told.items()}
    assert codes == {
        "log_metric": "RESOURCE_DOES_NOT_EXIST",
        "get_run": "RESOURCE_DOES_NOT_EXIST",
        "get_experiment": "RESOURCE_DOES_NOT_EXIST",
        "create_registered_model": "RESOURCE_ALREADY_EXISTS",
        "get_model_version": "RESOURCE_DOES_NOT_EXIST",
        "rename_experiment": "INVALID_PARAMETER_VALUE",
    }
    for message, _ in told.values():
        assert "\n" not in message
        assert "Response:" not in message
        assert "{" not in message
    assert told["get_run"][0] == (
        "RESOURCE_DOES_NOT_EXIST: Azure ML (workspace 'forecasting') does not get run (run_id "
        "'lost_sock_0k0'): Run with id lost_sock_0k0 was not found"
    )


def test_a_login_without_a_role_is_told_which_one_to_give(azure: EmulatedAzure) -> None:
    stranger = {
        "AZURE_CLIENT_ID": azure.stranger.client_id,
        "AZURE_CLIENT_SECRET": azure.stranger.client_secret,
    }

    message, code = said(azure, "    ask(client.create_run, '0')\n", **stranger)["create_run"]

    assert code == "PERMISSION_DENIED"
    assert "does not have authorization to perform action" in message
    assert message.endswith("; give whoever logs in the role AzureML Data Scientist on the workspace")


@pytest.mark.parametrize("version", ["2.9.2", "3.17.2"])
@pytest.mark.parametrize(
    ("status", "code"), [(429, "REQUEST_LIMIT_EXCEEDED"), (503, "TEMPORARILY_UNAVAILABLE")]
)
def test_a_service_that_is_busy_for_good_is_told(
    azure: EmulatedAzure, version: str, status: int, code: str
) -> None:
    azure.faults.add(API, "runs/get", status=status)

    told = said(azure, "    ask(client.get_run, 'lost_sock_0k0')\n", version, **ONE_TRY)["get_run"]

    assert told[1] == code
    assert "\n" not in told[0]
    assert "does not get run (run_id 'lost_sock_0k0'): " in told[0]
    assert str(status) in told[0] or "A test asked for this answer" in told[0]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            {"page": "<html><body>Sign in here</body></html>"},
            "something else answers in its place: Sign in here",
        ),
        ({"torn": True}, "the answer ended early, after 18 of 64 bytes; try it again later"),
        ({"cut": True}, f"{API} cannot be reached: "),
    ],
    ids=["page", "torn", "cut"],
)
def test_what_is_no_answer_of_azure_mls_is_told_in_plain_words(
    azure: EmulatedAzure, fault: dict[str, Any], words: str
) -> None:
    azure.faults.add(API, "runs/get", **fault)

    message, _ = said(azure, "    ask(client.get_run, 'x')\n", **ONE_TRY)["get_run"]

    assert message.startswith(f"Azure ML (workspace 'forecasting') does not get run (run_id 'x'): {words}")
    assert "Max retries" not in message


@pytest.mark.parametrize(("name", "such_as"), [("churn (v2)", "churn-v2"), ("解約", "churn")])
def test_a_name_that_azure_ml_does_not_allow_is_told_before_azure_is_asked(
    azure: EmulatedAzure, name: str, such_as: str
) -> None:
    # MLflow's own telemetry would go to a host that is none of Azure's, at a moment of its own choice.
    code = f"    ask(client.create_registered_model, {name!r})\n"
    told = said(azure, code, MLFLOW_DISABLE_TELEMETRY="true")

    assert told["create_registered_model"] == [
        f"registered model name {name!r} is none that Azure Machine Learning allows: use the letters a to "
        f"z, digits, '.', '_' and '-', such as {such_as!r}",
        "INVALID_PARAMETER_VALUE",
    ]
    assert len(azure.journal) == 0


def test_what_the_storage_side_refuses_has_a_code_too(azure: EmulatedAzure) -> None:
    code = """
    run = client.create_run("0")
    ask(client.download_artifacts, run.info.run_id, "missing.txt")
"""

    assert said(azure, code)["download_artifacts"][1] == "RESOURCE_DOES_NOT_EXIST"


# Answers of other shapes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "code", "what"),
    [
        ({"error_code": "INTERNAL_ERROR", "message": "as MLflow's own"}, "INTERNAL_ERROR", "as MLflow's own"),
        (
            {"error": {"code": "UserError", "message": "Run x", "innerError": {"code": "NotFoundError"}}},
            "RESOURCE_DOES_NOT_EXIST",
            "Run x",
        ),
        (
            {"error": {"code": "UserError", "message": "a\n b"}, "statusCode": 409},
            "RESOURCE_ALREADY_EXISTS",
            "a b",
        ),
        ({"Error": {"Message": "outer", "Details": [{"Message": "inner"}]}}, "INTERNAL_ERROR", "outer inner"),
        (
            {"error_code": "OF_TOMORROW", "Error": {"Message": "new"}, "statusCode": 400},
            "INVALID_PARAMETER_VALUE",
            "new",
        ),
        ({"odd": 1}, "INTERNAL_ERROR", '{"odd": 1}'),
    ],
)
def test_a_document_of_any_shape_is_read(document: dict[str, object], code: str, what: str) -> None:
    raised = RestException({"error_code": "INTERNAL_ERROR"})
    raised.json = document

    with pytest.raises(RestException) as told, refusals.in_one_line("GetRun", None, "churn"):
        raise raised

    assert told.value.message.startswith(f"{code}: Azure ML (workspace 'churn') does not get run: {what}")
    assert told.value.error_code == code


def test_a_page_in_html_is_one_line() -> None:
    page = "<html>\n<head><title>502 Bad Gateway</title></head>\n</html>"
    words = f"API request to endpoint /x failed with error code 502 != 200. Response body: '{page}'"

    with pytest.raises(MlflowException) as told, refusals.in_one_line("LogBatch", "{}", "churn"):
        raise MlflowException(words, error_code=ErrorCode.Value("INTERNAL_ERROR"))

    assert told.value.message == "Azure ML (workspace 'churn') does not log batch: 502 Bad Gateway"


@pytest.mark.parametrize(
    "message",
    [
        "cannot log in to Azure: the secret is wrong",
        "API request to endpoint /x failed with error code 404 != 200. Response body: ''",
    ],
)
def test_what_has_words_of_its_own_keeps_them(message: str) -> None:
    with pytest.raises(MlflowException) as told, refusals.in_one_line("GetRun", None, "churn"):
        raise MlflowException(message)

    assert told.value.message == message
