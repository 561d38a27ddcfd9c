"""What MLflow tells its makers of its use from a cluster: nothing, as docs/security.md says."""

from __future__ import annotations

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed_alone

VERSION = "3.17.2"
ASKS = {"config.mlflow-telemetry.io"}

# Also where its makers' settings are there, which the emulated network does not let through.
CODE = """
    import json, mlflow
    from mlflow.telemetry import client as telemetry
    from mlflow.telemetry.schemas import TelemetryConfig
    with mlflow.start_run():
        mlflow.log_param("rate", "0.1")
    client = telemetry.TelemetryClient()
    client.config = TelemetryConfig("https://ingestion.mlflow-telemetry.io", set())
    client._process_records([])
    print(json.dumps([telemetry.is_telemetry_disabled()]))
    """


@pytest.mark.parametrize(("disabled", "asks"), [("false", ASKS), ("true", set())])
def test_mlflow_sends_nothing_of_its_use_from_a_cluster(
    azure: EmulatedAzure, disabled: str, asks: set[str]
) -> None:
    (told,) = printed_alone(
        VERSION, azure, CODE, DATABRICKS_RUNTIME_VERSION="17.3", MLFLOW_DISABLE_TELEMETRY=disabled
    )

    assert told is (disabled == "true")
    assert {request.host for request in azure.journal.refused} <= asks
