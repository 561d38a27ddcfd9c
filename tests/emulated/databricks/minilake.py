"""The real minilake behind: what it emulates of a workspace's API, and how it is asked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.emulated.azure.forward import forward, new_client
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
        self._client = new_client()

    async def forward(self, request: Request) -> Response:
        """Whatever else minilake serves, as it came; who may do it is not asked.

        Source: https://pypi.org/project/minilake/
        """
        return await forward(request, self.process.url, self._client)

    async def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request of our own; arguments as of `httpx.AsyncClient.request`."""
        return await self._client.request(method, self.process.url + path, **arguments)

    def reset(self) -> None:
        """Forget everything."""
        address = f"{self.process.url}/_minilake/reset?full=true"
        httpx.post(address, trust_env=False, timeout=None).raise_for_status()


def passed_on(answer: httpx.Response) -> Response:
    """Return an answer of minilake's as ours."""
    return JSONResponse(answer.json(), answer.status_code)
