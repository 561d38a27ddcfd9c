"""The artifacts of runs and of registered models, in the workspace's storage.

The plugin's own repository finds its workspace through the process's global tracking URI, takes `model2` for
a part of `model`, lists a whole run at every step, and cannot write a path twice.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceResponseError,
)
from azure.core.pipeline import PipelineResponse
from azure.storage.blob import BlobClient, ExponentialRetry
from azureml.mlflow._restclient.artifact._azure_machine_learning_workspaces import (
    AzureMachineLearningWorkspaces as AllArtifactsClient,
)
from azureml.mlflow._restclient.run_artifact._azure_machine_learning_workspaces import (
    AzureMachineLearningWorkspaces as RunArtifactsClient,
)
from azureml.mlflow._restclient.run_artifact.models import ArtifactPath, ArtifactPathList
from azureml.mlflow._store.artifact.artifact_repo import AzureMLflowArtifactRepository
from mlflow.entities import FileInfo, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.store.artifact.artifact_repo import verify_artifact_path
from mlflow.tracking._tracking_service.utils import _get_store
from mlflow.utils.async_logging.run_operations import RunOperations
from mlflow.utils.file_utils import create_tmp_dir

from azureml_databricks import tracking_uri
from azureml_databricks.bridge import addresses, with_bytes
from azureml_databricks.bridge.addresses import Place
from azureml_databricks.bridge.background import Background, done_in_a_task
from azureml_databricks.bridge.clients import client, telling
from azureml_databricks.bridge.connections import transport
from azureml_databricks.bridge.of_this_process import OfThisProcess
from azureml_databricks.bridge.parallel import in_parallel, threads_for_each
from azureml_databricks.bridge.workspace import WorkspaceContext, service_context

# Where records.py keeps its own: no business of who lists a run's artifacts.
HIDDEN = ".azureml-databricks"

# Reported: a batch holds at most this many artifacts.
_BATCH = 100
# What one transfer holds in memory, of few that go at once and of many; the storage client's own is 64 MiB.
_BLOCK, _BLOCK_OF_MANY = 4 * 1024 * 1024, 2 * 1024 * 1024
# How long the storage client itself waits for a connection, and for an answer; it tries four times.
_STORAGE_SECONDS = (20, 60)


@dataclass(frozen=True)
class Container:
    """The artifacts of one run, or of one upload: paths, and signed addresses of their bytes.

    Attributes:
        operations: the plugin's REST client for them.
        where: what each of its calls names.
        origin: under which the service that keeps all artifacts knows them.
        container: likewise.
        context: the workspace.
    """

    operations: Any
    where: Mapping[str, str]
    origin: str
    container: str
    context: WorkspaceContext

    @classmethod
    def at(cls, artifact_uri: str) -> Container:
        """Return those that an address of artifacts is among."""
        return cls.of(addresses.place(artifact_uri))

    @classmethod
    def of(cls, place: Place) -> Container:
        """Return those of a run, or of an upload, that an address means."""
        context = service_context(place.workspace_uri)
        if place.experiment:
            return cls.of_run(context, place.experiment, place.run)
        return cls.of_upload(context, place.origin, place.container)

    @classmethod
    def of_run(cls, context: WorkspaceContext, experiment: str, run_id: str) -> Container:
        """Return a run's; `experiment` is its experiment's id or name."""
        operations = client(RunArtifactsClient, context).run_artifacts
        where = {**_names(context), "experiment_name": experiment, "run_id": run_id}
        return cls(operations, where, "ExperimentRun", f"dcid.{run_id}", context)

    @classmethod
    def of_upload(cls, context: WorkspaceContext, origin: str, container: str) -> Container:
        """Return those of a model that was registered from a local folder."""
        operations = client(AllArtifactsClient, context).artifacts
        where = {**_names(context), "origin": origin, "container": container}
        return cls(operations, where, origin, container, context)

    def addresses(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield path and signed address of each artifact whose path begins with `prefix`."""
        for item in self.operations.list_sas_by_prefix(**self.where, path=prefix):
            yield item.path, item.content_uri

    def create(self, paths: list[str], new: set[str] | None = None) -> dict[str, str]:
        """Make artifacts, or find those that exist, and return where to write their bytes, by path.

        Args:
            paths: of the artifacts.
            new: takes the paths of those that did not exist.
        """
        signed = {}
        batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
        for made in in_parallel(partial(self._create, set() if new is None else new), batches):
            signed.update(
                {path: info.content_uri for path, info in made.artifact_content_information.items()}
            )
            for path, refused in (made.errors or {}).items():
                signed[path] = self._address_to_overwrite(path, refused.error.message)
        return signed

    def _create(self, new: set[str], paths: list[str]) -> Any:
        made = self.operations.batch_create_empty_artifacts(
            **self.where,
            body=ArtifactPathList(paths=[ArtifactPath(path=path) for path in paths]),
            retry_on_methods=frozenset(["POST"]),
        )
        new.update(made.artifact_content_information)
        return made

    def upload(self, files: Mapping[str, Path]) -> None:
        """Upload files to paths; what is made and cannot be filled is taken away again."""
        for file in files.values():
            with file.open("rb"):  # a file that cannot be read is told before anything is made
                pass
        empty: set[str] = set()
        threads = threads_for_each(len(files))

        def send(path: str) -> None:
            with files[path].open("rb") as stream:
                write(signed[path], stream, threads)
            empty.discard(path)
            with_bytes.note((self.container, path))

        try:
            signed = self.create(list(files), empty)
            in_parallel(send, files)
        except BaseException:
            with suppress(AzureError):
                self.delete(sorted(empty))
            raise

    def _address_to_overwrite(self, path: str, refusal: str) -> str:
        if "already exists" not in refusal:
            raise MlflowException(f"artifact {path!r} cannot be logged: {refusal}")
        try:
            return str(self._keeper.get_sas(**self._known_as, path=path).content_uri)
        except HttpResponseError as error:
            raise MlflowException(
                f"artifact {path!r} exists, and Azure ML does not let it be written again "
                f"({error.status_code}); log it under another name"
            ) from error

    def delete(self, paths: list[str]) -> None:
        """Remove artifacts for good."""
        for start in range(0, len(paths), _BATCH):
            batch = [ArtifactPath(path=path) for path in paths[start : start + _BATCH]]
            body = ArtifactPathList(paths=batch)
            self._keeper.delete_batch_meta_data(
                **self._known_as, hard_delete=True, body=body, retry_on_methods=frozenset(["POST"])
            )

    @property
    def _keeper(self) -> Any:
        """The service that keeps all artifacts; the one for runs can neither overwrite nor delete."""
        return client(AllArtifactsClient, self.context).artifacts

    @property
    def _known_as(self) -> dict[str, str]:
        return {**_names(self.context), "origin": self.origin, "container": self.container}


def _names(context: WorkspaceContext) -> dict[str, str]:
    return {
        "subscription_id": context.subscription_id,
        "resource_group_name": context.resource_group_name,
        "workspace_name": context.workspace_name,
    }


def write(
    address: str, content: IO[bytes] | bytes, threads: int = 1, metadata: dict[str, str] | None = None
) -> None:
    """Write bytes to a signed address, over what is there; blocks of many in so many threads."""
    blob = _blob(address, threads)
    blob.upload_blob(content, overwrite=True, max_concurrency=threads, metadata=metadata)


def read(address: str, target: IO[bytes], threads: int = 1) -> None:
    """Read a signed address to a stream; blocks of many in so many threads."""
    try:
        _blob(address, threads).download_blob(max_concurrency=threads).readinto(target)
    except ValueError as error:
        # The storage client's, of a page of whatever stands between.
        raise ServiceResponseError(f"the answer is none of Azure's storage ({error})") from None


def has_bytes(address: str) -> bool:
    """Whether bytes were ever written to a signed address; True where the storage does not tell at once."""
    try:
        return bool(_blob(address).exists(retry_total=0))
    except AzureError:
        return True


def _blob(address: str, threads: int = 1) -> BlobClient:
    if not address.startswith("https://"):
        raise MlflowException(
            f"{address.partition('?')[0]!r} is no address of a storage account: its signature stays here"
        )
    block = _BLOCK if threads > 1 else _BLOCK_OF_MANY
    return BlobClient.from_blob_url(
        address,
        transport=transport(*_STORAGE_SECONDS),
        max_single_put_size=block,
        max_block_size=block,
        max_single_get_size=block,
        max_chunk_get_size=block,
        # The storage client's own first waits 15 seconds. It has three more tries for each kind of trouble;
        # the total is for what is of no kind: half an answer, a 429.
        retry_policy=ExponentialRetry(
            initial_backoff=1, increment_base=2, retry_total=4, random_jitter_range=1
        ),
        raw_response_hook=_try_again_if_busy,
    )


def _try_again_if_busy(response: PipelineResponse[Any, Any]) -> None:
    """Have the storage client try again: by itself it does so after a 503, and not after a 429."""
    if response.http_response.status_code == 429:
        raise HttpResponseError(response=response.http_response)


class WorkspaceArtifactRepository(AzureMLflowArtifactRepository):  # type: ignore[misc]  # the plugin has no types
    """The artifacts under one `azureml://` address.

    Raises:
        MlflowException: at construction, if the address is none of Azure ML's; at each call, in one line, if
            Azure refuses or a path does not exist.
    """

    def __init__(self, artifact_uri: str, *args: Any, **kwargs: Any) -> None:
        """Open `artifact_uri`; the rest is what this version of MLflow passes along."""
        address, rest = addresses.rest_of_a_name(artifact_uri)
        self._cut_name: tuple[WorkspaceArtifactRepository, str] | None = None
        if rest:
            self._cut_name = type(self)(address, *args, **kwargs), rest
            if address.endswith("/artifacts"):
                artifact_uri = address
        super(AzureMLflowArtifactRepository, self).__init__(artifact_uri, *args, **kwargs)
        self._place = addresses.place(artifact_uri, [*args, *kwargs.values()])
        self._container, self._root = Container.of(self._place), path_within(self._place.path)
        self._newest_model = False
        self._background = OfThisProcess(Background)
        # MLflow downloads a run's `artifact_uri` as `artifacts` from the address above it.
        self._above = "artifacts" if re.fullmatch(r".*/runs/[^/]+", artifact_uri) else ""

    def with_newest_models(self) -> WorkspaceArtifactRepository:
        """Let a name stand for the newest of the models that the run logged under it."""
        self._newest_model = True
        return self

    def with_rest_of_a_name(self, rest: str) -> WorkspaceArtifactRepository:
        """Let `rest` follow the names that are asked for: MLflow has cut it off, at a `#` or `?`."""
        if rest:
            self._cut_name = copy(self), rest
        return self

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Return what is directly under `path`, nothing if it is a file; sizes are not known."""
        if meant := self._with_its_whole_name(path):
            return meant[0].list_artifacts(meant[1])
        within = path_within(path)
        folder = PurePosixPath(within or ".")
        with telling(f"list {within or 'the artifacts'}"):
            files = self._files(within)
        entries: dict[str, list[tuple[with_bytes.Name, str]]] = {}
        folders: set[str] = set()
        for file, address in files.items():
            inner = PurePosixPath(file).relative_to(folder).parts
            if inner:
                entries.setdefault(inner[0], []).append((self._name(file), address))
                folders |= set(inner[:-1][:1])
        there = sorted(with_bytes.entries_with_bytes(entries, self._may_be_unfinished, has_bytes))
        return [FileInfo(str(folder / name), name in folders, None) for name in there]

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        """Download a file or a folder, with all that is in it, below `dst_path`; return the local path."""
        if meant := self._with_its_whole_name(artifact_path):
            return meant[0].download_artifacts(meant[1], dst_path)
        target = Path(dst_path or create_tmp_dir()).absolute()
        if not target.is_dir():
            raise MlflowException.invalid_parameter_value(f"the destination {str(target)!r} is no folder")
        within = path_within(artifact_path)
        with telling(f"download {within or 'the artifacts'}"):
            files = self._files(within)
            if not files and within:
                raise self._missing(within)
            for file in files:
                verify_artifact_path(file)  # nothing lands outside of the target
            threads = threads_for_each(len(files))
            fetched = in_parallel(lambda file: _fetch(files[file], target / file, threads), files)
            if files and not any(fetched):
                raise self._unfinished(within)
            for file, is_there in zip(files, fetched, strict=True):
                if is_there:
                    with_bytes.note(self._name(file))
                else:
                    _remove_empty(target, (target / file).parent)
        return str(target / within)

    def _download_file(self, remote_file_path: str, local_path: str, **_: Any) -> None:
        within = path_within(remote_file_path)
        with telling(f"download {within}"):
            address = self._files(within).get(within)
            if address is None:
                raise self._missing(within)
            if not _fetch(address, Path(local_path), threads_for_each(1)):
                raise self._unfinished(within)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Upload a file to the folder `artifact_path`."""
        self._upload({self._full(path_within(artifact_path), Path(local_file).name): Path(local_file)})

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Upload a folder's content to the folder `artifact_path`."""
        within = path_within(artifact_path)
        self._upload({self._full(within, path): file for path, file in files_below(Path(local_dir))})

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Remove a file, or a folder with all that is in it, for good."""
        within = path_within(artifact_path)
        with telling(f"delete {within or 'the artifacts'}"):
            self._container.delete([self._full(file) for file in self._files(within)])

    def _log_artifact_async(
        self, filename: str, artifact_path: str | None = None, artifact: Any = None
    ) -> RunOperations:
        log = partial(self._async_logging_queue._artifact_logging_func, filename, artifact_path, artifact)
        return RunOperations([done_in_a_task(self._background.get().begin(f"artifact {filename!r}", log))])

    def flush_async_logging(self) -> None:
        """Wait until all that was logged in the background is there."""
        if self._background:
            self._background.get().wait()

    def _upload(self, files: Mapping[str, Path]) -> None:
        with telling(f"log {', '.join(list(files)[:3])}"):
            self._container.upload(files)

    def _files(self, path: str) -> dict[str, str]:
        """Return the files at or under `path`, relative to the repository, with their signed addresses."""
        wanted = self._full(path).strip("/")
        prefix = wanted.partition("/")[0] if self._newest_model else wanted
        found = list(self._container.addresses(prefix))
        real = _newest([file for file, _ in found], wanted) if self._newest_model else wanted
        return {
            self._relative(wanted + file[len(real) :]): address
            for file, address in found
            if _is_at_or_under(file, real) and (wanted.startswith(HIDDEN) or not file.startswith(HIDDEN))
        }

    def _with_its_whole_name(self, path: str | None) -> tuple[WorkspaceArtifactRepository, str] | None:
        """Return where an artifact is whose name was cut, and its name; None where there is none."""
        if not self._cut_name:
            return None
        repository, rest = self._cut_name
        name = f"{path or ''}{rest}"
        with telling(f"list {name}"):
            return (repository, name) if repository._files(path_within(name)) else None

    def _may_be_unfinished(self) -> bool:
        """Whether there may be an artifact without bytes: not in a run that has finished well."""
        if not self._place.run:
            return False
        workspace = tracking_uri.parse(self._place.workspace_uri).tracking_uri
        try:
            run = _get_store(workspace).service.get_run(self._place.run)
        except MlflowException:  # the artifacts were listed all the same
            return False
        return bool(run.info.status != RunStatus.to_string(RunStatus.FINISHED))

    def _name(self, file: str) -> with_bytes.Name:
        return self._container.container, self._full(file)

    def _missing(self, path: str) -> MlflowException:
        return MlflowException(
            f"no artifact {self._full(path)!r} in {self._container.container.removeprefix('dcid.')}",
            error_code=RESOURCE_DOES_NOT_EXIST,
        )

    def _unfinished(self, path: str) -> MlflowException:
        return MlflowException(
            f"artifact {self._full(path)!r} in {self._container.container.removeprefix('dcid.')} has no "
            "bytes: whoever logged it was stopped before it was there; log it again",
            error_code=RESOURCE_DOES_NOT_EXIST,
        )

    def _full(self, *parts: str | None) -> str:
        full = "/".join(part for part in (self._root, *parts) if part)
        return full.removeprefix(self._above).lstrip("/") if self._above else full

    def _relative(self, path: str) -> str:
        relative = path[len(self._root) :].lstrip("/")
        return f"{self._above}/{relative}" if self._above else relative


def _newest(files: Iterable[str], path: str) -> str:
    name, slash, rest = path.partition("/")
    others = re.compile(re.escape(name) + r"(~[0-9a-f]{15})?/")
    found = [match[0] for file in files if (match := others.match(file))]
    return max(found, default=name + "/").rstrip("/") + slash + rest if name else path


def files_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the path of each file within a folder, and the file."""
    for place, _, names in os.walk(folder):
        for file in (Path(place, name) for name in names):
            yield file.relative_to(folder).as_posix(), file


def path_within(path: str | os.PathLike[str] | None) -> str:
    """Return a path among artifacts in the one form that the service knows: `./plots//a/` is `plots/a`.

    Raises:
        MlflowException: in MLflow's words; it leads out.
    """
    normal = posixpath.normpath(os.fspath(path)) if path else "."
    if normal == ".":
        return ""
    verify_artifact_path(normal)
    return normal


def _remove_empty(target: Path, folder: Path) -> None:
    """Remove a folder that nothing was downloaded to, and those above it, up to the target."""
    while folder != target:
        try:
            folder.rmdir()
        except OSError:  # there is something in it
            return
        folder = folder.parent


def _is_at_or_under(file: str, path: str) -> bool:
    return not path or file == path or file.startswith(path + "/")


def _fetch(address: str, target: Path, threads: int) -> bool:
    """Read a signed address to a file; False for an artifact whose bytes were never written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("wb") as stream:
            read(address, stream, threads)
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, ResourceNotFoundError):
            return False
        raise
    return True
