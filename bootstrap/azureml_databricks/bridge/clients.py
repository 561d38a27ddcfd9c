"""The plugin's REST clients with our login, limits and connections; what is refused them, in one line.

Those that the plugin makes itself wait for five minutes, four times, and log in for themselves.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, DeserializationError, HttpResponseError
from azure.core.pipeline.policies import RetryPolicy
from azureml.mlflow._client._common._http_policy import HandleTimeoutPolicy
from azureml.mlflow._client.constants import ClientEnvVars
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ErrorCode

from azureml_databricks.bridge import refusals
from azureml_databricks.bridge.connections import transport
from azureml_databricks.bridge.expired_tokens import RenewsExpiredToken

if TYPE_CHECKING:
    from azureml.mlflow._internal.utils import RegistryServiceContext

    from azureml_databricks.bridge.workspace import WorkspaceContext

# How long a service is waited for: for a connection, and for an answer.
_SECONDS = 60.0
# Of an answer that makes no sense.
_SOMETHING_ELSE = "something else answers in its place; is there a proxy or a login page in between?"


def seconds_for(most: float = _SECONDS) -> float:
    """Return how long a service is waited for, by the plugin's own variable; else `most`."""
    return float(os.environ.get(ClientEnvVars.AZUREML_HTTP_REQUEST_TIMEOUT, most))


def client(make: Any, context: WorkspaceContext | RegistryServiceContext, **more: Any) -> Any:
    """Return a REST client of the plugin, made as it does itself, over the connections of this process.

    Args:
        make: the client's class.
        context: whose login it has; and whose host, unless `more` names another.
        more: whatever else the class takes.
    """
    seconds = seconds_for()
    return make(
        credential=context.auth,
        authentication_policy=RenewsExpiredToken(context.auth, context.cloud._get_default_scope()),
        per_retry_policies=[HandleTimeoutPolicy()],
        retry_policy=_Retries(),
        transport=transport(seconds, seconds),
        **{"base_url": context.host_url, **more},
    )


class _Retries(RetryPolicy):  # type: ignore[type-arg]  # older ones take none
    """Tries again as Azure's SDK does, unless it is told to wait for longer than an answer may take."""

    def is_retry(self, settings: dict[str, Any], response: Any) -> bool:
        """Return whether to try again after an answer."""
        is_soon = (self.get_retry_after(response) or 0) <= seconds_for()
        return is_soon and bool(super().is_retry(settings, response))


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Say what Azure refused in one line, instead of the response as the REST client renders it."""
    try:
        yield
    except (AzureError, DeserializationError) as error:
        status = error.status_code if isinstance(error, HttpResponseError) else None
        if isinstance(error, HttpResponseError) and status and status >= 400:
            raise MlflowException(
                f"Azure ML refuses to {what}: {status}, {_said(error)}",
                error_code=ErrorCode.Value(refusals.code_of(status)),
            ) from None
        reason = _SOMETHING_ELSE if status or isinstance(error, DeserializationError) else _reason(error)
        raise MlflowException(f"cannot {what} in Azure ML: {reason}") from None


def _said(error: HttpResponseError) -> str:
    try:
        return refusals.said(json.loads(error.response.text()))  # type: ignore[union-attr]  # or it has none
    except (AttributeError, ValueError):  # the storage answers in XML
        return str(error.reason)


def _reason(error: Exception) -> str:
    # An address that cannot be reached is told with its signature, which opens it to whoever reads that.
    return refusals.plain(re.sub(r"\?\S+", "?...", str(error)))
