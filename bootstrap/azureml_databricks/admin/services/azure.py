"""Requests to Azure of somebody who waits at a terminal: each has an end, and what came is told in one line.

azure-core sleeps for as long as it is told to, which may be an hour, and waits five minutes for an answer.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from azure.core import PipelineClient
from azure.core.configuration import Configuration
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, CustomHookPolicy, RetryPolicy
from azure.core.rest import HttpRequest, HttpResponse

_CONNECTION_SECONDS = 10
_ANSWER_SECONDS = 30
_TRIES_MORE = 1
# What Azure may have an admin wait for in silence, before it is asked once more.
_WAIT_SECONDS = 5
# A node's own, of which azure-identity asks whether it is there.
_METADATA = "169.254.169.254"
# What Entra ID's answers have, one of them: a token, a refusal, where to ask.
_OF_ENTRA = ("access_token", "error", "token_endpoint", "tenant_discovery_endpoint")


class ToldToWaitError(Exception):
    """Azure has this wait longer than somebody at a terminal does.

    It is no error of azure-core's, which would ask once more.
    """


class OtherAnswerError(AzureError):
    """What answers is none of Azure's; azure-core asks once more, as after any error of its own."""


class Patience:
    """What is asked of Azure for one purpose: how long that may take, and what came in place of an answer."""

    def __init__(self, login_host: str) -> None:
        """Name the host that is asked for tokens."""
        self._login_host = login_host
        self._wrong: dict[str, str] = {}

    @property
    def told(self) -> str:
        """What is wrong with what was answered last, and what to do, in one line.

        It is empty where Azure has answered, which may be a refusal, and where nothing has.
        """
        return next(iter(self._wrong.values()), "")

    @property
    def limits(self) -> dict[str, Any]:
        """Arguments for a credential of azure-identity."""
        return {
            "connection_timeout": _CONNECTION_SECONDS,
            "read_timeout": _ANSWER_SECONDS,
            "retry_total": _TRIES_MORE,
            "raw_request_hook": self._begin,
            "raw_response_hook": self._heed,
        }

    def answer(self, request: HttpRequest, login: TokenCredential, scope: str) -> dict[str, Any]:
        """Return the JSON that a service of Azure's answers.

        Raises:
            AzureError: it refuses, or cannot be reached; or something else answers, which `told` says.
            ToldToWaitError: `told` says so.
        """
        config: Configuration[HttpRequest, HttpResponse] = Configuration()
        config.retry_policy = RetryPolicy(retry_total=_TRIES_MORE)
        config.custom_hook_policy = CustomHookPolicy(
            raw_request_hook=self._begin, raw_response_hook=self._heed
        )
        config.authentication_policy = BearerTokenCredentialPolicy(login, scope)
        client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
            request.url, config=config, connection_timeout=_CONNECTION_SECONDS, read_timeout=_ANSWER_SECONDS
        )
        with client:
            # What is asked here changes nothing.
            response = client.send_request(request, retry_on_methods=frozenset([request.method]))
            response.raise_for_status()
            return dict(response.json())

    def _begin(self, request: PipelineRequest[Any]) -> None:
        self._wrong.pop(request.http_request.url, None)

    def _heed(self, response: PipelineResponse[Any, Any]) -> None:
        """Note what is wrong with an answer.

        Raises:
            ToldToWaitError: it says so.
            OtherAnswerError: it makes no sense.
        """
        address: str = response.http_request.url
        host = urlsplit(address).hostname or ""
        if host == _METADATA:
            return
        status: int = response.http_response.status_code
        wait: str = response.http_response.headers.get("Retry-After", "")
        if status == 429 or status >= 500:
            what = "is asked too often" if status == 429 else "is out of order"
            told = f"{host} {what} ({status}{wait and f', Retry-After: {wait}'}): run this again later"
            self._wrong[address] = told
            if wait and not (wait.isdecimal() and int(wait) <= _WAIT_SECONDS):
                raise ToldToWaitError(told)
        elif not self._is_of_azure(host, status, response.http_response.text()):
            told = (
                f"something else answers in place of {host} ({status}): is there a proxy or a login page in "
            )
            self._wrong[address] = f"{told}between?"
            raise OtherAnswerError(f"{told}between?")

    def _is_of_azure(self, host: str, status: int, text: str) -> bool:
        try:
            answer = json.loads(text)
        except ValueError:
            # A refusal need not have any.
            return status >= 400 and host != self._login_host and not text.lstrip().startswith("<")
        if host == self._login_host:
            return isinstance(answer, dict) and any(isinstance(answer.get(key), str) for key in _OF_ENTRA)
        return isinstance(answer, dict)
