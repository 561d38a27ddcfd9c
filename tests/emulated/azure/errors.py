"""Errors in the words of the services of the data plane.

Source: facts: seen, src/promptflow-evals/tests/recordings/azure in https://github.com/microsoft/promptflow
"""

from __future__ import annotations

import secrets
from datetime import datetime, timezone

from starlette.responses import JSONResponse

from tests.emulated.azure.tokens import Denial

_REGION = "westeurope"


def azureml_error(
    status: int, message: str, code: str = "UserError", component: str = "run-history"
) -> JSONResponse:
    """An error of run history, and of the services that look like it."""
    error: dict[str, object] = {
        "code": code,
        "severity": None,
        "message": message,
        "messageFormat": None,
        "messageParameters": {},
        "referenceCode": None,
        "detailsUri": None,
        "target": None,
        "details": [],
        "innerError": {"code": "NotFoundError", "innerError": None} if status == 404 else None,
        "debugInfo": None,
        "additionalInfo": None,
    }
    document = {
        "error": error,
        "correlation": _correlation(),
        "environment": _REGION,
        "location": _REGION,
        "time": _now(),
        "componentName": component,
        "statusCode": status,
    }
    return JSONResponse(document, status_code=status)


def azureml_denied(denial: Denial) -> JSONResponse:
    return azureml_error(denial.status, denial.message, denial.code, "mlflow")


def mlflow_error(status: int, code: str, message: str) -> JSONResponse:
    """An error of the MLflow component: without a `message` at the top, where MLflow's client looks."""
    error: dict[str, object] = {
        "Code": "ValidationError" if code == "INVALID_PARAMETER_VALUE" else "UserError",
        "Severity": None,
        "Message": message,
        "MessageFormat": None,
        "MessageParameters": {},
        "ReferenceCode": None,
        "DetailsUri": None,
        "Target": None,
        "Details": [],
        "InnerError": None,
        "DebugInfo": None,
        "AdditionalInfo": None,
    }
    document = {
        "Error": error,
        "Correlation": _correlation(),
        "Environment": _REGION,
        "Location": _REGION,
        "Time": _now(),
        "ComponentName": "mlflow",
        "statusCode": status,
        "error_code": code,
    }
    return JSONResponse(document, status_code=status)


def _correlation() -> dict[str, str]:
    return {"operation": secrets.token_hex(16), "request": secrets.token_hex(8)}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()
