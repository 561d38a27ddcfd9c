"""The real minilake behind: what it emulates of a workspace's API, and how it is asked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import requests
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.emulated.azure.forward import Answer, Client
from tests.emulated.azure.processes import Process, free_port

# Those that nothing here stands in front of entirely.
_SERVICES = "identity,scim,tokens,dbfs,files,unity_catalog,grants,instance_pools,secrets,permissions,catchall"


class Minilake:
    """One server, from ``__enter__`` of its ``process`` on."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.process = Process(
            *(sys.executable, "-m", "minilake", "--port", str(port)),
            port=port,
            log=folder / "minilake.log",
            env={
                # Volumes' files need an absolute path.
                "MINILAKE_DATA_DIR": str(folder.resolve() / "minilake"),
                "MINILAKE_SERVICES": _SERVICES,
                "MINILAKE_NOTEBOOK": "0",
                # Else it asks the internet for an extension of DuckDB's, and waits for the answer.
                "MINILAKE_DUCKDB_EXTENSION_DIR": str(folder.resolve() / "no-extensions"),
                # What the service answers in milliseconds; Databricks takes minutes.
                "NO_PROXY": "127.0.0.1,localhost",
            },
        )
        self._client = Client()

    async def forward(self, request: Request) -> Response:
        """Whatever else minilake serves, as it came; who may do it is not asked.

        Source: https://pypi.org/project/minilake/
        """
        return await self._client.forward(request, self.process.url)

    async def ask(self, method: str, path: str, **arguments: Any) -> Answer:
        """Send a request of our own; arguments as of `aiohttp.ClientSession.request`."""
        return await self._client.ask(method, self.process.url + path, **arguments)

    def reset(self) -> None:
        """Forget everything."""
        address = f"{self.process.url}/_minilake/reset?full=true"
        with requests.Session() as session:
            session.trust_env = False
            session.post(address).raise_for_status()


def passed_on(answer: Answer) -> Response:
    """Return an answer of minilake's as ours."""
    return JSONResponse(answer.json(), answer.status_code)
