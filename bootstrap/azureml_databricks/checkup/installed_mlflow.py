"""MLflow: whether it can be imported, from where, and whether it is a version that this is for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from azureml_databricks.checkup.findings import Finding, Part

PART = Part("MLflow")
# The oldest of the README's table, which runtime 14.3 ships.
_OLDEST = (2, 9, 2)
_MEND = "rename it if it is yours, else take out what was installed over the runtime's, and restart Python"
_GET_ONE = "use a runtime from 14.3 on, or %pip install 'mlflow-skinny>=2.9.2' and restart Python"


def findings() -> Iterator[Finding]:
    """Yield whether `import mlflow` works here."""
    try:
        import mlflow

        found: str = mlflow.__version__
    except Exception as error:  # noqa: BLE001  # what is wrong with somebody's packages can be anything
        yield PART.wrong("import", f"it fails in {_place()} ({type(error).__name__}: {error})", _MEND)
        return
    names = [f"{name} {known}" for name in ("mlflow", "mlflow-skinny") if (known := _version(name))]
    detail = f"{' and '.join(names) or f'version {found}'} in {Path(mlflow.__file__).parents[1]}"
    if tuple(int(number) for number in re.findall(r"\d+", found)[:3]) < _OLDEST:
        yield PART.wrong("version", f"{detail}: too old", _GET_ONE)
    else:
        yield PART.ok("version", detail)


def _place() -> str:
    """Return where `import mlflow` leads in this process."""
    try:
        found = find_spec("mlflow")
    except ValueError:  # somebody made the module by hand
        found = None
    return str(found.origin if found else "no file: there is no MLflow")


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
