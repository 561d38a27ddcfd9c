"""The ways to log in to Azure, by `auth`: which credential asks for tokens, and what its errors mean."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineResponse
from azure.identity import ClientSecretCredential, ManagedIdentityCredential, WorkloadIdentityCredential
from mlflow.utils.databricks_utils import _get_dbutils

from azureml_databricks.bridge import refusals
from azureml_databricks.settings import Settings

# Where nobody says how long; and what is believed, since no token is asked for until then.
_WAIT_SECONDS = 30
_LONGEST_WAIT_SECONDS = 3600
# Of a page that came instead of a token.
_SHOWN_LETTERS = 200


class ToldToWaitError(Exception):
    """Who was asked for a token wants to be asked later: each further request makes it longer."""

    def __init__(self, status: int, seconds: float) -> None:
        """Say how long."""
        super().__init__(f"{status}, Retry-After: {seconds:.0f}")
        self.seconds = seconds


class OtherAnswerError(AzureError):
    """What answered gives no tokens: something between, or a service that is out of order.

    MSAL shows such an answer as Python has it, or with a traceback. azure-core asks once more, as after any
    error of its own.
    """


def _heed(response: PipelineResponse[Any, Any]) -> None:
    """Refuse to ask once more where that is not wanted: azure-core would sleep, for as long as it is told.

    Raises:
        ToldToWaitError: the answer says so.
        OtherAnswerError: it is neither a token nor a refusal of one.
    """
    status: int = response.http_response.status_code
    told = response.http_response.headers.get("Retry-After", "")
    if status == 429 or (status >= 500 and told):
        raise ToldToWaitError(status, _seconds(told))
    text = response.http_response.text()
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        # What is no page may be half a token.
        page = refusals.plain(text)[:_SHOWN_LETTERS] if text.lstrip().startswith("<") else ""
        raise OtherAnswerError(f"{status}, and no JSON{page and f': {page}'}")
    # https://www.rfc-editor.org/rfc/rfc6749#section-5.2
    if status >= 400 and not isinstance(answer.get("error"), str):
        raise OtherAnswerError(f"{status}, {refusals.said(answer)}")


def _seconds(told: str) -> float:
    """Return how long a `Retry-After` says, in seconds or with a date.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    try:
        until = None if told.strip().isdecimal() else parsedate_to_datetime(told).timestamp()
        seconds = float(told) if until is None else until - time.time()
    except (TypeError, ValueError):
        return _WAIT_SECONDS
    return min(max(seconds, 1), _LONGEST_WAIT_SECONDS)


# Two tries; how long all of it may take is `timeout`, which each login has of its own.
_LIMITS: dict[str, Any] = {
    "connection_timeout": 5,
    "read_timeout": 5,
    "retry_total": 1,
    "raw_response_hook": _heed,
}


@dataclass(frozen=True)
class Way:
    """A way to log in.

    The texts may name a setting (`{clientId!r}`), the login `{host}`, the `{proxy}`, and what was `{said}`.

    Attributes:
        make: returns the credential that asks, for a login host, within so many seconds.
        causes: what an error says -> whose fault it is and what to do.
        silence: what it is where the network gives no answer.
        otherwise: what it is where no cause is known.
        asked: who is asked for a token.
        who_sets: where the settings that it needs come from.
    """

    make: Callable[[Settings, str, float], TokenCredential]
    causes: Mapping[str, str]
    silence: str
    otherwise: str
    asked: str = "{host}"
    who_sets: str = "set it in the settings file, or in the cluster policy as spark_env_vars"

    def explain_wait(self, told: ToldToWaitError, texts: Mapping[str, str]) -> str:
        """Return that a login has to wait, and until when, in one line."""
        when = datetime.fromtimestamp(time.time() + told.seconds, timezone.utc)
        asked = self.asked.format(**texts)
        return f"{asked} has this node wait ({told}); nobody on it asks again before {when:%H:%M:%S} UTC"

    def explain(self, error: Exception, is_silence: bool, texts: Mapping[str, str]) -> str:
        """Return why a login failed and what to do, in one line.

        Args:
            error: what the credential raised.
            is_silence: whether that was for want of an answer.
            texts: by the names that the texts here use.
        """
        said = str(error).strip() or repr(error)
        first = refusals.plain(said.splitlines()[0].partition(" Trace ID: ")[0])
        if isinstance(error, OtherAnswerError):
            asked = self.asked.format(**texts)
            cause = "it is out of order, or something answers in its place"
            return f"{asked} answers with no token ({first}); {cause}"
        if is_silence:
            return self.silence.format(**texts, said=first)
        for sign, cause in self.causes.items():
            if found := re.search(rf"{re.escape(sign)}\d*", said):
                return f"{cause.format(**texts, said=first)} ({found[0]})"
        return self.otherwise.format(**texts, said=first)


def _service_principal(settings: Settings, host: str, seconds: float) -> TokenCredential:
    return ClientSecretCredential(
        settings["tenantId"],
        settings["clientId"],
        settings["clientSecret"],
        authority=host,
        **_LIMITS,
        timeout=seconds,
    )


def _managed_identity(settings: Settings, host: str, seconds: float) -> TokenCredential:
    # No proxy leads to the node's own endpoint:
    # https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service#proxies
    client_id = settings["clientId"] or None
    return ManagedIdentityCredential(client_id=client_id, use_env_settings=False, **_LIMITS, timeout=seconds)


def _workload_identity(settings: Settings, host: str, seconds: float) -> TokenCredential:
    return WorkloadIdentityCredential(
        tenant_id=settings["tenantId"],
        client_id=settings["clientId"],
        token_file_path=settings["federatedTokenFile"],
        authority=host,
        **_LIMITS,
        timeout=seconds,
    )


def _service_credential(settings: Settings, host: str, seconds: float) -> TokenCredential:
    # https://learn.microsoft.com/azure/databricks/connect/unity-catalog/cloud-services/use-service-credentials
    spark = sys.modules.get("pyspark")
    in_udf = spark and spark.TaskContext.get()  # where there is no dbutils
    databricks = import_module("databricks.service_credentials") if in_udf else _get_dbutils().credentials
    credential: TokenCredential = databricks.getServiceCredentialsProvider(settings["serviceCredential"])
    return credential


# What Entra ID answers: https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_CLIENT = "take the application (client) ID from the app registration's page"
_TENANT = "take the directory (tenant) ID from the app registration's page"
_ENTRA = {
    "AADSTS7000215": "the secret in AZURE_CLIENT_SECRET is wrong (a secret's value, not its ID, is needed); "
    "put the right one into the secret scope",
    "AADSTS7000222": "the secret in AZURE_CLIENT_SECRET has expired; put a new one into the secret scope",
    "AADSTS700016": "AZURE_CLIENT_ID is {clientId!r}, which tenant {tenantId!r} does not know; " + _CLIENT,
    "AADSTS90002": "AZURE_TENANT_ID is {tenantId!r}, which is no tenant of this cloud; " + _TENANT,
    # MSAL's word for AADSTS90002, which it gets before it asks for a token.
    "Unable to get authority configuration": "AZURE_TENANT_ID is {tenantId!r}, which is no tenant of this "
    "cloud; " + _TENANT,
    "AADSTS900023": "AZURE_TENANT_ID is {tenantId!r}, which is no tenant's ID or domain; " + _TENANT,
    # azure-identity's, of letters that no tenant has.
    "Invalid tenant": "AZURE_TENANT_ID is {tenantId!r}: that is no tenant's ID or domain; " + _TENANT,
    "AADSTS7000112": "the service principal {clientId!r} is disabled; have it enabled in Entra ID",
    # Also AADSTS700211 to 700213, which tell which of the three it is.
    "AADSTS70021": "no federated credential of {clientId!r} fits the token in AZURE_FEDERATED_TOKEN_FILE; "
    "give the app registration or managed identity one with the token's issuer, subject and audience: {said}",
    "AADSTS70025": "{clientId!r} has no federated credential; give the app registration or managed identity "
    "one with the issuer, subject and audience of the token in AZURE_FEDERATED_TOKEN_FILE",
    "AADSTS700024": "the token in AZURE_FEDERATED_TOKEN_FILE ({federatedTokenFile!r}) has expired; have "
    "what writes that file renew it",
    "No such file or directory": "AZURE_FEDERATED_TOKEN_FILE is {federatedTokenFile!r}, which is not there; "
    "set it to the file with the federated token",
    "Permission denied": "AZURE_FEDERATED_TOKEN_FILE is {federatedTokenFile!r}, which this process may not "
    "read; let the user that runs notebooks read it",
}
_ENTRA_IS_SILENT = "{host} cannot be reached {proxy}; open it for the cluster's network ({said})"
_ENTRA_SAYS = "Entra ID says: {said}"
WAYS = {
    "service-principal": Way(
        _service_principal,
        _ENTRA,
        _ENTRA_IS_SILENT,
        _ENTRA_SAYS,
        who_sets="the cluster policy sets the service principal's variables, as spark_env_vars with "
        "{{secrets/scope/key}}",
    ),
    "workload-identity": Way(_workload_identity, _ENTRA, _ENTRA_IS_SILENT, _ENTRA_SAYS),
    "managed-identity": Way(
        _managed_identity,
        # https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling
        causes={
            "Identity not found": "AZURE_CLIENT_ID is {clientId!r}, no managed identity of this node; take "
            "the client ID of one that is, such as dbmanagedidentity in the managed resource group",
            "Multiple user assigned identities": "this node has several managed identities; set "
            "AZURE_CLIENT_ID to the client ID of the one that has a role on the workspace",
        },
        # https://learn.microsoft.com/azure/databricks/compute/standard-limitations
        silence="the node's identity endpoint does not answer ({said}): standard access mode keeps code from "
        "it, where dedicated access mode helps, or auth = service-credential; in any other mode the way to "
        "169.254.169.254 is closed (routes and firewall of the cluster's network, "
        "AZURE_POD_IDENTITY_AUTHORITY_HOST)",
        otherwise="the node's identity endpoint says: {said}",
        asked="the node's identity endpoint",
    ),
    "service-credential": Way(
        _service_credential,
        causes={
            "_NoDbutilsError": "this process has no dbutils, which gives service credentials; use MLflow in "
            "a notebook, a job or a UDF, or another auth",
            "no attribute 'credentials'": "this runtime has no service credentials; use 16.2 or later (15.4 "
            "has a preview), or another auth",
            "PERMISSION_DENIED": "Unity Catalog refuses the service credential {serviceCredential!r}; run "
            "GRANT ACCESS ON SERVICE CREDENTIAL `{serviceCredential}` TO whoever runs this",
            "DOES_NOT_EXIST": "Unity Catalog has no service credential {serviceCredential!r}; set "
            "DATABRICKS_DEFAULT_SERVICE_CREDENTIAL_NAME to the name of one",
        },
        silence="Unity Catalog does not answer for the service credential {serviceCredential!r} ({said})",
        otherwise="Unity Catalog says of the service credential {serviceCredential!r}: {said}",
    ),
}
