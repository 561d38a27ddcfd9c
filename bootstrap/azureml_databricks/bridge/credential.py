"""One strict credential: it logs in as the service principal, or says within seconds what is wrong.

The plugin's own is a chain of nine that ends in a browser and a device code, on a machine without either,
and that asks them all again at each call.
"""

from __future__ import annotations

import os
import threading
import time
from functools import cache
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError
from azure.identity import ClientSecretCredential
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import UNAUTHENTICATED

from azureml_databricks.node import variables

# Two tries of at most this long each stay well under 15 seconds.
_TIMEOUT_SECONDS = 5
# One cell makes many requests, and autologging swallows errors: a failure answers for them all.
_FAILURE_LASTS_SECONDS = 30

# What Entra ID answers -> whose fault it is and what to do.
# https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_CAUSES = {
    "AADSTS7000215": "the secret in AZURE_CLIENT_SECRET is wrong (a secret's value, not its ID, is needed); "
    "put the right one into the secret scope",
    "AADSTS7000222": "the secret in AZURE_CLIENT_SECRET has expired; put a new one into the secret scope",
    "AADSTS700016": "AZURE_CLIENT_ID is {clientId!r}, which tenant {tenantId!r} does not know; "
    "take the application (client) ID from the app registration's page",
    "AADSTS90002": "AZURE_TENANT_ID is {tenantId!r}, which is no tenant of this cloud; "
    "take the directory (tenant) ID from the app registration's page",
    # MSAL's word for AADSTS90002, which it gets before it asks for a token.
    "Unable to get authority configuration": "AZURE_TENANT_ID is {tenantId!r}, which is no tenant of this "
    "cloud; take the directory (tenant) ID from the app registration's page",
    "AADSTS900023": "AZURE_TENANT_ID is {tenantId!r}, which is no tenant's ID or domain; "
    "take the directory (tenant) ID from the app registration's page",
    "AADSTS7000112": "the service principal {clientId!r} is disabled; have it enabled in Entra ID",
}


class AzureLoginError(MlflowException):
    """The login to Azure failed; the message says why and what to do, and holds no secret."""

    def __init__(self, message: str) -> None:
        """Make the error."""
        super().__init__(f"cannot log in to Azure: {message}", error_code=UNAUTHENTICATED)


class ServicePrincipalCredential:
    """A token credential of azure-core for the service principal of the settings."""

    def __init__(self, authority: str) -> None:
        """Name the login host, such as `login.microsoftonline.com`."""
        self._authority = authority
        self._lock = threading.Lock()
        self._principal: tuple[str, ...] = ()
        self._failure: tuple[float, str] = (0.0, "")

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """Return a token, from memory while one is valid.

        Raises:
            AzureLoginError: within 15 seconds, with the cause.
        """
        # One login for all threads; and where it hangs, one wait.
        with self._lock:
            self._read_principal()
            failed_at, why = self._failure
            if not why or time.monotonic() - failed_at > _FAILURE_LASTS_SECONDS:
                try:
                    return self._inner.get_token(*scopes, **kwargs)
                except AzureError as error:
                    why = self._cause(error)
                    self._failure = (time.monotonic(), why)
        raise AzureLoginError(why)

    def _read_principal(self) -> None:
        """Take the service principal from the settings, anew where somebody has changed them."""
        settings = variables.settings_now()
        if missing := ", ".join(settings.missing_for_login):
            raise AzureLoginError(
                f"{missing} not set; the cluster policy sets the service principal's variables, "
                "as spark_env_vars with {{secrets/scope/key}}"
            )
        principal = tuple(settings[name] for name in settings.SERVICE_PRINCIPAL)
        if principal == self._principal:
            return
        try:
            self._inner = ClientSecretCredential(
                *principal,
                authority=self._authority,
                connection_timeout=_TIMEOUT_SECONDS,
                read_timeout=_TIMEOUT_SECONDS,
                retry_total=1,
            )
        except ValueError as error:  # a tenant of letters that no tenant has
            raise AzureLoginError(f"AZURE_TENANT_ID is {settings['tenantId']!r}: {error}") from None
        self._principal, self._failure = principal, (0.0, "")

    def _cause(self, error: AzureError) -> str:
        if _is_of_the_network(error):
            proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
            way = "through the proxy in HTTPS_PROXY" if proxy else "with no proxy (HTTPS_PROXY is not set)"
            return (
                f"{self._authority} cannot be reached {way}; open it for the cluster's network "
                f"({_first_line(error)})"
            )
        tenant_id, client_id, _ = self._principal
        for code, cause in _CAUSES.items():
            if code in str(error):
                return f"{cause.format(tenantId=tenant_id, clientId=client_id)} ({code})"
        return f"Entra ID says: {_first_line(error)}"


def _is_of_the_network(error: BaseException | None) -> bool:
    # azure-identity wraps what the transport raised, and MSAL comes in between.
    while error is not None:
        if isinstance(error, ServiceRequestError | ServiceResponseError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _first_line(error: AzureError) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]


@cache
def credential(authority: str) -> ServicePrincipalCredential:
    """Return this process's credential for a login host: one, so that its token is shared."""
    return ServicePrincipalCredential(authority)
