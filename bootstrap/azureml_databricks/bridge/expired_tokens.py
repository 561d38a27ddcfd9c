"""What is asked with a token that Azure takes for expired is asked once more, with another."""

from __future__ import annotations

import json
import time
from typing import Any

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import BearerTokenCredentialPolicy

from azureml_databricks.bridge import refusals
from azureml_databricks.bridge.credential import AzureCredential


class RenewsExpiredToken(BearerTokenCredentialPolicy):  # type: ignore[type-arg]  # older ones take none
    """Logs requests in; azure-core's own asks for another token only where `claims` say which."""

    def __init__(self, credential: AzureCredential, scope: str) -> None:
        """Name whose tokens, and what for."""
        super().__init__(credential, scope)  # type: ignore[arg-type]  # its token is as good
        self._login, self._scope = credential, scope

    def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        """Send a request, and once more with another token if that was all that was wrong."""
        since = time.monotonic()
        response = super().send(request)
        if _is_of_an_expired_token(response) and self._login.renew(self._scope, since=since):
            return super().send(request)
        return response


def _is_of_an_expired_token(response: PipelineResponse[Any, Any]) -> bool:
    if response.http_response.status_code != 401:
        return False
    try:
        document = json.loads(response.http_response.text())
    except ValueError:
        return False
    return isinstance(document, dict) and refusals.is_of_an_expired_token(document)
