"""A workspace that tests name when none needs to answer."""

from __future__ import annotations

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
TRACKING_URI = (
    f"azureml://westeurope.api.azureml.ms/mlflow/v2.0/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
    "/providers/Microsoft.MachineLearningServices/workspaces/ws"
)
GIVEN = {"AZUREML_TRACKING_URI": TRACKING_URI}
