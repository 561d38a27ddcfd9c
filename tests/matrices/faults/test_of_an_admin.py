"""What goes wrong between an admin's command and Azure.

`plan` looks the workspace up, `secrets` tries a login: each fault at each endpoint. An admin waits at a
terminal: the command ends soon, and one line says what is wrong with what, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable

import certifi
import pytest
from azure.identity import ClientSecretCredential

from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file.deployment import Workspace
from azureml_databricks.admin.services import azure as services_azure
from azureml_databricks.admin.services import workspace
from azureml_databricks.admin.services.azure import Patience
from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import service_principal
from tests.matrices.faults.kinds import KINDS, Endpoint, Fault, Kind
from tests.matrices.faults.table import Became, each

LOGIN, MANAGEMENT, API = "login.microsoftonline.com", "management.azure.com", "*.api.azureml.ms"
# One that Azure does not answer is asked twice.
MOST_TRIES = 2
Ask = Callable[[], object]
Asks = Callable[[EmulatedAzure], Ask]


def looked_up(azure: EmulatedAzure) -> Ask:
    """The workspace, by an admin who is logged in."""
    it = azure.principal
    login = ClientSecretCredential(it.tenant_id, it.client_id, it.client_secret)
    login.get_token(f"https://{MANAGEMENT}/.default")
    there = Workspace(id=azure.workspace.resource_id)
    return lambda: workspace._looked_up(there, lambda: login, Patience(LOGIN))


def looked_up_first(azure: EmulatedAzure) -> Ask:
    """The same, by one who logs in for it."""
    return lambda: workspace.tracking_uri(Workspace(id=azure.workspace.resource_id))


def secret_tried(azure: EmulatedAzure) -> Ask:
    """The service principal's login, as `secrets set` and `secrets rotate` try it."""
    it = azure.principal
    return lambda: workspace.prove_login(it.tenant_id, it.client_id, it.client_secret, "AzureCloud")


def role_tried(azure: EmulatedAzure) -> Ask:
    """What it may do, as `secrets rotate` tries it."""
    it = azure.principal
    there = Workspace(id=azure.workspace.resource_id)
    return lambda: workspace.prove_role(there, it.tenant_id, it.client_id, it.client_secret)


ENDPOINTS = [
    Endpoint("look-up", MANAGEMENT, "", looked_up),
    Endpoint("look-up's login", LOGIN, "/token", looked_up_first),
    Endpoint("secret's login", LOGIN, "/token", secret_tried),
    Endpoint("secret's role", API, "/experiments/search", role_tried),
]
MORE = [
    Kind("429, an hour to wait", {"status": 429, "headers": {"Retry-After": "3600"}}),
    Kind("JSON of something else", {"page": '{"status": "fine"}'}),
    Kind("JSON that is no object", {"page": "[]"}),
]
# What the line has, by how a kind's name begins.
SAYS = {
    "429": "is asked too often (429",
    "500": "is out of order (500): run this again later",
    "503": "is out of order (503): run this again later",
    "ten of 503": "is out of order (503): run this again later",
    "not JSON": "something else answers in place of",
    "JSON that is no object": "something else answers in place of",
    "refused": "does the network (HTTPS_PROXY) let it through?",
    "no such host": "does the network (HTTPS_PROXY) let it through?",
    "unknown CA": "certificate verify failed",
}
TABLE = [Fault(endpoint, kind) for endpoint in ENDPOINTS for kind in (*KINDS, *MORE)]


@each(TABLE, sample=11)
def test_an_admin_with(
    azure: EmulatedAzure, monkeypatch: pytest.MonkeyPatch, fault: Fault[Asks], became: Became
) -> None:
    endpoint, kind = fault.endpoint, fault.kind
    for name, value in {**azure.environment, **service_principal(azure)}.items():
        monkeypatch.setenv(name, value)
    ask = endpoint.asks(azure)

    # Given what goes wrong at the endpoint
    if kind.name == "hang":
        monkeypatch.setattr(services_azure, "_ANSWER_SECONDS", 1)
    for name, value in kind.variables.items():
        monkeypatch.setenv(name, value or certifi.where())
    if kind.fault:
        azure.faults.add(endpoint.host, endpoint.path, **kind.fault)  # type: ignore[arg-type]
    azure.journal.clear()

    # When a command asks it
    told = ""
    try:
        ask()
    except AdminError as error:
        told = str(error)

    # Then it ends after few tries, with a line for what is not so
    print(told)
    assert "\n" not in told
    assert azure.principal.client_secret not in told
    assert len(azure.journal.of(endpoint.host, endpoint.path)) <= MOST_TRIES
    if kind.name.endswith((" once", " once, Retry-After", " lost")):
        assert told == ""
    else:
        assert told
        assert next((words for name, words in SAYS.items() if kind.name.startswith(name)), "") in told
    became("refused in one line" if told else "kept working")
