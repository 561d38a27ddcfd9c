"""From a policy to a running node: what Databricks does between `clusters/create` and a notebook.

All that a node gets is read back through the workspace's API, as the cluster's owner: the spec under its
policy, the init scripts, the folder of files around each, and the secrets that the spec refers to.

Source: https://learn.microsoft.com/azure/databricks/init-scripts/referencing-files
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, PermissionDenied
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.compute import ClusterDetails
from databricks.sdk.service.workspace import ObjectType

from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import way_to
from tests.emulated.databricks import access_modes, log_delivery
from tests.emulated.databricks.callers import Caller
from tests.emulated.node import Node, Replica, Runtime, boot
from tests.emulated.node.init_scripts import AccessMode
from tests.emulated.spark import SparkCluster, booted_cluster
from tests.emulated.spark.conf import write_file

if TYPE_CHECKING:
    from tests.emulated.databricks.emulator import EmulatedDatabricks

_REFERENCE = re.compile(r"\{\{secrets/([^/{}]+)/([^/{}]+)\}\}")
UNPRIVILEGED = "nobody"
"""Standard access mode runs users' code as a user without rights.

Source: https://learn.microsoft.com/azure/databricks/compute/standard-limitations
"""


class LaunchError(Exception):
    """A cluster did not start.

    Args:
        code: the reason of its termination, such as `INIT_SCRIPT_FAILURE`.
        message: `databricks_error_message`, for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@contextlib.contextmanager
def started_cluster(
    databricks: EmulatedDatabricks,
    policy_id: str,
    *,
    who: Caller | None = None,
    azure: EmulatedAzure | None = None,
    driver: bool = True,
    **asked: Any,
) -> Iterator[Node]:
    """Make a cluster as a user does who picks a policy, and yield its node with the init scripts run.

    At the end of the context the cluster is terminated and the node gone.

    Args:
        databricks: the workspace.
        policy_id: the policy.
        who: the user; the admin unless given.
        azure: what the node's processes reach instead of the internet.
        driver: whether the node is the driver, or a worker.
        asked: what the user enters besides, as `WorkspaceClient.clusters.create` takes it.

    Raises:
        databricks.sdk.errors.DatabricksError: the workspace refuses to make such a cluster.
        LaunchError: the cluster was made and did not start.
    """
    cluster_id = _made(databricks, policy_id, who, asked)
    with launched(databricks, cluster_id, who=who, azure=azure, driver=driver) as node:
        yield node


def _made(databricks: EmulatedDatabricks, policy_id: str, who: Caller | None, asked: dict[str, Any]) -> str:
    size = {} if {"num_workers", "autoscale", "is_single_node"} & asked.keys() else {"num_workers": 1}
    spec = {"spark_version": None, "cluster_name": "of a user", **size, **asked}
    client = databricks.client(who)
    made = client.clusters.create(policy_id=policy_id, apply_policy_default_values=True, **spec)
    assert made.cluster_id
    return made.cluster_id


@contextlib.contextmanager
def started_spark_cluster(
    databricks: EmulatedDatabricks,
    policy_id: str,
    *,
    who: Caller | None = None,
    azure: EmulatedAzure | None = None,
    **asked: Any,
) -> Iterator[SparkCluster]:
    """Make a cluster as `started_cluster` does, and yield all its nodes, with Spark across them."""
    cluster_id = _made(databricks, policy_id, who, asked)
    launch = _Launch(databricks, cluster_id, who or databricks.admin)
    try:
        with launch.spark_cluster(azure) as cluster:
            yield cluster
    finally:
        databricks.clusters.terminate(cluster_id, "USER_REQUEST", "")


@contextlib.contextmanager
def launched(
    databricks: EmulatedDatabricks,
    cluster_id: str,
    *,
    who: Caller | None = None,
    azure: EmulatedAzure | None = None,
    driver: bool = True,
) -> Iterator[Node]:
    """Boot a node of a cluster that the workspace has; parameters and errors as of `started_cluster`."""
    owner = who or databricks.admin
    is_job = databricks.clusters.found(cluster_id)["cluster_source"] == "JOB"
    reason, message = "JOB_FINISHED" if is_job else "USER_REQUEST", ""
    try:
        with _Launch(databricks, cluster_id, owner).node(azure, driver=driver) as node:
            yield node
    except LaunchError as error:
        reason, message = error.code, error.message
        raise
    finally:
        databricks.clusters.terminate(cluster_id, reason, message)


class _Launch:
    """What a starting cluster reads, as its owner."""

    def __init__(self, databricks: EmulatedDatabricks, cluster_id: str, owner: Caller) -> None:
        self._databricks = databricks
        self._cluster = databricks.cluster_client(owner).clusters.get(cluster_id)
        self._client = databricks.cluster_client(self._runs_as(owner))

    @contextlib.contextmanager
    def node(self, azure: EmulatedAzure | None, *, driver: bool) -> Iterator[Node]:
        variables, conf = self._variables(), self._resolved(self._cluster.spark_conf)
        with boot(_replica(self._cluster), driver=driver, spark_env_vars=variables) as node:
            if azure:
                node.environment.update(way_to(azure, node))
            node.access_mode = self._access_mode
            try:
                self._run_init_scripts(node)
                write_file(node, "custom-spark.conf", conf)
                yield node
            finally:
                log_delivery.deliver(node, self._cluster, self._client)

    @contextlib.contextmanager
    def spark_cluster(self, azure: EmulatedAzure | None) -> Iterator[SparkCluster]:
        replica = _replica(self._cluster)
        with booted_cluster(
            replica.runtime.version,
            ml=replica.ml,
            access_mode=self._access_mode,
            workers=self._cluster.num_workers or 1,
            spark_env_vars=self._variables(),
            spark_conf=self._resolved(self._cluster.spark_conf),
            conf_files=["custom-spark.conf"],
            azure=azure,
            prepare=self._run_init_scripts,
        ) as cluster:
            yield cluster

    def _runs_as(self, owner: Caller) -> Caller:
        """Return who init scripts run as: whom the cluster is assigned to in dedicated mode, or its owner.

        Source: https://learn.microsoft.com/azure/databricks/init-scripts/
        """
        assigned = self._cluster.single_user_name
        dedicated = access_modes.mode(self._cluster.as_dict()) == "dedicated"
        return self._databricks.callers.named(assigned) if assigned and dedicated else owner

    @property
    def _access_mode(self) -> AccessMode:
        return "standard" if access_modes.mode(self._cluster.as_dict()) == "standard" else "dedicated"

    def _variables(self) -> dict[str, str]:
        return {**_identity(self._cluster), **self._resolved(self._cluster.spark_env_vars)}

    def _run_init_scripts(self, node: Node) -> None:
        """Run what makes a node's packages; in Environments mode they are a base environment's.

        There nothing of an init script is in a workload's Python. That holds here, as no script is run.

        Source: https://learn.microsoft.com/azure/databricks/compute/environments-mode,
        databricks.sdk.service.compute (DependencyMode); assumed: strictest reading
        """
        if access_modes.dependency_mode(self._cluster.as_dict()) == "environments":
            return
        for kind, path in access_modes.init_scripts(self._cluster.as_dict()):
            self._place(node, kind, path)
            _run(node, path)

    def _resolved(self, texts: Mapping[str, str] | None) -> dict[str, str]:
        return {name: _REFERENCE.sub(self._secret, text) for name, text in (texts or {}).items()}

    def _secret(self, reference: re.Match[str]) -> str:
        """Resolve `{{secrets/scope/key}}` as the cluster's owner; else the cluster does not start.

        Source: https://learn.microsoft.com/azure/databricks/security/secrets/,
        databricks.sdk.service.compute (TerminationReasonCode)
        """
        scope, key = reference[1], reference[2]
        try:
            # It is the right to read that this asks for: no call of the API gives a value.
            list(self._client.secrets.list_secrets(scope))
            return self._databricks.vault.value(scope, key)
        except PermissionDenied as error:
            raise LaunchError("SECRET_PERMISSION_DENIED", _said(error)) from None
        except (NotFound, KeyError):
            message = f"Secret does not exist with scope: {scope} and key: {key}"
            raise LaunchError("SECRET_RESOLUTION_ERROR", message) from None

    def _place(self, node: Node, kind: str, path: str) -> None:
        """Put the files of the script's folder on the node, at their paths."""
        folder = str(PurePosixPath(path).parent)
        read = {"volumes": volume_files, "workspace": workspace_files}[kind]
        try:
            with tempfile.TemporaryDirectory() as scratch:
                for file, content in read(self._client, folder):
                    copy = Path(scratch, file.lstrip("/"))
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    copy.write_bytes(content)
                    node.copy_in(copy, file)
        except DatabricksError as error:
            raise _unreadable(path, _said(error)) from None
        if not node.path(path).is_file():
            raise _unreadable(path, f"java.io.FileNotFoundException: {path}")


def read_file(client: WorkspaceClient, path: str) -> bytes:
    """Return a file that a task names, of a volume or of the workspace."""
    if path.startswith("/Volumes/"):
        return _download(client, path)
    with client.workspace.download(path) as file:
        return file.read()


def volume_files(client: WorkspaceClient, folder: str) -> Iterator[tuple[str, bytes]]:
    """Yield all files below a folder of a volume, with what is in them."""
    for entry in client.files.list_directory_contents(folder):
        assert entry.path
        if entry.is_directory:
            yield from volume_files(client, entry.path)
        else:
            yield entry.path, _download(client, entry.path)


def _download(client: WorkspaceClient, path: str) -> bytes:
    contents = client.files.download(path).contents
    assert contents
    with contents as file:
        return file.read()


def workspace_files(client: WorkspaceClient, folder: str) -> Iterator[tuple[str, bytes]]:
    """Yield all files below a folder of the workspace, with what is in them."""
    for entry in client.workspace.list(folder):
        assert entry.path
        if entry.object_type == ObjectType.DIRECTORY:
            yield from workspace_files(client, entry.path)
        elif entry.object_type == ObjectType.FILE:
            with client.workspace.download(entry.path) as file:
                yield f"/Workspace{entry.path}", file.read()


def _replica(cluster: ClusterDetails) -> Replica:
    """Return the runtime of a cluster: `15.4.x-cpu-ml-scala2.12` is 15.4, the ML variant."""
    assert cluster.spark_version
    version, _, variant = cluster.spark_version.partition(".x-")
    return Replica(Runtime.load(version), ml="-ml-" in f"-{variant}")


def _identity(cluster: ClusterDetails) -> dict[str, str]:
    """The variables by which an init script knows its cluster.

    Source: https://learn.microsoft.com/azure/databricks/init-scripts/environment-variables
    """
    source = cluster.cluster_source
    return {
        "DB_CLUSTER_ID": cluster.cluster_id or "",
        "DB_CLUSTER_NAME": cluster.cluster_name or "",
        "DB_IS_JOB_CLUSTER": "TRUE" if source and source.value == "JOB" else "FALSE",
    }


def _run(node: Node, path: str) -> None:
    """Run an init script; one that exits with other than 0 fails the launch.

    Source: https://learn.microsoft.com/azure/databricks/init-scripts/cluster-scoped
    """
    done = node.run_init_script(path)
    if done.returncode:
        raise LaunchError(
            "INIT_SCRIPT_FAILURE",
            f"Cluster scoped init script {path} failed: Script exit status is non-zero",
        )


def _unreadable(path: str, why: str) -> LaunchError:
    """An init script that its cluster's owner cannot read fails the launch.

    Source: https://learn.microsoft.com/azure/databricks/init-scripts/referencing-files; the words are assumed
    """
    return LaunchError(
        "INIT_SCRIPT_FAILURE",
        f"Cluster scoped init script {path} failed: Timed out with exception after 5 attempts "
        f"(debugStr = 'Reading remote file for init script'), Caused by: {why}",
    )


def _said(error: DatabricksError) -> str:
    # databricks-sdk appends its own configuration.
    return str(error).partition(" Config: ")[0]
