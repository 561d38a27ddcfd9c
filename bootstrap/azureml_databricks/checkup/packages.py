"""The packages that MLflow needs for Azure ML: whose this process has, and whether they go together."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from azureml_databricks.checkup.findings import Finding, Part
from azureml_databricks.node.paths import Paths

PART = Part("packages")
# The rest of the bridge imports each of these when it needs it.
_USED = ("logins", "tracking", "registry", "artifacts")
_OUR_BUNDLE = Path(__file__).parents[2]


@dataclass(frozen=True)
class _Found:
    """A distribution as this process would import it."""

    name: str
    version: str
    place: Path

    @classmethod
    def of(cls, known: Distribution) -> _Found:
        return cls(known.metadata["Name"], known.version, Path(str(known.locate_file(""))).resolve())

    def is_in(self, *folders: str | Path) -> bool:
        return any(self.place.is_relative_to(Path(folder).resolve()) for folder in folders)

    def __str__(self) -> str:
        return f"{self.name} {self.version} in {self.place}"


def findings(paths: Paths) -> Iterator[Finding]:
    """Yield which packages are not the bundle's or the runtime's, and whether all of it can be imported."""
    if str(_OUR_BUNDLE) not in sys.path:
        yield PART.wrong(
            "of the bundle", f"{_OUR_BUNDLE} is not on this process's sys.path", "see the hooks above"
        )
        return
    carried: Mapping[str, str] = json.loads((_OUR_BUNDLE / "BUNDLE.json").read_bytes())["packages"]
    found = {name: known for name in carried if (known := _found(name))}
    ours = [f"{it.name} {it.version}" for it in found.values() if it.is_in(_OUR_BUNDLE)]
    yield PART.ok("of the bundle", ", ".join(ours) or "none is used")
    for name, version in carried.items():
        # The bundle has what one of the runtime's variants lacks, in the other's version.
        if name in found and not found[name].is_in(_OUR_BUNDLE) and found[name].version != version:
            yield PART.note(name, f"{found[name]}, instead of the bundle's {version}")
    strangers = list(_strangers(carried, paths))
    for stranger in strangers:
        yield PART.note(stranger.name, f"{stranger}, instead of the runtime's")
    yield _imports([*strangers, *(it for it in found.values() if not it.is_in(_OUR_BUNDLE))])


def _found(name: str) -> _Found | None:
    try:
        return _Found.of(distribution(name))
    except PackageNotFoundError:
        return None


def _strangers(carried: Mapping[str, str], paths: Paths) -> Iterator[_Found]:
    """Yield what the bundle's packages need and this process has from neither bundle nor runtime."""
    of_the_runtime = (paths.root / "databricks/python3", paths.root / "databricks/python", sys.base_prefix)
    for name in sorted(_needed(carried)):
        known = _found(name)
        if known and not known.is_in(_OUR_BUNDLE, *of_the_runtime):
            yield known


def _needed(carried: Mapping[str, str]) -> set[str]:
    requirements = {line for name in carried for line in _requires(name)}
    names = {re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower() for line in requirements}
    return names - carried.keys()


def _requires(name: str) -> list[str]:
    try:
        return [line for line in distribution(name).requires or () if "extra ==" not in line]
    except PackageNotFoundError:
        return []


def _imports(not_ours: list[_Found]) -> Finding:
    try:
        for module in _USED:
            import_module(f"azureml_databricks.bridge.{module}")
    except Exception as error:  # noqa: BLE001  # what is wrong with somebody's packages can be anything
        names = " ".join(it.name for it in not_ours)
        return PART.wrong(
            "import",
            f"what MLflow needs for Azure ML cannot be imported ({type(error).__name__}: {error})",
            f"take {names} out (%pip uninstall, the cluster's libraries), or install versions that go "
            "together, and restart Python"
            if names
            else f"restart the cluster; the bundle in {_OUR_BUNDLE} may be for another runtime",
        )
    return PART.ok("import", "what MLflow needs for Azure ML can be imported")
