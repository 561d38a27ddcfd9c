"""The HTTP endpoints of the emulated Azure and the emulated Databricks, walked from the apps that serve them.

The apps are made and never started; what they stand in front of (MLflow, Azurite, minilake) is not there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp

from tests.commands.coverage.sources import Module, Text
from tests.emulated.azure import EmulatedAzure
from tests.emulated.azure.azurite import Azurite
from tests.emulated.azure.identities import Workspace
from tests.emulated.azure.processes import Process
from tests.emulated.azure.tokens import Guard
from tests.emulated.databricks import EmulatedDatabricks
from tests.emulated.databricks.callers import Authenticated
from tests.emulated.databricks.minilake import Minilake

_ANY_PATH = "/{path:path}"


class _Unstarted(EmulatedAzure):
    """One whose MLflow and Azurite never run."""

    def services(self) -> Mapping[str, ASGIApp]:
        self._mlflow, azurite = Process.__new__(Process), Azurite.__new__(Azurite)
        self._mlflow.port, azurite.process = 0, self._mlflow
        return self._gateway(azurite)._services


@dataclass(frozen=True)
class Endpoint:
    """What a request can ask for.

    Attributes:
        methods: of HTTP; none where all are taken.
        path: with `{name}` for what varies.
        handler: the function or method that answers.
    """

    methods: tuple[str, ...]
    path: str
    handler: Callable[..., Any]

    @property
    def file(self) -> Path:
        return Path(inspect.getfile(self.handler))

    @property
    def name(self) -> str:
        return self.handler.__qualname__

    @property
    def text(self) -> Text:
        """Its handler's docstring; the source may be the module's."""
        own = Text.of(self.handler.__doc__)
        return own if own.source else Text(own.what, Module(self.file).text.source)


def of_azure() -> Mapping[str, list[Endpoint]]:
    """Return the endpoints by host (`*` stands for one label), those of the public cloud."""
    azure = _Unstarted(Path())
    return {
        host: [
            Endpoint(each.methods, _named(each.path, azure.workspace), each.handler) for each in _walk(app)
        ]
        for host, app in azure.services().items()
    }


def _named(path: str, workspace: Workspace) -> str:
    """Return a path with names in place of ids, which are others each time."""
    return path.replace(workspace.resource_id, "WORKSPACE_ID").replace(workspace.registry_id, "REGISTRY_ID")


def of_databricks() -> list[Endpoint]:
    """Return the endpoints of a workspace."""
    return list(_walk(EmulatedDatabricks(Path()).empty_workspace(Minilake.__new__(Minilake))))


def _walk(app: ASGIApp, prefix: str = "") -> Iterator[Endpoint]:
    if isinstance(app, Guard | Authenticated):
        yield from _walk(app.app, prefix)
    elif isinstance(app, Starlette | Router):
        for route in app.routes:
            yield from _of_route(route, prefix)
    else:
        assert inspect.isfunction(app), f"{app!r} is none of the apps that this knows"
        yield Endpoint((), prefix + _ANY_PATH, app)


def _of_route(route: BaseRoute, prefix: str) -> Iterator[Endpoint]:
    if isinstance(route, Mount):
        yield from _walk(route.app, prefix + route.path)
    else:
        assert isinstance(route, Route)
        # Whoever answers GET answers HEAD.
        methods = sorted(route.methods or ())
        shown = tuple(method for method in methods if method != "HEAD" or "GET" not in methods)
        yield Endpoint(shown, prefix + route.path, route.endpoint)
