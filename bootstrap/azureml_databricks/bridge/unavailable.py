"""What Azure ML's MLflow lacks, said in one clear message instead of a raw 404."""

from __future__ import annotations

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import FEATURE_DISABLED


def error(feature: str) -> MlflowException:
    """Return the error of a call that needs `feature`, such as `traces`."""
    return MlflowException(f"Azure Machine Learning has no {feature}", error_code=FEATURE_DISABLED)


def is_missing(error: MlflowException) -> bool:
    """Whether the service has no such endpoint: it answers 404 with nothing else, or with this code."""
    return error.error_code == "ENDPOINT_NOT_FOUND" or "failed with error code 404" in str(error)
