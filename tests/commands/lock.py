"""`make lock`: resolve what the bundle adds to each runtime, against that runtime's own lists, and the rest.

A package that the runtime ships constrains the resolution. One that both its variants ship is left out of the
lock; what remains is what the bundle carries. Whether that works is not for metadata to say: `make runtimes`
imports and calls it. An environment of the stories has all of its packages in its lock.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

import uv
from packaging.version import Version

from azureml_databricks.admin.bundle.archives import EXTRAS, RUNTIMES, Runtime, lock_name
from tests import REPOSITORY
from tests.emulated.node.runtime import Runtime as Listed
from tests.emulated.node.runtime import shipped
from tests.emulated.spark import distribution
from tests.matrices.mlflow_versions import environments

_HERE = Path(__file__).parent
_LOCKS = files("azureml_databricks.locks")
_DEVELOPMENT = _HERE / "requirements.txt"
# What setup.cfg says of an admin's machine, from the oldest Python that we support.
_ADMIN = "--extra=admin", "--universal", "--python-version=3.10"
_PLATFORM = "--python-platform=x86_64-manylinux_2_35"


def main() -> None:
    """Write the locks of all runtimes, of the stories, of Spark, of development and of admins."""
    for runtime in RUNTIMES.values():
        _lock_bundle(runtime)
        _lock_bundle(runtime, *EXTRAS)
    _lock_manual_way(RUNTIMES["15.4"])
    _lock_tracers(RUNTIMES["15.4"])
    for mlflow, python in environments.VERSIONS.items():
        _lock_stories(mlflow, python)
    for lock in distribution.LOCKS:
        folder = distribution.REQUIREMENTS
        _compile(folder / f"{lock}.in", "--no-deps", out=folder / f"{lock}.txt")
    _compile(
        REPOSITORY / "setup.cfg",
        _HERE / "requirements.in",
        *_ADMIN,
        out=_DEVELOPMENT,
    )
    _lock_admin()
    print("==> `make runtimes` shows whether the new versions work")


def _lock_admin() -> None:
    """Lock what an admin installs, for all Pythons, in the versions that the tests run with."""
    with as_file(files("azureml_databricks.admin")) as folder:
        _compile(
            REPOSITORY / "setup.cfg",
            folder / "requirements.in",
            f"--constraint={_DEVELOPMENT}",
            *_ADMIN,
            out=folder / "requirements.txt",
        )


def _lock_bundle(runtime: Runtime, *extras: str) -> None:
    """Lock what either variant of a runtime lacks, beside both.

    Of a package that they have in two versions the older counts. One that a single variant has is in the
    bundle for the other, in the same version, if there is a wheel of that.
    """
    standard, ml = shipped(runtime.version), shipped(f"{runtime.version}-ml")
    # The versions of the lists, not those that a replica has in their place.
    both = {name: min(standard[name], ml[name], key=Version) for name in standard.keys() & ml.keys()}
    listed = Listed.load(runtime.version)
    either = {**listed.packages, **listed.ml_packages, **both}
    with as_file(_LOCKS) as folder, _beside(runtime, either, both) as options:
        _compile(
            *(folder / f"{name}.in" for name in ("bundle", *extras)),
            f"--constraint={folder / runtime.version}.in",
            f"--override={folder / 'overrides.in'}",
            *options,
            out=folder / f"{lock_name(runtime.version, extras)}.txt",
        )


def _lock_manual_way(runtime: Runtime) -> None:
    """Lock what a user of the manual way installs on the cluster, to compare with."""
    folder, here = _HERE / "manual_way", shipped(runtime.version)
    with _beside(runtime, here, here) as options:
        _compile(folder / "requirements.in", *options, out=folder / f"{runtime.version}.txt")


def _lock_tracers(runtime: Runtime) -> None:
    """Lock the tracers that a start is tried beside."""
    folder = REPOSITORY / "tests/node"
    _compile(
        folder / "tracers.in",
        f"--python-version={runtime.python}",
        _PLATFORM,
        "--only-binary=:all:",
        out=folder / "tracers.txt",
    )


def _lock_stories(mlflow: str, python: str) -> None:
    """Lock the environment that the stories of an MLflow version run in."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as overrides:
        # azureml-mlflow wants none that is newer than itself; a cluster's bundle does not ask its metadata.
        print(f"mlflow-skinny=={mlflow}", file=overrides, flush=True)
        _compile(
            environments.REQUIREMENTS / f"{mlflow}.in",
            f"--python-version={python}",
            f"--override={overrides.name}",
            _PLATFORM,
            # pyspark is published as a source archive only.
            "--only-binary=:all:",
            "--no-binary=pyspark",
            out=environments.REQUIREMENTS / f"{mlflow}.txt",
        )


@contextmanager
def _beside(runtime: Runtime, shipped: Mapping[str, str], left_out: Iterable[str]) -> Iterator[list[str]]:
    """Yield the options by which `shipped` constrains a lock, and `left_out` stays out of it."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        print(
            *(f"{name}=={version}" for name, version in shipped.items()),
            sep="\n",
            file=constraints,
            flush=True,
        )
        yield [
            f"--constraint={constraints.name}",
            f"--python-version={runtime.python}",
            _PLATFORM,
            *(f"--no-emit-package={name}" for name in sorted(left_out)),
        ]


def _compile(*arguments: Path | str, out: Path) -> None:
    subprocess.run(
        [
            uv.find_uv_bin(),
            "pip",
            "compile",
            "--quiet",
            "--upgrade",
            "--generate-hashes",
            "--no-annotate",
            "--no-header",
            f"--output-file={out}",
            *arguments,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=REPOSITORY,
    )
    subprocess.run(["git", "diff", "--stat", "--", out], check=False, cwd=REPOSITORY)


if __name__ == "__main__":
    main()
