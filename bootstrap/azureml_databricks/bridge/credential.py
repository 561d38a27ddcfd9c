"""One strict credential: it logs in in the one way that `auth` names, or says within seconds what is wrong.

The plugin's own is a chain of nine that ends in a browser and a device code, on a machine without either,
and that asks them all again at each call.
"""

from __future__ import annotations

import os
import threading
import time
from functools import cache
from typing import Any

from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import UNAUTHENTICATED

from azureml_databricks.bridge import logins
from azureml_databricks.bridge.shared_tokens import Answer, SharedTokens
from azureml_databricks.node import variables
from azureml_databricks.settings import BY_NAME, SettingError, Settings, is_misplaced, is_secret

# One cell makes many requests, and autologging swallows errors: a failure answers for them all.
_FAILURE_LASTS_SECONDS = 30
# As azure-identity has it; of Unity Catalog's it is not known, and each request to Azure ML asks for a token.
_RENEWED_BEFORE_SECONDS = 300
# Where one of these changes, it is another login.
_OF_A_LOGIN = ("auth", "tenantId", "clientId", "clientSecret", "federatedTokenFile", "serviceCredential")


class AzureLoginError(MlflowException):
    """The login to Azure failed; the message says why and what to do, and holds no secret."""

    def __init__(self, message: str) -> None:
        """Make the error."""
        super().__init__(f"cannot log in to Azure: {message}", error_code=UNAUTHENTICATED)


class AzureCredential:
    """A token credential of azure-core for the login of the settings."""

    def __init__(self, host: str) -> None:
        """Name the login host, such as `login.microsoftonline.com`."""
        self._host = host
        self._lock = threading.Lock()
        self._login: tuple[str, ...] = ()
        self._forget()

    def _forget(self) -> None:
        self._inner: TokenCredential | None = None
        self._answers: dict[tuple[str, ...], Answer] = {}

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """Return a token, from memory while one is valid: this process's, else this user's on the node.

        Raises:
            AzureLoginError: within 15 seconds of the login's begin, with the cause.
        """
        # One login for all threads; and where it hangs, one wait.
        with self._lock:
            settings = self._read()
            answer = self._answers.get(scopes)
            if answer is None or not answer.is_good_for(_RENEWED_BEFORE_SECONDS):
                answer = self._answer(settings, scopes, kwargs)
                self._answers[scopes] = answer
        return _token_of(answer)

    def log_in(self, *scopes: str) -> AccessToken:
        """Return a token that was asked for now, whatever is in the node's memory.

        Raises:
            AzureLoginError: within 15 seconds, with the cause.
        """
        with self._lock:
            answer = self._ask(self._read(), scopes, {})
        return _token_of(answer)

    def _answer(self, settings: Settings, scopes: tuple[str, ...], kwargs: dict[str, Any]) -> Answer:
        def ask() -> Answer:
            return self._ask(settings, scopes, kwargs)

        if settings["auth"] == "service-credential":
            # Who may have its tokens is Unity Catalog's to say, and people may share an account on the node.
            return ask()
        # A failure may be of the way to the network, which is each process's own.
        proxies = tuple(os.environ.get(name, "") for name in ("HTTPS_PROXY", "https_proxy"))
        return SharedTokens((*self._login, self._host, *scopes, *proxies)).get(_RENEWED_BEFORE_SECONDS, ask)

    def _ask(self, settings: Settings, scopes: tuple[str, ...], kwargs: dict[str, Any]) -> Answer:
        way = logins.WAYS[settings["auth"]]
        try:
            self._inner = self._inner or way.make(settings, self._host)
            token = self._inner.get_token(*scopes, **kwargs)
        except Exception as error:  # noqa: BLE001  # what Databricks raises has no type of ours
            failure = self._cause(error, way, settings)
            return Answer(failure=failure, expires_on=time.time() + _FAILURE_LASTS_SECONDS)
        return Answer(token=token.token, expires_on=token.expires_on)

    def _read(self) -> Settings:
        """Return the settings, and forget the login before where somebody has changed them."""
        settings = variables.settings_now()
        try:
            settings.check_texts()
        except SettingError as wrong:
            raise AzureLoginError(str(wrong)) from None
        if missing := ", ".join(settings.missing_for_login):
            raise AzureLoginError(f"{missing} not set; {logins.WAYS[settings['auth']].who_sets}")
        login = tuple(settings[name] for name in _OF_A_LOGIN)
        if login != self._login:
            self._login = login
            self._forget()
        return settings

    def _cause(self, error: Exception, way: logins.Way, settings: Settings) -> str:
        texts = {name: settings[name] for name in _OF_A_LOGIN if not BY_NAME[name].secret}
        texts["host"] = self._host
        texts["proxy"] = way_out()
        return _without_secrets(way.explain(error, _is_of_the_network(error), texts), settings)


def _without_secrets(cause: str, settings: Settings) -> str:
    """Return a cause without what may be a secret: Entra ID says the ID that it does not know."""
    hint = ""
    for name in ("clientId", "tenantId", "clientSecret"):
        text = settings[name]
        if text and is_secret(name, text):
            cause = cause.replace(repr(text), "***").replace(text, "***")
        if text and is_misplaced(name, text):
            hint = f"; {BY_NAME[name].variable} is no ID: are the keys in the secret scope swapped?"
    return cause + hint


def _token_of(answer: Answer) -> AccessToken:
    if answer.failure:
        raise AzureLoginError(answer.failure)
    return answer.access_token


def way_out() -> str:
    """Return in words how this process gets to the network."""
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    return "through the proxy in HTTPS_PROXY" if proxy else "with no proxy (HTTPS_PROXY is not set)"


def _is_of_the_network(error: BaseException | None) -> bool:
    # azure-identity wraps what the transport raised, and MSAL comes in between.
    while error is not None:
        if isinstance(error, ServiceRequestError | ServiceResponseError):
            return True
        error = error.__cause__ or error.__context__
    return False


@cache
def credential(host: str) -> AzureCredential:
    """Return this process's credential for a login host: one, so that its token is shared."""
    return AzureCredential(host)
