"""The connections to Azure's storage and artifact service, kept by a process for all that it sends there.

A client of Azure's SDK makes its own, with a TLS handshake, and there is a client for every address.
"""

from __future__ import annotations

from typing import Any, cast

from azure.core.pipeline.transport import RequestsTransport
from requests import Session
from requests.adapters import HTTPAdapter

from azureml_databricks.bridge.of_this_process import OfThisProcess

# More than ever wait at once for one host: those beyond it would be closed after use, with a warning.
_KEPT = 64
_HOSTS = 8


def transport(connection_timeout: float, read_timeout: float) -> RequestsTransport:
    """Return what sends a client's requests over the connections of this process; times are in seconds."""
    return _Transport(
        session=_session.get(),
        session_owner=False,
        connection_timeout=connection_timeout,
        read_timeout=read_timeout,
    )


class _Transport(RequestsTransport):  # type: ignore[misc]  # no types
    """Sends over the connections of the process that sends: MLflow keeps repositories, and forks."""

    def send(self, request: Any, **kwargs: Any) -> Any:
        """Send a request."""
        self.session = _session.get()
        return super().send(request, **kwargs)


def _made() -> Session:
    # One that is as Azure's SDK has it, by way of its own.
    with_session = RequestsTransport()
    with_session.open()
    session = cast(Session, with_session.session)
    for adapter in session.adapters.values():
        cast(HTTPAdapter, adapter).init_poolmanager(_HOSTS, _KEPT)
    return session


_session = OfThisProcess(_made)
