"""A release: archives, init script and settings of one deployment, in a folder that nothing else is put into.

Its name is made of everything that it is built from. What runs keeps its files when another one is deployed,
and whether a release is there is known without building it.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from azureml_databricks.admin import to_run
from azureml_databricks.admin.bundle import archives as bundle
from azureml_databricks.admin.bundle import init_script
from azureml_databricks.admin.objects.changes import Change, Difference, Kept, Unready, differences
from azureml_databricks.admin.objects.record import Record
from azureml_databricks.admin.objects.references import References
from azureml_databricks.admin.objects.storage import Entry, Storage
from azureml_databricks.admin.progress import tell

KIND = "release"
SCRIPT = init_script.NAME
TASK = "verify_task.py"
# What we have ever put into such a folder.
_OURS = re.compile(r"azureml-databricks(-[\w.+-]+\.tar\.gz|\.json|\.sh)|verify_task\.py")
_PACKAGE = Path(__file__).parents[2]
_BUILT_FROM = (
    *("*.py", "admin/bundle/*.py", "bridge/*", "checkup/*"),
    # Not all that is in a clone: a wheel of the same version makes the same release.
    *("locks/*.txt", "node/*"),
)
# Smaller files are read each time. Of others the time tells whether they may have changed.
_COMPARED_BYTES = 64 * 1024


@dataclass(frozen=True)
class Release:
    """What a deployment puts on nodes.

    Attributes:
        location: the folder for all releases.
        runtimes: the keys of `bundle.RUNTIMES` that it is for.
        extras: which of `bundle.EXTRAS` it carries.
        settings: by name.
        built: a folder with the archives, which `bundle` has built elsewhere; None to build them.
    """

    location: str
    runtimes: tuple[str, ...]
    extras: tuple[str, ...]
    settings: Mapping[str, str]
    built: Path | None = None

    @cached_property
    def name(self) -> str:
        """Twelve hexadecimal digits."""
        digest = hashlib.sha256()
        known = [
            version("azureml-databricks"),
            self.location,
            self.runtimes,
            self.extras,
            dict(self.settings),
        ]
        digest.update(json.dumps(known, sort_keys=True).encode() + init_script.template().encode())
        for pattern in _BUILT_FROM:
            for path in sorted(_PACKAGE.glob(pattern)):
                if path.is_file():
                    digest.update(f"{path.relative_to(_PACKAGE).as_posix()}\0".encode() + path.read_bytes())
        return digest.hexdigest()[:12]

    @property
    def made_of(self) -> dict[str, str]:
        """What an admin knows it by: the version, the runtimes, the packages and the settings."""
        return {
            "version": version("azureml-databricks"),
            "runtimes": ", ".join(self.runtimes),
            **({"with": ", ".join(self.extras)} if self.extras else {}),
            **{f"settings.{name}": value for name, value in sorted(self.settings.items())},
        }

    @property
    def script(self) -> str:
        """The init script's path, as a node sees it."""
        return f"{self.location}/{self.name}/{SCRIPT}"

    def build(self, out: Path) -> list[Path]:
        """Build the files into a folder, and return them.

        Raises:
            BundleError: the packages cannot be fetched.
        """
        runtimes = [bundle.RUNTIMES[runtime] for runtime in self.runtimes]
        folder = f"{self.location}/{self.name}"
        built = bundle.build(runtimes, folder, out, dict(self.settings), self.extras, self.built)
        assert built.settings
        archives = [archive.path for archive in built.archives]
        return [*archives, built.settings, built.script, _PACKAGE / "admin/bundle" / TASK]


class Releases:
    """The releases in the workspace, and the one that is wanted.

    Attributes:
        seal: the digest of the files of the one that is wanted, as it was found or uploaded.
    """

    def __init__(self, storage: Storage, record: Record, references: References) -> None:
        """Name where they are."""
        self._storage = storage
        self._record = record
        self._references = references
        self._built: dict[str, bytes] = {}
        self._listed: dict[str, dict[str, Entry]] = {}
        self.seal = ""

    def changes(
        self, wanted: Release, seals: Set[str] | None = None, present: str = "", *, again: bool = False
    ) -> Iterator[Change]:
        """Yield what uploads a release, if it is not there as it was uploaded.

        Args:
            wanted: which.
            present: the name of the one that it takes the place of, empty for none.
            again: whether it is uploaded in any case.
            seals: the digests of its files from where only admins write, an empty one where there is none
                yet; None if there is no such place, and the record has to be believed.
        """
        uploaded = (self._record.details(KIND, wanted.name) or {}).get("files", {})
        found = self._found(wanted.name) if uploaded else {}
        different = differences(found, uploaded) if uploaded else self._new_in(wanted, present)
        if uploaded and not different and seals is not None and {_digest(found)} != seals:
            # Whoever can change the files can change the record with them.
            told = ", ".join(sorted(filter(None, seals))) or "none"
            different = [Difference("the files' digest in the policy", _digest(found), told)]
        self.seal = _digest(found)
        if not uploaded or different or again:
            yield Change(
                "update" if uploaded else "create",
                KIND,
                wanted.name,
                partial(self._upload, wanted),
                tuple(different),
                prepare=partial(self._build, wanted),
            )

    def removals(self, wanted: Release | None) -> Iterator[Change | Kept]:
        """Yield what becomes of the releases that are not wanted: what is pointed at is kept."""
        for name in self._record.names(KIND):
            if wanted and name == wanted.name:
                continue
            if users := self._references.to(f"{self._storage.location}/{name}/"):
                yield Kept(KIND, name, users)
            elif others := self.strangers(name):
                yield Kept(KIND, name, f"{others} in it, which we have not put there")
            else:
                yield Change("delete", KIND, name, partial(self._delete, name))

    def broken(self, wanted: Release) -> Iterator[Unready]:
        """Yield what is gone or changed of the older releases that are in use."""
        for name in self._record.names(KIND):
            files = (self._record.details(KIND, name) or {}).get("files", {})
            # Of one that was taken back without a record nobody knows what it was.
            if name == wanted.name or not files:
                continue
            if not (users := self._references.to(f"{self._storage.location}/{name}/")):
                continue
            for it in differences(self._found(name), files):
                state = "is gone" if it.found is None else "is not what was uploaded"
                yield Unready(
                    KIND,
                    name,
                    f"{it.field} {state}, and {users} start from it",
                    f"`{to_run.ours('deploy --enforce')}` brings them to the present release",
                )

    def _new_in(self, wanted: Release, present: str) -> list[Difference]:
        """Return what a release has that the present one has not, in an admin's words."""
        before = (self._record.details(KIND, present) or {}).get("of")
        if not before:
            return []
        different = differences(before, wanted.made_of)
        return [
            Difference(it.field, *("(not set)" if side is None else side for side in (it.found, it.wanted)))
            for it in different
        ] or [Difference("code", "of another build of this version", "of this one")]

    def strangers(self, name: str) -> str:
        """Say what is in a release's folder that is not ours, such as `notes.txt, old`; empty for nothing."""
        entries = self._entries(name)
        return ", ".join(it for it, at in entries.items() if at.size is None or not _OURS.fullmatch(it))

    def _entries(self, name: str) -> dict[str, Entry]:
        if name not in self._listed:
            self._listed[name] = self._storage.entries(name)
        return self._listed[name]

    def _found(self, name: str) -> dict[str, Any]:
        known = self._record.details(KIND, name) or {}
        return {
            file: self._state(f"{name}/{file}", entry, known)
            for file, entry in self._entries(name).items()
            if _OURS.fullmatch(file)
        }

    def _state(self, path: str, entry: Entry, known: Mapping[str, Any]) -> str:
        """Return what a file is; a large one is read if it may have changed since it was uploaded."""
        file, size = path.rpartition("/")[2], entry.size or 0
        uploaded = str(known.get("files", {}).get(file, ""))
        if size >= _COMPARED_BYTES:
            if uploaded == _state(size, None):
                return uploaded  # by an older version, which took no digest of it
            is_as_uploaded = entry.modified and entry.modified == known.get("times", {}).get(file)
            if is_as_uploaded and uploaded.startswith(_state(size, None)):
                return uploaded
        return _state(size, self._storage.read(path))

    def _build(self, release: Release) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            self._built = {path.name: path.read_bytes() for path in release.build(Path(scratch))}

    def _upload(self, release: Release) -> dict[str, Any]:
        self._storage.make(release.name)
        for name, content in self._built.items():
            if len(content) >= _COMPARED_BYTES:
                tell(f"uploading {bundle.with_size(name, len(content))}")
            self._storage.write(f"{release.name}/{name}", content)
        files = {name: _state(len(content), content) for name, content in self._built.items()}
        self.seal = _digest(files)
        entries = self._storage.entries(release.name)
        times = {name: entries[name].modified for name in files if name in entries}
        return {"files": files, "times": times, "of": release.made_of}

    def _delete(self, name: str) -> None:
        # Listed anew: if somebody has put something there since, the folder is not empty and stays.
        for file, entry in self._storage.entries(name).items():
            if entry.size is not None and _OURS.fullmatch(file):
                self._storage.delete(f"{name}/{file}")
        self._storage.delete(name)


def _state(size: int, content: bytes | None) -> str:
    if content is None:
        return f"{size:,} bytes"
    return f"{size:,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}"


def _digest(files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:32]
