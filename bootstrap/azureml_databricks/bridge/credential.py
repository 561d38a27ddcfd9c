"""One strict credential: it logs in in the one way that `auth` names, or says within seconds what is wrong.

The plugin's own is a chain of nine that ends in a browser and a device code, on a machine without either,
and that asks them all again at each call.
"""

from __future__ import annotations

import os
import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import UNAUTHENTICATED

from azureml_databricks.bridge.patience import in_time
from azureml_databricks.bridge.shared_tokens import Answer, SharedTokens, Token
from azureml_databricks.node import variables
from azureml_databricks.settings import BY_NAME, SettingError, Settings, is_misplaced, is_secret

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from azureml_databricks.bridge.logins import Way

# One cell makes many requests, and autologging swallows errors: a failure answers for them all.
_FAILURE_LASTS_SECONDS = 30
# Leaves a process that has waited for another's login some of the fifteen that are promised.
_LOGIN_SECONDS = 10.0
# Where one of these changes, it is another login.
_OF_A_LOGIN = ("auth", "tenantId", "clientId", "clientSecret", "federatedTokenFile", "serviceCredential")
_Error = TypeVar("_Error", bound=Exception)


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
        self._tokens: dict[tuple[str, ...], SharedTokens] = {}
        self._renewed_at: float | None = None
        self._renewing: dict[int, threading.Lock] = {}

    def get_token(self, *scopes: str, claims: str | None = None, **kwargs: Any) -> Token:
        """Return a token, from memory while one is valid: this process's, else this user's on the node.

        Args:
            scopes: what it is for.
            claims: what the service that has refused the last token wants of the next, which no memory has.
            kwargs: whatever else a credential may be asked.

        Raises:
            AzureLoginError: within 15 seconds, with the cause, where no token is valid any more.
        """
        return self._get(scopes, {**kwargs, "claims": claims} if claims else kwargs, anew=bool(claims))

    def log_in(self, *scopes: str) -> Token:
        """Return a token that was asked for now, whatever is in the node's memory.

        Raises:
            AzureLoginError: within 15 seconds, with the cause.
        """
        return self._get(scopes, {}, anew=True)

    def renew(self, *scopes: str, since: float) -> bool:
        """Ask for a token, since a service takes the one in memory for expired; of many threads, one does.

        Args:
            scopes: what it is for.
            since: when the request began, by the clock of `time.monotonic`.

        Returns:
            Whether there is another token now: not if the one that was refused had just come itself, since
            then yet another changes nothing.

        Raises:
            AzureLoginError: within 15 seconds, with the cause.
        """
        # A fork has none of the threads that hold its parent's.
        with self._renewing.setdefault(os.getpid(), threading.Lock()):
            if self._renewed_at is not None and time.monotonic() - self._renewed_at < _FAILURE_LASTS_SECONDS:
                return self._renewed_at >= since
            try:
                self.log_in(*scopes)
            finally:
                self._renewed_at = time.monotonic()
        return True

    def _get(self, scopes: tuple[str, ...], kwargs: dict[str, Any], *, anew: bool) -> Token:
        settings = _settings()

        def ask(known: Answer, seconds: float) -> Answer:
            return self._ask(known, min(seconds, _LOGIN_SECONDS), settings, scopes, kwargs)

        answer = self._place(settings, scopes, kwargs).get(ask, anew=anew)
        if answer.failure and (anew or not answer.lives):
            raise AzureLoginError(answer.failure)
        return answer.access_token

    def _place(self, settings: Settings, scopes: tuple[str, ...], kwargs: dict[str, Any]) -> SharedTokens:
        login = tuple(settings[name] for name in _OF_A_LOGIN)
        # A failure may be of the way to the network, which is each process's own.
        proxies = (os.environ.get(name, "") for name in ("HTTPS_PROXY", "https_proxy"))
        # A token of other claims is in place of the one that was refused.
        others = (f"{name}={kwargs[name]}" for name in sorted(kwargs) if name != "claims" and kwargs[name])
        key = (*login, self._host, *scopes, *proxies, *others)
        # Who may have a service credential's is Unity Catalog's to say, and people may share an account.
        alone = settings["auth"] == "service-credential"
        if key not in self._tokens:
            self._tokens.setdefault(key, SharedTokens(key, alone=alone))
        return self._tokens[key]

    def _ask(
        self,
        known: Answer,
        seconds: float,
        settings: Settings,
        scopes: tuple[str, ...],
        kwargs: dict[str, Any],
    ) -> Answer:
        """Log in; return what is known then."""
        # Not at the top: a token that is shared needs no library to log in.
        from azureml_databricks.bridge import logins

        way = logins.WAYS[settings["auth"]]
        try:
            # A new one: what an old one has in memory was counted by a clock that may have been put back.
            inner = way.make(settings, self._host, seconds)
            token = in_time(seconds, lambda: _token_of(inner, scopes, kwargs))
        except Exception as error:  # noqa: BLE001  # what Databricks raises has no type of ours
            told = _first(error, logins.ToldToWaitError)
            lasts = told.seconds if told else _FAILURE_LASTS_SECONDS
            failure = self._cause(told or _first(error, logins.OtherAnswerError) or error, way, settings)
            return known.with_failure(failure, lasts, told_to_wait=bool(told))
        return Answer.of(token)

    def _cause(self, error: Exception, way: Way, settings: Settings) -> str:
        texts = {name: settings[name] for name in _OF_A_LOGIN if not BY_NAME[name].secret}
        texts["host"] = self._host
        texts["proxy"] = way_out()
        from azureml_databricks.bridge.logins import ToldToWaitError

        if isinstance(error, ToldToWaitError):
            return way.explain_wait(error, texts)
        silence = _silence(error)
        return _without_secrets(way.explain(silence or error, silence is not None, texts), settings)


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


def _settings() -> Settings:
    settings = variables.settings_now()
    try:
        settings.check_texts()
    except SettingError as wrong:
        raise AzureLoginError(str(wrong)) from None
    if missing := ", ".join(settings.missing_for_login):
        from azureml_databricks.bridge import logins

        raise AzureLoginError(f"{missing} not set; {logins.WAYS[settings['auth']].who_sets}")
    return settings


def _token_of(inner: TokenCredential, scopes: tuple[str, ...], kwargs: dict[str, Any]) -> Token:
    try:
        token = inner.get_token(*scopes, **kwargs)
        return Token(token.token, token.expires_on)
    finally:
        if close := getattr(inner, "close", None):
            close()


def way_out() -> str:
    """Return in words how this process gets to the network."""
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    return "through the proxy in HTTPS_PROXY" if proxy else "with no proxy (HTTPS_PROXY is not set)"


def _silence(error: Exception) -> Exception | None:
    """Return the error that says that there was no answer at all."""
    from azure.core.exceptions import ServiceRequestError, ServiceResponseError

    kinds: tuple[type[Exception], ...] = (ServiceRequestError, ServiceResponseError, TimeoutError)
    return _first(error, kinds)


def _first(error: BaseException, kind: type[_Error] | tuple[type[_Error], ...]) -> _Error | None:
    """Return the first error of a kind among the causes: azure-identity wraps what it gets, and MSAL too."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, kind):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


@cache
def credential(host: str) -> AzureCredential:
    """Return this process's credential for a login host: one, so that its token is shared."""
    return AzureCredential(host)
