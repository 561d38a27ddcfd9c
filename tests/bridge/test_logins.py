"""Logging in to Azure without a secret: each way logs a run, and says what is wrong in one line.

In a cluster's runtime, with the bundle's azure-identity, and in the environment of a later MLflow, with a
later one: their errors differ.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulated import preloaded, unity_catalog
from tests.emulated.azure import EmulatedAzure
from tests.emulated.azure.imds import HOST as IMDS
from tests.emulated.cluster import cluster_node, forget_tokens, service_principal, start
from tests.emulated.node import Node
from tests.emulated.preloaded import Preloaded
from tests.matrices.on_azure import run as run_with_mlflow

Run = Callable[..., "subprocess.CompletedProcess[str]"]

LOGIN = "login.microsoftonline.com"
LOG = "import mlflow\nwith mlflow.start_run():\n    mlflow.log_metric('m', 1)"
# An endpoint that hangs, with less patience than the five seconds of each try.
SOON = "from azureml_databricks.bridge import logins; logins._LIMITS.update(read_timeout=1)\n"
UNKNOWN = "99999999-0000-0000-0000-000000000000"
NO_SECRET = dict.fromkeys(("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"), "")


@pytest.fixture(scope="module")
def node(bundle: Path, _azure: EmulatedAzure) -> Iterator[Node]:
    """A cluster's node whose policy gives it no secret."""
    with cluster_node(bundle, {"AZUREML_TRACKING_URI": _azure.workspace.tracking_uri}, azure=_azure) as node:
        start(node)
        yield node


@pytest.fixture(autouse=True)
def _no_token_yet(node: Node) -> None:
    forget_tokens(node.path("/dev/shm"))


@pytest.fixture(scope="module")
def _python(node: Node) -> Iterator[Preloaded]:
    with preloaded.on_node(node) as python:
        yield python


@pytest.fixture
def on_node(azure: EmulatedAzure, _python: Preloaded) -> Run:
    """Runs code on the node."""

    def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return _python.run(code, env=variables)

    return run


@pytest.fixture(params=["15.4", "3.17.2"])
def run(request: pytest.FixtureRequest, azure: EmulatedAzure, on_node: Run) -> Run:
    """Runs code on the node of a runtime, or in the environment of an MLflow version."""
    version: str = request.param

    def with_mlflow(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_with_mlflow(version, azure, code, **{**NO_SECRET, **variables})

    return on_node if version == "15.4" else with_mlflow


def login_error(done: subprocess.CompletedProcess[str]) -> str:
    """Return what is said of the login, which must be one line."""
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "log in" in line]
    assert len(lines) == 1, done.stderr
    return lines[0].partition("cannot log in to Azure: ")[2]


def logged(azure: EmulatedAzure) -> bool:
    return bool(azure.journal.of("*.api.azureml.ms", "runs/create"))


# A managed identity --------------------------------------------------------------------------------

MANAGED = {"AZUREML_AUTH": "managed-identity"}


@pytest.fixture
def identities(azure: EmulatedAzure) -> Iterator[EmulatedAzure]:
    """The emulated Azure, whose node has the managed identities that the test gives it."""
    before = list(azure.of_the_node)
    yield azure
    azure.of_the_node[:] = before


@pytest.mark.parametrize("named", [True, False])
def test_the_nodes_managed_identity_logs_a_run(run: Run, azure: EmulatedAzure, named: bool) -> None:
    client_id = {"AZURE_CLIENT_ID": azure.managed_identity.client_id} if named else {}

    done = run(LOG, **MANAGED, **client_id, **azure.identity_endpoint)

    assert done.returncode == 0, done.stderr
    assert logged(azure)
    # One token for all requests, and Entra ID is not asked.
    assert len(azure.journal.of(IMDS)) == 1
    assert azure.journal.of(LOGIN) == []


def test_a_managed_identity_that_the_node_has_not_is_told(run: Run, azure: EmulatedAzure) -> None:
    done = run(LOG, **MANAGED, AZURE_CLIENT_ID=UNKNOWN, **azure.identity_endpoint)

    assert login_error(done) == (
        f"AZURE_CLIENT_ID is '{UNKNOWN}', no managed identity of this node; take the client ID of one that "
        "is, such as dbmanagedidentity in the managed resource group (Identity not found)"
    )


def test_one_of_several_managed_identities_has_to_be_named(run: Run, identities: EmulatedAzure) -> None:
    identities.of_the_node.append(identities.stranger)

    done = run(LOG, **MANAGED, **identities.identity_endpoint)

    assert login_error(done) == (
        "this node has several managed identities; set AZURE_CLIENT_ID to the client ID of the one that has "
        "a role on the workspace (Multiple user assigned identities)"
    )


def test_a_managed_identity_without_a_role_is_told_by_azure(on_node: Run, identities: EmulatedAzure) -> None:
    identities.of_the_node[:] = [identities.stranger]

    done = on_node(LOG, **MANAGED, **identities.identity_endpoint)

    assert done.returncode == 1
    assert "does not have authorization to perform action" in done.stderr.splitlines()[-1]


def test_a_node_without_an_identity_endpoint_is_told_in_time(run: Run, azure: EmulatedAzure) -> None:
    done = run(LOG, **MANAGED, AZURE_POD_IDENTITY_AUTHORITY_HOST="http://127.0.0.1:9")

    said = login_error(done)
    assert said.startswith("the node's identity endpoint does not answer (")
    assert "Connection refused" in said
    # One of two is the cause, and nobody can tell which.
    assert said.endswith(
        "): standard access mode keeps code from it, where dedicated access mode helps, or auth = "
        "service-credential; in any other mode the way to 169.254.169.254 is closed (routes and firewall of "
        "the cluster's network, AZURE_POD_IDENTITY_AUTHORITY_HOST)"
    )


@pytest.mark.parametrize(
    "code", [SOON + LOG, pytest.param(LOG, marks=pytest.mark.thorough)], ids=["soon", "in time"]
)
def test_an_identity_endpoint_that_hangs_is_given_up(run: Run, azure: EmulatedAzure, code: str) -> None:
    azure.faults.add(IMDS, hang=True)

    said = login_error(run(code, **MANAGED, **azure.identity_endpoint))

    assert said.startswith("the node's identity endpoint does not answer")
    # Two tries, each with a limit: that is what bounds the wait.
    assert len(azure.journal.of(IMDS)) == 2


# Answers that are none -----------------------------------------------------------------------------

TELL = """
import mlflow
try:
    mlflow.search_experiments()
except mlflow.MlflowException as error:
    print(error.message)
"""
PAGE = "<html><body><h1>Sign in</h1> to the hotel's network</body></html>"
NO_TOKEN = "answers with no token ({}); it is out of order, or something answers in its place"


@pytest.mark.parametrize("auth", ["service-principal", "managed-identity"])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"page": PAGE}, NO_TOKEN.format("200, and no JSON: Sign in to the hotel's network")),
        ({"page": '{"access_token": "eyJ0'}, NO_TOKEN.format("200, and no JSON")),
        ({"status": 403}, NO_TOKEN.format("403, A test asked for this answer.")),
        ({"status": 503}, NO_TOKEN.format("503, A test asked for this answer.")),
        ({"torn": True}, "says: the answer ended early, after 18 of 64 bytes"),
    ],
    ids=["page", "token, cut", "403", "503", "torn"],
)
def test_an_answer_that_is_no_token_is_told_in_one_line_of_ours(
    run: Run, azure: EmulatedAzure, auth: str, fault: dict[str, Any], said: str
) -> None:
    is_managed = auth == "managed-identity"
    azure.faults.add(IMDS if is_managed else LOGIN, "/token", **fault)
    way = {**MANAGED, **azure.identity_endpoint} if is_managed else service_principal(azure)

    done = run(TELL, **way)

    asked = "the node's identity endpoint" if is_managed else "Entra ID" if "torn" in fault else LOGIN
    line = f"cannot log in to Azure: {asked} {said}\n"
    # An older azure-core takes half an answer for a whole one.
    is_half = "torn" in fault and "answers with no token (200, and no JSON)" in done.stdout
    assert is_half or done.stdout == line
    assert done.stdout.count("\n") == 1
    # The libraries' own loggers may say theirs.
    assert "Traceback" not in done.stderr


# A federated token ---------------------------------------------------------------------------------


@pytest.fixture
def federated(azure: EmulatedAzure, node: Node) -> Iterator[Callable[..., dict[str, str]]]:
    """Writes a token, and returns the variables by which it is found."""
    file = Path("/tmp/federated-token")

    def write(token: str) -> dict[str, str]:
        for path in (file, node.path(str(file))):
            path.write_text(token)
        return {
            "AZUREML_AUTH": "workload-identity",
            "AZURE_TENANT_ID": azure.federated.tenant_id,
            "AZURE_CLIENT_ID": azure.federated.client_id,
            "AZURE_FEDERATED_TOKEN_FILE": str(file),
        }

    yield write
    file.unlink(missing_ok=True)


Write = Callable[[str], dict[str, str]]


def token(azure: EmulatedAzure, **differing: Any) -> str:
    """Return a token of the trusted issuer; a claim may differ, or its `lifetime`."""
    assert azure.federated.federation
    return azure.federated.federation.token(**differing)


def test_a_federated_token_logs_a_run(run: Run, azure: EmulatedAzure, federated: Write) -> None:
    done = run(LOG, **federated(token(azure)))

    assert done.returncode == 0, done.stderr
    assert logged(azure)
    assert len(azure.journal.of(LOGIN, "/token")) == 1


@pytest.mark.parametrize(
    ("claim", "code", "name"),
    [
        ("iss", "AADSTS700211", "issuer"),
        ("sub", "AADSTS700213", "subject"),
        ("aud", "AADSTS700212", "audience"),
    ],
)
def test_a_token_that_no_federated_credential_fits_is_told(
    on_node: Run, azure: EmulatedAzure, federated: Write, claim: str, code: str, name: str
) -> None:
    done = on_node(LOG, **federated(token(azure, **{claim: "other"})))

    said = login_error(done)
    assert said.startswith(
        f"no federated credential of '{azure.federated.client_id}' fits the token in "
        "AZURE_FEDERATED_TOKEN_FILE; give the app registration or managed identity one with the token's "
        "issuer, subject and audience: "
    )
    assert (
        f"{code}: No matching federated identity record found for presented assertion {name} 'other'" in said
    )
    assert said.endswith(f"({code})")


def test_an_identity_without_a_federated_credential_is_told(
    on_node: Run, azure: EmulatedAzure, federated: Write
) -> None:
    variables = {**federated(token(azure)), "AZURE_CLIENT_ID": azure.stranger.client_id}

    assert login_error(on_node(LOG, **variables)) == (
        f"'{azure.stranger.client_id}' has no federated credential; give the app registration or managed "
        "identity one with the issuer, subject and audience of the token in AZURE_FEDERATED_TOKEN_FILE "
        "(AADSTS70025)"
    )


def test_a_token_that_has_expired_is_told(run: Run, azure: EmulatedAzure, federated: Write) -> None:
    assert login_error(run(LOG, **federated(token(azure, lifetime=-60)))) == (
        "the token in AZURE_FEDERATED_TOKEN_FILE ('/tmp/federated-token') has expired; have what writes that "
        "file renew it (AADSTS700024)"
    )


def test_a_token_file_that_is_not_there_is_told(run: Run, azure: EmulatedAzure, federated: Write) -> None:
    variables = {**federated(""), "AZURE_FEDERATED_TOKEN_FILE": "/nowhere"}

    assert login_error(run(LOG, **variables)) == (
        "AZURE_FEDERATED_TOKEN_FILE is '/nowhere', which is not there; set it to the file with the federated "
        "token (No such file or directory)"
    )


def test_what_a_way_needs_is_told_and_nobody_is_asked(on_node: Run, azure: EmulatedAzure) -> None:
    assert login_error(on_node(LOG, AZUREML_AUTH="workload-identity", AZURE_CLIENT_ID=UNKNOWN)) == (
        "AZURE_TENANT_ID, AZURE_FEDERATED_TOKEN_FILE not set; set it in the settings file, or in the cluster "
        "policy as spark_env_vars"
    )
    assert login_error(on_node(LOG, AZUREML_AUTH="service-credential")) == (
        "DATABRICKS_DEFAULT_SERVICE_CREDENTIAL_NAME not set; set it in the settings file, or in the cluster "
        "policy as spark_env_vars"
    )
    assert len(azure.journal) == 0


# A service credential of Unity Catalog -------------------------------------------------------------

OF_UNITY_CATALOG = {
    "AZUREML_AUTH": "service-credential",
    "DATABRICKS_DEFAULT_SERVICE_CREDENTIAL_NAME": unity_catalog.SERVICE_CREDENTIAL,
}
TRY = """
import mlflow
try:
    mlflow.search_experiments()
except mlflow.MlflowException as error:
    print(error.message)
"""


def said_in_notebook(node: Node, first_cell: str, **variables: str) -> str:
    """Return what a notebook prints whose login fails."""
    notebook = node.run_notebook([first_cell, TRY], env={**OF_UNITY_CATALOG, **variables})
    [output] = [it for it in notebook.cells[1].outputs if it.get("name") == "stdout"]
    return str(output.text).removeprefix("cannot log in to Azure: ").rstrip()


def test_a_service_credential_logs_a_notebooks_run(node: Node, azure: EmulatedAzure) -> None:
    node.run_notebook([unity_catalog.dbutils(azure), LOG], env=OF_UNITY_CATALOG)

    assert logged(azure)
    assert len(azure.journal.of(LOGIN, "/token")) == 1


def test_a_service_credential_that_may_not_be_used_is_told(node: Node, azure: EmulatedAzure) -> None:
    forbidden = {"DATABRICKS_DEFAULT_SERVICE_CREDENTIAL_NAME": "forbidden"}

    assert said_in_notebook(node, unity_catalog.dbutils(azure), **forbidden) == (
        "Unity Catalog refuses the service credential 'forbidden'; run GRANT ACCESS ON SERVICE CREDENTIAL "
        "`forbidden` TO whoever runs this (PERMISSION_DENIED)"
    )


def test_a_service_credential_that_is_not_there_is_told(node: Node, azure: EmulatedAzure) -> None:
    other = {"DATABRICKS_DEFAULT_SERVICE_CREDENTIAL_NAME": "other"}

    assert said_in_notebook(node, unity_catalog.dbutils(azure), **other) == (
        "Unity Catalog has no service credential 'other'; set DATABRICKS_DEFAULT_SERVICE_CREDENTIAL_NAME to "
        "the name of one (DOES_NOT_EXIST)"
    )


def test_a_runtime_without_service_credentials_is_told(node: Node) -> None:
    assert said_in_notebook(node, unity_catalog.dbutils_with()) == (
        "this runtime has no service credentials; use 16.2 or later (15.4 has a preview), or another auth "
        "(no attribute 'credentials')"
    )


def test_a_process_without_dbutils_is_told(on_node: Run) -> None:
    assert login_error(on_node(LOG, **OF_UNITY_CATALOG)) == (
        "this process has no dbutils, which gives service credentials; use MLflow in a notebook, a job or a "
        "UDF, or another auth (_NoDbutilsError)"
    )


# What else depends on the way ----------------------------------------------------------------------


def test_a_way_that_does_not_exist_is_told(on_node: Run, azure: EmulatedAzure) -> None:
    code = f"""
        import mlflow
        mlflow.set_tracking_uri({azure.workspace.tracking_uri!r})
        mlflow.search_experiments()
        """

    assert login_error(on_node(code, AZUREML_AUTH="browser")) == (
        "AZUREML_AUTH (a variable of this process) is 'browser': use one of service-principal, "
        "managed-identity, workload-identity, service-credential"
    )


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        (MANAGED, ""),
        (OF_UNITY_CATALOG, ""),
        ({"AZUREML_AUTH": "service-credential"}, "DATABRICKS_DEFAULT_SERVICE_CREDENTIAL_NAME"),
        ({}, "AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET"),
    ],
)
def test_the_nodes_status_misses_only_what_the_way_needs(
    node: Node, variables: dict[str, str], missing: str
) -> None:
    command = [node.inside("/usr/local/bin/azureml-databricks"), "node", "status"]

    done = node.run(command, env=variables)

    complaint = f"  wrong      variables: {missing} not set in this process"
    found = [line for line in done.stdout.splitlines() if line.startswith("  wrong")]
    assert found == [complaint] * bool(missing)
