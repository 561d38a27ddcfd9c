"""`make lock`: resolve what the bundle adds to each runtime, against that runtime's own list, and the rest.

A package that the runtime ships constrains the resolution and is left out of the lock; what remains is what
the bundle carries. Whether that works is not for metadata to say: `make runtimes` imports and calls it. An
environment of the stories has all of its packages in its lock.
"""

from __future__ import annotations

import subprocess
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

import uv

from azureml_databricks.admin.bundle.archives import EXTRAS, RUNTIMES, Runtime, lock_name
from tests import REPOSITORY
from tests.emulated.node.runtime import LISTS
from tests.emulated.spark import distribution
from tests.matrices.mlflow_versions import environments

_HERE = Path(__file__).parent
_LOCKS = files("azureml_databricks.locks")
_PLATFORM = "--python-platform=x86_64-manylinux_2_35"


def main() -> None:
    """Write the locks of all runtimes, of the stories' environments, of Spark, and the development lock."""
    for runtime in RUNTIMES.values():
        _lock_bundle(runtime)
        _lock_bundle(runtime, *EXTRAS)
    _lock_manual_way(RUNTIMES["15.4"])
    for mlflow, python in environments.VERSIONS.items():
        _lock_stories(mlflow, python)
    for spark in distribution.VERSIONS:
        folder = distribution.REQUIREMENTS
        _compile(folder / f"{spark}.in", "--no-deps", out=folder / f"{spark}.txt")
    _compile(
        REPOSITORY / "setup.cfg",
        _HERE / "requirements.in",
        "--extra=admin",
        "--universal",
        "--python-version=3.10",
        out=_HERE / "requirements.txt",
    )
    print("==> `make runtimes` shows whether the new versions work")


def _lock_bundle(runtime: Runtime, *extras: str) -> None:
    with as_file(_LOCKS) as folder:
        _compile(
            *(folder / f"{name}.in" for name in ("bundle", *extras)),
            f"--constraint={folder / runtime.version}.in",
            *_beside(runtime),
            out=folder / f"{lock_name(runtime.version, extras)}.txt",
        )


def _lock_manual_way(runtime: Runtime) -> None:
    """Lock what a user of the manual way installs on the cluster, to compare with."""
    folder = _HERE / "manual_way"
    _compile(folder / "requirements.in", *_beside(runtime), out=folder / f"{runtime.version}.txt")


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


def _beside(runtime: Runtime) -> list[str]:
    """Return the options by which what the runtime ships constrains a lock, and is left out of it."""
    # The versions of the list, not those that a replica has in their place.
    shipped = LISTS / f"{runtime.version}.txt"
    names = [line.partition("==")[0] for line in shipped.read_text().splitlines() if "==" in line]
    return [
        f"--constraint={shipped}",
        f"--python-version={runtime.python}",
        _PLATFORM,
        *(f"--no-emit-package={name}" for name in names),
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
