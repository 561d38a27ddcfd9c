"""MLflow: whether it can be imported, from where, and whether it is a version that this is for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from azureml_databricks.checkup.findings import Finding, Part

PART = Part("MLflow")
# The oldest of the README's table, which runtime 14.3 ships.
_OLDEST = (2, 9, 2)
_GET_ONE = "use a runtime from 14.3 on, or %pip install 'mlflow-skinny>=2.9.2' and restart Python"


def findings() -> Iterator[Finding]:
    """Yield whether `import mlflow` works here."""
    try:
        import mlflow

        found: str = mlflow.__version__
    except Exception as error:  # noqa: BLE001  # what is wrong with somebody's packages can be anything
        yield PART.wrong("import", f"import mlflow fails ({type(error).__name__}: {error})", _GET_ONE)
        return
    names = [f"{name} {known}" for name in ("mlflow", "mlflow-skinny") if (known := _version(name))]
    detail = f"{' and '.join(names) or f'version {found}'} in {Path(mlflow.__file__).parents[1]}"
    if tuple(int(number) for number in re.findall(r"\d+", found)[:3]) < _OLDEST:
        yield PART.wrong("version", f"{detail}: too old", _GET_ONE)
    else:
        yield PART.ok("version", detail)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
