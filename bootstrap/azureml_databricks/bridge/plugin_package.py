"""The package `azureml.mlflow`, without what its `__init__` imports, until somebody asks for that.

It imports azure-identity, msrest and the storage client: a third of what a process imports until its first
run is there. Our stores stand on modules of the package that need none of them.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any

_NAME = "azureml.mlflow"
_lock = RLock()


class _Package(ModuleType):
    """A package whose `__init__` runs when a name is asked for that it does not have yet."""

    def __getattr__(self, name: str) -> Any:
        with _lock:
            if type(self) is _Package:
                self.__class__ = ModuleType  # type: ignore[assignment]  # what it asks itself for is not there
                spec = self.__spec__
                assert spec is not None
                assert spec.loader is not None
                try:
                    spec.loader.exec_module(self)
                except BaseException:
                    self.__class__ = _Package
                    raise
        return getattr(self, name)


def put_off() -> None:
    """Put off what the package imports, unless it was imported before."""
    with _lock:
        if _NAME in sys.modules:
            return
        spec = find_spec(_NAME)
        if spec is None or spec.loader is None:
            return  # whoever imports it is told
        package = module_from_spec(spec)
        package.__class__ = _Package
        # As an import does: https://docs.python.org/3/reference/import.html#submodules
        sys.modules[_NAME] = package
        parent, _, name = _NAME.rpartition(".")
        setattr(sys.modules[parent], name, package)
