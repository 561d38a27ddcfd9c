"""Starting and stopping all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import trustme
from starlette.types import ASGIApp

from tests import REPOSITORY
from tests.emulated.azure import imds
from tests.emulated.azure.api import api_app
from tests.emulated.azure.azurite import Azurite
from tests.emulated.azure.blobs import blobs_app
from tests.emulated.azure.clouds import PUBLIC, Cloud
from tests.emulated.azure.faults import Faults
from tests.emulated.azure.federation import FederatedCredential
from tests.emulated.azure.gateway import Gateway
from tests.emulated.azure.identities import Principal, Workspace
from tests.emulated.azure.ids import Ids
from tests.emulated.azure.journal import Journal
from tests.emulated.azure.limits import MetricNames
from tests.emulated.azure.login import login_app
from tests.emulated.azure.management import management_app
from tests.emulated.azure.mlflow_server import copy_model, copy_run, start_mlflow_server
from tests.emulated.azure.online_endpoints import OnlineEndpoints
from tests.emulated.azure.registries import Registries
from tests.emulated.azure.server import Server, listen
from tests.emulated.azure.tokens import Tokens
from tests.emulated.azure.tracking import Generation
from tests.emulated.azure.tunnel import Tunnel

DEFAULT_CACHE = REPOSITORY / ".cache" / "azurite"


class EmulatedAzure:
    """One workspace in one cloud, from ``__enter__`` to ``__exit__``.

    Only the hosts of ``cloud`` are served: a request to another cloud's is refused, so that a test
    of a sovereign cloud sees what leaks to the public one.

    Args:
        directory: an existing folder for databases, blobs, logs and the CA's certificate.
        cloud: the cloud to be.
        cache: where Azurite is installed on first use (about 190 MB).
        transcript: stands before it, and sees each request.

    Raises:
        RuntimeError: MLflow or Azurite did not start; the message has the log.
    """

    def __init__(
        self,
        directory: Path,
        *,
        cloud: Cloud = PUBLIC,
        cache: Path = DEFAULT_CACHE,
        transcript: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    ) -> None:
        self.workspace = Workspace(cloud)
        self.principal = Principal(self.workspace.tenant_id, role="AzureML Data Scientist")
        self.stranger = Principal(self.workspace.tenant_id, role=None)
        self.federated = Principal(
            self.workspace.tenant_id, role="AzureML Data Scientist", federation=FederatedCredential()
        )
        self.managed_identity = Principal(self.workspace.tenant_id, role="AzureML Data Scientist")
        self.of_the_node = [self.managed_identity]
        self.tokens = Tokens()
        self.journal = Journal()
        self.faults = Faults()
        self.generation = Generation()
        self.metric_names = MetricNames()
        # Of an application that was made a moment ago: what the next requests for a token are refused with.
        self.not_known_yet: dict[str, list[int]] = {}
        self.registries = Registries(self.workspace)
        self.endpoints = OnlineEndpoints(self.workspace)
        self.ids = Ids(self.workspace)
        self._directory = directory.resolve()
        self._cache = cache
        self._transcript = transcript
        self._exit = ExitStack()

    @property
    def identity_endpoint(self) -> dict[str, str]:
        """The variable by which azure-identity finds the endpoint of the node's managed identities."""
        return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": f"http://127.0.0.1:{self._imds.port}"}

    @property
    def mlflow_url(self) -> str:
        """The MLflow server behind, without any of Azure: its web page shows the experiments."""
        return self._mlflow.url

    def copy_run(self, run_id: str, count: int) -> None:
        """Have `count` more runs that are as one is, whose metrics are 0, 1, 2, ...; the journal has none."""
        copy_run(self._directory, self.ids.run_behind(run_id), count)

    def copy_model(self, name: str, count: int) -> None:
        """Have `count` more models that are as one is, NAME-0, NAME-1, ...; the journal has none."""
        copy_model(self._directory, name, count)

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a client's process reaches this Azure and nothing else."""
        proxy = f"http://127.0.0.1:{self._proxy_port}"
        ca = str(self._directory / "ca.pem")
        local = "127.0.0.1,localhost,::1"
        return {
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), local),
            **dict.fromkeys(("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"), ca),
        }

    def __enter__(self) -> EmulatedAzure:
        with ExitStack() as stack:
            self._mlflow = stack.enter_context(start_mlflow_server(self._directory, self.workspace))
            azurite = Azurite(self._directory, self._cache, self.workspace)
            stack.enter_context(azurite.process)
            azurite.process.wait_until_listening()
            azurite.create_container()
            self._mlflow.wait_until_listening()
            gateway = self._transcript(self._gateway(azurite))
            servers = stack.enter_context(
                _Servers(gateway, self._certificate(), self.workspace.cloud, self.journal, self.faults)
            )
            self._imds = stack.enter_context(Server(imds.as_from(imds.HOST, gateway)))
            self._proxy_port = servers.proxy_port
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *ended: object) -> None:
        self._exit.close()

    def _gateway(self, azurite: Azurite) -> Gateway:
        workspace, tokens = self.workspace, self.tokens
        cloud = workspace.cloud
        principals = (self.principal, self.stranger, self.federated, self.managed_identity)
        login = login_app(cloud, tokens, principals, self.not_known_yet)
        services: dict[str, ASGIApp] = {
            **dict.fromkeys(cloud.login_hosts, login),
            cloud.management_host: management_app(workspace, tokens, principals, self.endpoints),
            f"*.{cloud.api_suffix}": api_app(
                workspace,
                tokens,
                principals,
                self._mlflow.url,
                azurite,
                self.generation,
                self.ids,
                self.metric_names,
                self.registries,
            ),
            f"*.{cloud.blob_suffix}": blobs_app(azurite.process.url),
            cloud.registry_hosts: self.registries.files_app(azurite, tokens, principals),
            cloud.scoring_hosts: self.endpoints.scoring_app(),
            imds.HOST: imds.imds_app(cloud, tokens, self.of_the_node),
        }
        return Gateway(services, self.journal, self.faults)

    def _certificate(self) -> Path:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self._directory / "ca.pem"))
        server = self._directory / "server.pem"
        certificate = authority.issue_cert(*self.workspace.cloud.host_patterns)
        certificate.private_key_and_cert_chain_pem.write_to_path(str(server))
        return server


class _Servers(Server):
    """The TLS server, and the proxy beside it in the same event loop."""

    def __init__(
        self, app: ASGIApp, certificate: Path, cloud: Cloud, journal: Journal, faults: Faults
    ) -> None:
        super().__init__(app, certificate)
        self._proxy_socket = listen()
        self.proxy_port = int(self._proxy_socket.getsockname()[1])
        self._tunnel = Tunnel(cloud.host_patterns, self.port, journal, faults)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        listener = await asyncio.start_server(self._tunnel.serve, sock=self._proxy_socket)
        await super()._serve()
        listener.close()

    def __exit__(self, *ended: object) -> None:
        self._loop.call_soon_threadsafe(self._tunnel.abort)
        super().__exit__(*ended)
