"""What an admin and a data scientist leave behind and have seen, and where secrets are in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from databricks.sdk import WorkspaceClient

from tests.admin.secret_search import Arguments, SecretSearch
from tests.emulated.azure import EmulatedAzure
from tests.emulated.databricks import EmulatedDatabricks
from tests.emulated.databricks.cluster import volume_files, workspace_files
from tests.emulated.node import Node
from tests.emulated.node.changes import walk
from tests.emulated.transcript import Sent, Transcript

SPARK_ENV = "/databricks/spark/conf/spark-env.sh"


@dataclass
class Journey:
    """An admin's work and a data scientist's.

    Attributes:
        azure: in a folder of its own.
        databricks: likewise.
        transcript: all that was sent to both.
        arguments: of the processes that ran.
        shown: what was printed, by the command, and what the workspace shows.
        written: files of volumes and of the workspace.
        of_admin: how many tokens of Azure the admin had, before there was a node.
    """

    azure: EmulatedAzure
    databricks: EmulatedDatabricks
    transcript: Transcript
    arguments: Arguments
    shown: dict[str, str] = field(default_factory=dict)
    written: dict[str, bytes] = field(default_factory=dict)
    of_admin: int = 0

    def keep_what_is_in_the_workspace(self, client: WorkspaceClient, volume: str) -> None:
        """Keep what the workspace has now: policies, clusters, files of the volume and of the workspace."""
        for policy in client.cluster_policies.list():
            self.shown[f"policy {policy.name}"] = json.dumps(policy.as_dict())
        for cluster in client.clusters.list():
            self.shown[f"cluster {cluster.cluster_id}"] = json.dumps(cluster.as_dict())
        self.written |= dict(volume_files(client, f"/Volumes/{volume.replace('.', '/')}"))
        self.written |= dict(workspace_files(client, "/"))

    def searched(self, nodes: Iterable[Node]) -> SecretSearch:
        """Return what looked for each secret in all that was kept, and on the nodes."""
        search = SecretSearch(self._secrets())
        for place, text in self.shown.items():
            search.look(place, text)
        for place, content in self.written.items():
            search.look(place, content)
        for argument in self.arguments.seen:
            search.look(f"the arguments of {argument.partition(bytes(1))[0].decode()}", argument)
        for request in self.transcript.requests:
            _look_at_request(request, search)
        search.look("the journal of Azure", repr(self.azure.journal))
        search.look("the journal of Databricks", self.databricks.recorded())
        for node in nodes:
            _look_at_node(node, search)
        return search

    def where_they_belong(self) -> Mapping[str, set[str]]:
        """Return which secrets belong where: the admin has put them there, or they log somebody in."""
        cloud, principal = self.azure.workspace.cloud, self.azure.principal
        of_azure = {name for name, _ in self._tokens()}
        of_people = {f"token of {who.user_name}" for who in self.databricks.callers.all()}
        return {
            f"authorization to {cloud.api_host}": of_azure,
            f"authorization to {cloud.management_host}": of_azure,
            "authorization to 127.0.0.1": of_people,
            f"body to {cloud.login_hosts[-1]}/{principal.tenant_id}/oauth2/v2.0/token": {"client secret"},
            "body to 127.0.0.1/api/2.0/secrets/put": {"client secret"},
            # Which Databricks writes, not we.
            SPARK_ENV: {"client secret"},
        }

    def _secrets(self) -> dict[str, str]:
        people = {f"token of {who.user_name}": who.token for who in self.databricks.callers.all()}
        return {"client secret": self.azure.principal.client_secret, **people, **dict(self._tokens())}

    def _tokens(self) -> Iterator[tuple[str, str]]:
        for number, token in enumerate(self.azure.tokens.issued):
            yield f"token {number} of {'the admin' if number < self.of_admin else 'the nodes'}", token


def astray(search: SecretSearch, where_they_belong: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return what was found where it does not belong: the names of secrets, by the place."""
    found = {place: names - where_they_belong.get(place, set()) for place, names in search.found.items()}
    return {place: names for place, names in found.items() if names}


def _look_at_request(request: Sent, search: SecretSearch) -> None:
    search.look(f"an address at {request.host}", request.url)
    for name, value in request.headers:
        search.look(f"{name} to {request.host}", value)
    search.look(f"body to {request.host}{request.path}", request.body)


def _look_at_node(node: Node, search: SecretSearch) -> None:
    for path in node.changes():
        file = node.root / path.lstrip("/")
        if file.exists() or file.is_symlink():
            search.look_at_file(file, path)
    # What Databricks has written before: the cluster's variables.
    search.look_at_file(node.path(SPARK_ENV), SPARK_ENV)
    # A mount of its own, which is not in what has changed.
    memory = node.path("/dev/shm")
    for path in walk(memory):
        search.look_at_file(memory / Path(path.lstrip("/")), f"/dev/shm{path}")
