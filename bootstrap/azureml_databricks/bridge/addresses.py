"""The addresses of artifacts in Azure ML: those of runs and models, and those that others have made of them.

The portal, `az ml` and the older SDK leave the workspace's host out, or the whole workspace: then it is the
one that this process is connected to. Sources: https://github.com/mlflow/mlflow/issues/7806,
https://github.com/microsoft/MLOps/issues/74,
https://learn.microsoft.com/azure/machine-learning/how-to-manage-models.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import mlflow
from mlflow.exceptions import MlflowException

from azureml_databricks import tracking_uri
from azureml_databricks.node import variables

# Under which the service that keeps all artifacts has those of runs.
OF_RUNS = "ExperimentRun"

_RUN = r"experiments/(?P<experiment>[^/]+)/runs/(?P<run>[^/]+)(?:/artifacts(?:/(?P<path>.*))?)?"
RUN_ADDRESS = re.compile(rf"azureml://[^/]+/.+?/{_RUN}")
_RUN_ALONE = re.compile(rf"azureml://{_RUN}")
_OF_A_JOB = re.compile(r"azureml://jobs/(?P<run>[^/]+)/outputs/artifacts(?:/paths(?:/(?P<path>.*))?)?")
_IN_A_DATASTORE = re.compile(
    r"azureml://(?P<scope>subscriptions/.+?/workspaces/[^/]+/)?datastores/(?P<store>[^/]+)/paths/(?P<path>.+)",
    re.IGNORECASE,
)
# The datastore that the artifacts themselves are in, as <origin>/<container>/<path>.
_OF_ARTIFACTS = "workspaceartifactstore"
_KEPT = re.compile(r"(?P<origin>[^/]+)/(?P<container>[^/]+)/(?P<path>.+)")
# A model registered from a local folder: azureml://artifacts/<origin>/<container>/<path>.
_OF_UPLOAD = re.compile(rf"azureml://[^/]*/{_KEPT.pattern}")


@dataclass(frozen=True)
class Place:
    """Where artifacts are.

    Attributes:
        workspace_uri: an address of the workspace.
        path: the path among them.
        experiment: of a run, its experiment's id or name; empty where origin and container say where.
        run: the run's id.
        origin: under which the service that keeps all artifacts has them.
        container: likewise.
    """

    workspace_uri: str
    path: str
    experiment: str = ""
    run: str = ""
    origin: str = ""
    container: str = ""


def rest_of_a_name(artifact_uri: str) -> tuple[str, str]:
    """Return an address without what follows a `#` or `?`, and that.

    MLflow takes a name with one of these for an address with a fragment or a query: of `d/a#b/c.txt` it asks
    for `a` at `d#b/c.txt`.
    """
    address, mark, rest = re.fullmatch(r"([^#?]*)([#?]?)(.*)", artifact_uri, re.DOTALL).groups()  # type: ignore[union-attr]
    return address, mark + rest


def whole(artifact_uri: str) -> str:
    """Return an address with both slashes, of which `pathlib` leaves one."""
    return re.sub(r"^azureml:/(?!/)", "azureml://", artifact_uri)


def place(artifact_uri: str, others: Iterable[object] = ()) -> Place:
    """Return the place that an address of artifacts means.

    Args:
        artifact_uri: the address.
        others: tracking URIs that may be of its workspace, before MLflow's own.

    Raises:
        MlflowException: it is no such address, or MLflow cannot read what is there.
    """
    known, artifact_uri = list(others), whole(artifact_uri)
    if of_run := RUN_ADDRESS.fullmatch(artifact_uri):
        uri = _reachable(artifact_uri, known)
        return Place(uri, of_run["path"] or "", of_run["experiment"], of_run["run"])
    if of_run := _RUN_ALONE.fullmatch(artifact_uri):
        return Place(_workspace(known), of_run["path"] or "", of_run["experiment"], of_run["run"])
    if of_job := _OF_A_JOB.fullmatch(artifact_uri):
        uri = _workspace(known)
        return Place(uri, of_job["path"] or "", origin=OF_RUNS, container=f"dcid.{of_job['run']}")
    if stored := _IN_A_DATASTORE.fullmatch(artifact_uri):
        return _in_datastore(artifact_uri, stored, known)
    if of_upload := _OF_UPLOAD.fullmatch(artifact_uri):
        uri = _workspace(known)
        return Place(uri, of_upload["path"], origin=of_upload["origin"], container=of_upload["container"])
    raise MlflowException.invalid_parameter_value(f"{artifact_uri!r} is no address of artifacts in Azure ML")


def _in_datastore(artifact_uri: str, stored: re.Match[str], others: list[object]) -> Place:
    uri = _workspace(others)
    here = tracking_uri.parse(uri)
    there = tracking_uri.parse(f"azureml://{here.host}/{stored['scope']}") if stored["scope"] else here
    if not _same(here, there):
        raise MlflowException.invalid_parameter_value(
            f"{artifact_uri!r} is of workspace {there.name!r}, and this process is connected to "
            f"{here.name!r}; set the tracking URI of that workspace"
        )
    kept = _KEPT.fullmatch(stored["path"])
    if stored["store"].lower() != _OF_ARTIFACTS or kept is None:
        raise MlflowException.invalid_parameter_value(
            f"{artifact_uri!r} is in datastore {stored['store']!r}, which Azure ML's MLflow does not read; "
            "download it with azure-ai-ml or from the storage account, and log or register what you have then"
        )
    return Place(uri, kept["path"], origin=kept["origin"], container=kept["container"])


def _reachable(artifact_uri: str, others: list[object]) -> str:
    """Return an address of the workspace by the host of the tracking URI, if it is that of this workspace.

    A private link has a host of its own, which a run's address may not have.
    """
    try:
        own = tracking_uri.parse(artifact_uri)
        for uri in _uris(others, mlflow.get_tracking_uri, mlflow.get_registry_uri):
            known = tracking_uri.parse(uri)
            if _same(known, own):
                return known.tracking_uri
    except tracking_uri.TrackingUriError:  # which is told where the workspace is opened
        pass
    return artifact_uri


def _workspace(others: list[object]) -> str:
    """Return the tracking URI of the workspace for an address that names none: MLflow's, or the settings'."""
    found = next(_uris(others, mlflow.get_registry_uri, mlflow.get_tracking_uri), None)
    return found or variables.settings_now().workspace().tracking_uri


def _uris(others: list[object], *asked: Callable[[], object]) -> Iterator[str]:
    for uri in chain(others, (ask() for ask in asked)):
        if isinstance(uri, str) and uri.startswith("azureml:") and "/workspaces/" in uri.lower():
            yield uri


def _same(one: tracking_uri.Workspace, other: tracking_uri.Workspace) -> bool:
    return one.resource_id.lower() == other.resource_id.lower()
