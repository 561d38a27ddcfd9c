"""A notebook's cell: prints the version of each package that the notebook sees, and where its modules are."""

from __future__ import annotations

import json
from importlib.metadata import PackagePath, distributions
from importlib.util import find_spec
from typing import Any


def modules(files: list[PackagePath]) -> set[tuple[str, ...]]:
    packages = {file.parts[:-1] for file in files if file.name == "__init__.py" and len(file.parts) < 4}
    plain = {(file.stem,) for file in files if len(file.parts) == 1 and file.suffix == ".py"}
    # azure.core, of the namespace azure
    return {parts for parts in packages | plain if len(parts) == 1 or parts[:1] not in packages}


def origin(name: str) -> str | None:
    try:
        spec = find_spec(name)
        return spec.origin if spec else None
    except (ImportError, ValueError) as error:
        return type(error).__name__


seen: dict[str, Any] = {}
for package in distributions():
    names = sorted(".".join(parts) for parts in modules(package.files or []))
    found = {name: origin(name) for name in names if name.replace(".", "").isidentifier()}
    seen.setdefault(package.metadata["Name"].lower(), [package.version, found])
print(json.dumps(seen))
