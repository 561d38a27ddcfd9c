"""What of the packages no process on a node can import: it is left out of the archive.

azureml-mlflow brings clients that a generator wrote. Each has a second form, for asyncio, and a second copy
of its classes, for Python 2; nothing refers to them but themselves, and to the copy where the import of the
first fails. That is a third of all bytes, and a seventh of the files, that a node writes as it starts.
"""

from __future__ import annotations

import shutil
from pathlib import Path

_CLIENTS = "azureml/mlflow/_restclient"


def leave_out(folder: Path) -> None:
    """Remove it from the packages in `folder`."""
    for package in [*(folder / _CLIENTS).rglob("aio")]:
        shutil.rmtree(package)
    for module in (folder / _CLIENTS).rglob("_models_py3.py"):
        module.with_name("_models.py").unlink(missing_ok=True)
