"""The workspace: whether it can be reached and lets this login read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from azureml_databricks.checkup.findings import Finding, Part
from azureml_databricks.node import variables
from azureml_databricks.tracking_uri import Workspace

if TYPE_CHECKING:
    from requests import Response

PART = Part("workspace")
# To connect, and to be answered.
_LIMITS_SECONDS = (10, 30)
_LONGEST = 300
_ROLE = "AzureML Data Scientist"


def findings() -> Iterator[Finding]:
    """Yield whether the workspace answers the cheapest question there is: one experiment."""
    import requests

    from azureml_databricks.bridge.workspace import service_context

    workspace = variables.settings_now().workspace()
    context = service_context(workspace.tracking_uri)
    token = context.auth.get_token(context.cloud._get_default_scope()).token
    address = workspace.tracking_uri.replace("azureml://", "https://") + "/api/2.0/mlflow/experiments/search"
    started = time.perf_counter()
    try:
        response = requests.post(
            address,
            json={"max_results": 1},
            headers={"Authorization": f"Bearer {token}"},
            timeout=_LIMITS_SECONDS,
        )
    except requests.exceptions.SSLError as error:
        yield PART.wrong(
            workspace.name,
            f"{workspace.host}: its certificate is not trusted ({error})",
            "let the network's proxy leave this host alone, or set REQUESTS_CA_BUNDLE to its authority",
        )
    except requests.exceptions.RequestException as error:
        yield PART.wrong(
            workspace.name, unreachable(workspace.host, error), "open that host for the cluster's network"
        )
    else:
        yield _answer(workspace, response, time.perf_counter() - started)


def unreachable(host: str, error: Exception) -> str:
    """Return the words for a host that the cluster's network does not lead to."""
    from azureml_databricks.bridge.credential import way_out

    return f"{host} cannot be reached {way_out()} ({type(error).__name__})"


def _answer(workspace: Workspace, response: Response, seconds: float) -> Finding:
    status = response.status_code
    if status == 200:
        return PART.ok(workspace.name, f"{workspace.host} answers, in {seconds:.1f} s")
    advice = _ADVICE.get(status, _OTHERWISE).format(id=workspace.resource_id)
    return PART.wrong(workspace.name, f"{workspace.host} answers {status}: {_said(response)}", advice)


def _said(response: Response) -> str:
    """Return the message in an error of Azure's services, or of MLflow's API."""
    try:
        error = response.json()
        return str(error.get("error", error)["message"])
    except (ValueError, LookupError, AttributeError, TypeError):
        return response.text[:_LONGEST]


_OTHERWISE = "try again; if it stays so, look at the workspace's health in the Azure portal"
_ADVICE = {
    401: "the workspace may belong to another tenant than the login: set tenantId to its own",
    403: f"give the login the role on the workspace: az role assignment create --role {_ROLE!r} --assignee "
    "CLIENT_ID --scope {id}",
    404: "take the MLflow tracking URI from the workspace's overview page, and put it into the settings",
}
