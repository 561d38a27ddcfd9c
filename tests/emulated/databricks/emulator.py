"""Starting and stopping all of it.

Source: https://docs.databricks.com/api/azure/workspace/introduction
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.catalog import PermissionsChange, Privilege, VolumeType
from starlette.applications import Starlette
from starlette.routing import Route

from tests.emulated.azure import EmulatedAzure
from tests.emulated.azure.faults import Faults
from tests.emulated.azure.journal import Journal
from tests.emulated.azure.server import Server
from tests.emulated.databricks import journal
from tests.emulated.databricks.allowlists import Allowlists
from tests.emulated.databricks.callers import (
    ALL_RIGHTS,
    Authenticated,
    Caller,
    Callers,
    Right,
    without,
)
from tests.emulated.databricks.cluster import launched, read_file
from tests.emulated.databricks.clusters import Clusters
from tests.emulated.databricks.compliance import Compliance
from tests.emulated.databricks.errors import ApiError, on_api_error
from tests.emulated.databricks.jobs import Jobs
from tests.emulated.databricks.minilake import Minilake
from tests.emulated.databricks.people import People
from tests.emulated.databricks.pipelines import Pipelines
from tests.emulated.databricks.policies import Policies
from tests.emulated.databricks.registered_models import RegisteredModels
from tests.emulated.databricks.runs import Runs
from tests.emulated.databricks.service_credentials import ServiceCredentials
from tests.emulated.databricks.vault import Vault
from tests.emulated.databricks.volumes import Volumes
from tests.emulated.databricks.workspace_files import WorkspaceFiles
from tests.emulated.node import Node

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_METHODS = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"]


class EmulatedDatabricks:
    """One workspace with Unity Catalog, from ``__enter__`` to ``__exit__``.

    Attributes:
        admin: who may do everything.
        journal: the requests so far; `recorded` gives them as a text.
        faults: what a test wants to go wrong.
        vault: the secret scopes.
        allowlists: Unity Catalog's.
        clusters: all clusters.

    Args:
        folder: an existing folder for data and logs.
        azure: what the clusters of one-time runs reach instead of the internet.
        transcript: stands before it, and sees each request.

    Raises:
        RuntimeError: minilake did not start; the message has the log.
    """

    def __init__(
        self,
        folder: Path,
        *,
        azure: EmulatedAzure | None = None,
        transcript: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    ) -> None:
        self.azure = azure
        self.journal = Journal()
        self.faults = Faults()
        self._folder = folder
        self._transcript = transcript
        self._exit = ExitStack()

    def __enter__(self) -> EmulatedDatabricks:
        with ExitStack() as stack:
            self._minilake = Minilake(self._folder)
            stack.enter_context(self._minilake.process)
            self._app = self.empty_workspace(self._minilake)
            self._minilake.process.wait_until_listening()
            recorder = journal.Recorder(self._entrance, self.journal, self.faults)
            self._server = stack.enter_context(Server(self._transcript(recorder)))
            stack.callback(lambda: self.runs.stop())
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *ended: object) -> None:
        self._exit.close()

    def reset(self) -> None:
        """Be as after the start: an empty workspace, an empty journal, no faults, the admin alone."""
        self.runs.stop()
        self._minilake.reset()
        self._app = self.empty_workspace(self._minilake)
        self.faults.clear()
        self.journal.clear()

    @property
    def host(self) -> str:
        """The workspace's address."""
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which an admin's process uses this workspace."""
        return self.variables(self.admin)

    def variables(self, who: Caller) -> dict[str, str]:
        """The variables with which somebody's process uses this workspace."""
        return {"DATABRICKS_HOST": self.host, "DATABRICKS_TOKEN": who.token}

    def client(self, who: Caller | None = None) -> WorkspaceClient:
        """Return a client of databricks-sdk's, an admin's unless told otherwise."""
        return WorkspaceClient(host=self.host, token=(who or self.admin).token, auth_type="pat")

    def cluster_client(self, owner: Caller) -> WorkspaceClient:
        """Return the client of a cluster of ``owner``'s, whose calls are in no journal."""
        return WorkspaceClient(
            host=self.host,
            token=owner.token,
            auth_type="pat",
            product=journal.CLUSTER,
            product_version="1",
        )

    def user(self, user_name: str, *, groups: Iterable[str] = ()) -> Caller:
        """Add somebody who is no admin and may do what is granted to them or their groups."""
        self.workspace_files.add_home(user_name)
        return self.callers.add(Caller(user_name, frozenset(), ("users", *groups)))

    def another_admin(self, user_name: str, *, lacks: Iterable[Right] = ()) -> Caller:
        """Add an admin who lacks some rights."""
        self.workspace_files.add_home(user_name)
        return self.callers.add(Caller(user_name, without(lacks), ("users", "admins")))

    def make_volume(self, name: str, *, usable_by: Iterable[str] = ("account users",)) -> None:
        """Make a volume, with its catalog and schema, as somebody did before; the journal has no call of it.

        Args:
            name: `catalog.schema.volume`; the catalog's and the schema's are new, too.
            usable_by: who may use the catalog and the schema; nobody but the admin may read the volume.
        """
        catalog, schema, volume = name.split(".")
        client = self.cluster_client(self.admin)
        client.catalogs.create(catalog)
        client.schemas.create(schema, catalog)
        client.volumes.create(catalog, schema, volume, VolumeType.MANAGED)
        for principal in usable_by:
            use = PermissionsChange(add=[Privilege.USE_CATALOG, Privilege.USE_SCHEMA], principal=principal)
            client.grants.update("catalog", catalog, changes=[use])

    def recorded(self, names: Mapping[str, str] | None = None) -> str:
        """Return the journal as a text for a golden file; ``names`` as of `journal.render`."""
        return journal.render(self.journal, names)

    def empty_workspace(self, minilake: Minilake) -> Authenticated:
        """Be a workspace in which nobody has done anything, and return what answers for it."""
        self.callers = Callers()
        self.admin = self.callers.add(Caller("admin@contoso.com", ALL_RIGHTS, ("users", "admins")))
        self.allowlists = Allowlists()
        self.vault = Vault(minilake, self.callers)
        self.volumes = Volumes(minilake, self.callers)
        self.policies = Policies(self.callers)
        self.clusters = Clusters(self.policies, self.allowlists)
        self.jobs = Jobs(self.clusters)
        self.pipelines = Pipelines(self.policies)
        self.runs = Runs(self.clusters, self._launch, self._read_file)
        self.workspace_files = WorkspaceFiles(self.callers)
        self.workspace_files.add_home(self.admin.user_name)
        services = (
            self.allowlists,
            self.vault,
            self.volumes,
            self.policies,
            self.clusters,
            self.jobs,
            self.pipelines,
            self.runs,
            Compliance(self.policies, self.clusters, self.jobs),
            self.workspace_files,
            ServiceCredentials(),
            RegisteredModels(minilake),
            People(self.callers),
        )
        api = Starlette(
            routes=[
                *(route for service in services for route in service.routes),
                Route("/{path:path}", minilake.forward, methods=_METHODS),
            ],
            exception_handlers={ApiError: on_api_error},
        )
        return Authenticated(api, self.callers)

    def _launch(self, cluster_id: str, owner: Caller) -> AbstractContextManager[Node]:
        return launched(self, cluster_id, who=owner, azure=self.azure)

    def _read_file(self, path: str, owner: Caller) -> bytes:
        return read_file(self.cluster_client(owner), path)

    async def _entrance(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
