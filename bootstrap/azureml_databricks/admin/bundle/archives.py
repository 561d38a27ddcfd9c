"""Building what a node needs: an archive a runtime, the init script made for them, and the settings.

An archive is the same, byte for byte, each time it is built from the same lock and the same package.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distributions, version
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_databricks.admin.bundle import init_script, interpreter, sbom, uv_program
from azureml_databricks.admin.bundle.left_out import leave_out
from azureml_databricks.admin.progress import tell

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_PACKAGE = "azureml_databricks"
_SETTINGS = "azureml-databricks.json"
# fmt: off
NODE_HALF = (
    "__init__.py", "__main__.py", "node_command.py", "settings.py", "tracking_uri.py",
    "bridge", "checkup", "node",
)
# fmt: on
# Where tracebacks on a node will find the sources.
_ON_THE_NODE = "/databricks/azureml-databricks/current"
# Azure Databricks' nodes; glibc of Ubuntu 22.04, which runtime 14.3 has.
_PLATFORM = "x86_64-manylinux_2_35"


class BundleError(Exception):
    """Why a bundle cannot be built and what to do, in one line."""


@dataclass(frozen=True)
class Runtime:
    """A Databricks runtime that bundles can be built for.

    Attributes:
        version: such as `15.4`; from 18 on a major version, whose releases come to a cluster as it restarts.
        python: its Python's minor version, such as `3.11`.
        tried: the releases that its bundle was tried on, as a node's `/databricks/DBR_VERSION` says them. On
            another one a bundle has to prove itself.
        lts: whether it has long-term support.
    """

    version: str
    python: str
    tried: tuple[str, ...]
    lts: bool = True


# Oldest first: on a node of an unknown runtime the script takes the last one that has the same Python.
RUNTIMES = {
    runtime.version: runtime
    for runtime in (
        Runtime("14.3", "3.10", ("14.3",)),
        Runtime("15.4", "3.11", ("15.4",)),
        Runtime("16.4", "3.12", ("16.4",)),
        Runtime("17.3", "3.12", ("17.3",)),
        Runtime("18", "3.12", ("18.0",)),
        Runtime("19", "3.12", ("19.0",), lts=False),
    )
}

# What a bundle can carry besides what it must.
EXTRAS = ("azure-ai-ml",)


@dataclass(frozen=True)
class Archive:
    """What a node of one runtime unpacks.

    Attributes:
        runtime: which.
        path: the file.
        sha256: of its bytes.
    """

    runtime: Runtime
    path: Path
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """The files that were written.

    Attributes:
        archives: one a runtime, the oldest runtime's first.
        script: the init script rendered for them.
        settings: None where no settings were given.
    """

    archives: list[Archive]
    script: Path
    settings: Path | None


def build(
    runtimes: Sequence[Runtime],
    location: str,
    out: Path,
    settings: dict[str, str] | None,
    extras: Sequence[str] = (),
    built: Path | None = None,
) -> Bundle:
    """Write the archives, the script and the settings to `out`.

    Args:
        runtimes: what they are for.
        location: the folder where a node will find them, such as `/Volumes/main/default/azureml`.
        out: the folder to write to; made if need be.
        settings: by name, without secrets; None for none.
        extras: which of `EXTRAS` the archives carry.
        built: a folder to take the archives from, which `bundle` has built elsewhere; None to build them.

    Raises:
        BundleError: the packages cannot be fetched, or `built` has not the archives of this version.
        InterpreterError: there is no Python of a runtime's version to compile for it.
    """
    out.mkdir(parents=True, exist_ok=True)
    asked = [runtime for runtime in RUNTIMES.values() if runtime in runtimes]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        names = ", ".join(runtime.version for runtime in asked)
        tell(f"taking those of runtime {names} from {built}" if built else f"building for runtime {names}")
        archives = []
        make = partial(_taken, built) if built else _archive
        for archive in pool.map(lambda runtime: make(runtime, extras, out), asked):
            tell(f"built {with_size(archive.path.name, archive.path.stat().st_size)}")
            archives.append(archive)
    settings_file = None
    # What an earlier build has left would be uploaded along.
    for left in {out / _SETTINGS, *out.glob("azureml-databricks-*-runtime-*.tar.gz")}:
        if left not in [archive.path for archive in archives]:
            left.unlink(missing_ok=True)
    if settings is not None:
        settings_file = out / _SETTINGS
        settings_file.write_bytes(json.dumps(settings, indent=2).encode() + b"\n")
    script = out / init_script.NAME
    # Bytes: a script with line ends of Windows is none.
    script.write_bytes(_render(location, archives, settings).encode())
    return Bundle(archives, script, settings_file)


def with_size(name: str, size: int) -> str:
    """Return what is told of a file of so many bytes."""
    return f"{name}, {size / 1e6:.1f} MB"


def lock_name(runtime: str, extras: Sequence[str]) -> str:
    """Return the name of the file in `locks` that a bundle is made of."""
    return "-".join((runtime, *sorted(extras)))


def _name(runtime: Runtime, extras: Sequence[str]) -> str:
    ours = version("azureml-databricks")
    return f"azureml-databricks-{ours}-runtime-{lock_name(runtime.version, extras)}.tar.gz"


def _taken(built: Path, runtime: Runtime, extras: Sequence[str], out: Path) -> Archive:
    """Copy an archive that was built elsewhere, by this version: it would be the same bytes."""
    source, path = built / _name(runtime, extras), out / _name(runtime, extras)
    wanted = _about(runtime, extras)
    try:
        with tarfile.open(source) as tar:
            file = tar.extractfile("BUNDLE.json")
            about = json.loads(file.read()) if file else {}
        shutil.copyfile(source, path)
    except (OSError, KeyError, ValueError, tarfile.TarError, EOFError) as error:
        raise BundleError(
            f"{source} cannot be taken ({error}): build it with azureml-databricks {wanted['version']}, "
            f"`azureml-databricks bundle --runtime {runtime.version} ... --out {built}`"
        ) from None
    if {key: about.get(key) for key in wanted} != wanted:
        raise BundleError(f"{source} is not what its name says, {wanted}: build it again")
    return Archive(runtime, path, hashlib.sha256(path.read_bytes()).hexdigest())


def _about(runtime: Runtime, extras: Sequence[str]) -> dict[str, Any]:
    return {
        "version": version("azureml-databricks"),
        "runtime": runtime.version,
        "with": sorted(extras),
    }


def _archive(runtime: Runtime, extras: Sequence[str], out: Path) -> Archive:
    path = out / _name(runtime, extras)
    with tempfile.TemporaryDirectory() as scratch:
        _fill(Path(scratch), runtime, extras)
        _pack(Path(scratch), path)
    return Archive(runtime, path, hashlib.sha256(path.read_bytes()).hexdigest())


def _fill(folder: Path, runtime: Runtime, extras: Sequence[str]) -> None:
    python = str(interpreter.find(runtime.python))
    with as_file(_lock(runtime, extras)) as lock:
        # fmt: off
        done = uv_program.run(
            "pip", "install", "--target", str(folder), "--python", python,
            "--python-platform", _PLATFORM, "--python-version", runtime.python,
            "--no-deps", "--require-hashes", "--only-binary", ":all:", "--link-mode", "copy",
            "--requirements", str(lock),
        )
        # fmt: on
    if done.returncode:
        index = uv_program.without_login(os.environ.get("UV_DEFAULT_INDEX", ""))
        needed = (
            f"UV_DEFAULT_INDEX is {index}: it has to be a mirror of https://pypi.org/simple"
            if index
            else "this machine needs pypi.org, or UV_DEFAULT_INDEX set to a mirror of it"
        )
        raise BundleError(f"the packages cannot be fetched ({uv_program.refusal(done.stderr)}): {needed}")
    shutil.rmtree(folder / "bin", ignore_errors=True)
    (folder / ".lock").unlink(missing_ok=True)
    # Ours, which import on first use, stand in for the plugin's.
    next(folder.glob("azureml_mlflow-*.dist-info/entry_points.txt")).unlink()
    _hide_modules(folder)
    leave_out(folder)
    _add_ourselves(folder)
    about = {
        **_about(runtime, extras),
        "packages": dict(sorted((it.name, it.version) for it in distributions(path=[str(folder)]))),
    }
    (folder / "BUNDLE.json").write_text(json.dumps(about))
    (folder / sbom.NAME).write_text(
        sbom.bill_of_materials(
            folder,
            _lock(runtime, extras).read_text(encoding="utf-8"),
            {"runtime": runtime.version, "python": runtime.python, "with": ", ".join(sorted(extras))},
        )
    )
    # fmt: off
    compiled = subprocess.run(
        [
            python, "-s", "-S", "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash",
            "-s", str(folder), "-p", _ON_THE_NODE, str(folder),
        ],
        # -I would ignore the seed, on which the order of sets in the byte code may depend.
        env={"PYTHONHASHSEED": "0"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    # fmt: on
    if compiled.returncode:
        raise BundleError(f"the packages cannot be compiled: {_last_line(compiled.stdout + compiled.stderr)}")


def _lock(runtime: Runtime, extras: Sequence[str]) -> Traversable:
    return files(f"{_PACKAGE}.locks") / f"{lock_name(runtime.version, extras)}.txt"


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2].strip()


def _hide_modules(folder: Path) -> None:
    """Take out which modules the packages have: MLflow would require what only the bundle has of a model.

    And what uv notes of where it found them, which is not the same with an index and with a folder of wheels.
    """
    for name in ("RECORD", "top_level.txt", "uv_cache.json", "direct_url.json"):
        for file in folder.glob(f"*.dist-info/{name}"):
            file.unlink()


def _add_ourselves(folder: Path) -> None:
    with as_file(files(_PACKAGE)) as package:
        for name in NODE_HALF:
            source, target = package / name, folder / _PACKAGE / name
            target.parent.mkdir(exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            else:
                shutil.copyfile(source, target)
    ours = version("azureml-databricks")
    dist_info = folder / f"{_PACKAGE}-{ours}.dist-info"
    dist_info.mkdir()
    (dist_info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: azureml-databricks\nVersion: {ours}\n")
    shutil.copyfile(folder / _PACKAGE / "bridge/entry_points.txt", dist_info / "entry_points.txt")


def _pack(folder: Path, archive: Path) -> None:
    partial = archive.with_suffix(".partial")
    try:
        with (
            partial.open("wb") as file,
            # More effort would take four times as long and save two percent.
            gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0, compresslevel=6) as compressed,
            tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for path in sorted(folder.rglob("*")):
                tar.add(path, path.relative_to(folder), recursive=False, filter=_anonymous)
        os.replace(partial, archive)
    finally:
        partial.unlink(missing_ok=True)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() else 0o644
    return member


def _render(location: str, archives: Sequence[Archive], settings: dict[str, str] | None) -> str:
    lines = (
        f"{it.runtime.version} {it.runtime.python} {it.path.name} {it.sha256} {','.join(it.runtime.tried)}"
        for it in archives
    )
    values = {
        "LOCATION": location.rstrip("/"),
        "BUNDLES": "\n".join(lines),
        "SETTINGS": _SETTINGS if settings is not None else "",
        "ON_ERROR": (settings or {}).get("onError") or "warn",
    }
    return re.sub(r"@([A-Z0-9_]+)@", lambda found: shlex.quote(values[found[1]]), init_script.template())
