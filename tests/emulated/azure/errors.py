"""Errors in the words of the two services of the data plane.

Source: azureml.mlflow._restclient (models.ErrorResponse), mlflow.exceptions
"""

from __future__ import annotations

from starlette.responses import JSONResponse

from tests.emulated.azure.tokens import Denial


def azureml_error(status: int, message: str, code: str = "UserError") -> JSONResponse:
    """An error of Azure ML's own services (models.ErrorResponse in azureml.mlflow._restclient)."""
    error: dict[str, object] = {"code": code, "severity": None, "message": message, "details": []}
    return JSONResponse({"error": error, "componentName": "emulated"}, status_code=status)


def azureml_denied(denial: Denial) -> JSONResponse:
    return azureml_error(denial.status, denial.message, denial.code)


def mlflow_error(status: int, code: str, message: str) -> JSONResponse:
    """An error of MLflow's REST API."""
    return JSONResponse({"error_code": code, "message": message}, status_code=status)
