"""The lines that MLflow prints at a run's end lead to Azure ML's studio.

MLflow makes them of the address of the tracking server, or of the Databricks workspace, where no page is.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any
from urllib.parse import quote

from azureml.mlflow._store.tracking.store import AzureMLRestStore
from mlflow.tracking._tracking_service.client import TrackingServiceClient

from azureml_databricks import tracking_uri
from azureml_databricks.node import variables

_logger = logging.getLogger("mlflow.azureml_databricks")

_SUPPRESS = "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"  # in MLflow's own table of variables since 3.0
# https://learn.microsoft.com/azure/machine-learning/how-to-access-azureml-behind-firewall
_STUDIO = {
    "AzureCloud": "ml.azure.com",
    "AzureUSGovernment": "ml.azure.us",
    "AzureChinaCloud": "studio.ml.azure.cn",
}


def lead_to_studio(store: type[AzureMLRestStore]) -> None:
    """Make MLflow's client print the studio's pages for runs in stores of that class.

    MLflow has no way to be told what to print. Versions that print nothing go on so.
    """
    printed = getattr(TrackingServiceClient, "_log_url", None)
    if printed is None or hasattr(printed, "leads_to_studio"):
        return

    def log_url(client: TrackingServiceClient, run_id: str) -> Any:
        if not isinstance(client.store, store):
            return printed(client, run_id)
        if os.environ.get(_SUPPRESS, "").lower() not in ("true", "1"):
            try:
                print_links(client.store, run_id)
            except Exception as error:  # noqa: BLE001  # the run is to be ended afterwards
                _logger.debug("the lines that lead to run %s are not printed: %r", run_id, error)
        return None

    log_url.leads_to_studio = True  # type: ignore[attr-defined]
    TrackingServiceClient._log_url = log_url  # type: ignore[method-assign]


def print_links(store: AzureMLRestStore, run_id: str) -> None:
    """Print where the studio shows a run and its experiment."""
    run = store.get_run(run_id)
    sys.stdout.write(f"🏃 View run {run.info.run_name} at: {page(store, f'runs/{quote(run_id)}')}\n")
    experiment = page(store, f"experiments/id/{quote(run.info.experiment_id)}")
    sys.stdout.write(f"🧪 View experiment at: {experiment}\n")


def page(store: AzureMLRestStore, path: str) -> str:
    """Return the address of a page of the studio."""
    workspace = tracking_uri.parse(store.service_context.host_url + store.service_context._get_scope())
    settings = variables.settings_now()
    studio = _STUDIO[settings["cloud"] or tracking_uri.cloud_of(workspace) or "AzureCloud"]
    tenant = f"&tid={settings['tenantId']}" if settings["tenantId"] else ""
    return f"https://{studio}/{path}?wsid={workspace.resource_id}{tenant}"
