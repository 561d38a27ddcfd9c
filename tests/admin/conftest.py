"""An admin: a folder, a workspace with a volume, an Azure with a service principal."""

from __future__ import annotations

import itertools
import json
import os
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from typing_extensions import Self

from tests.admin.command import Command, Done
from tests.emulated.azure import EmulatedAzure
from tests.emulated.databricks import EmulatedDatabricks

VOLUME = "sales.ml.azureml"
LOCATION = "/Volumes/sales/ml/azureml"


class Admin:
    """Somebody who has a file that describes a deployment, and runs the command line."""

    def __init__(self, folder: Path, databricks: EmulatedDatabricks, azure: EmulatedAzure) -> None:
        self.folder = folder
        self.databricks = databricks
        self.azure = azure
        self.file = folder / "azureml-databricks.toml"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            # Another runtime's Python.
            "PYENV_ROOT": os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv")),
            "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache/uv")),
            **azure.environment,
            "DATABRICKS_TOKEN": databricks.admin.token,
            "AZURE_TENANT_ID": azure.principal.tenant_id,
            "AZURE_CLIENT_ID": azure.principal.client_id,
            "AZURE_CLIENT_SECRET": azure.principal.client_secret,
        }
        self._releases: list[str] = []
        self.run = Command(folder, self.environment)

    @classmethod
    def with_a_file(cls, folder: Path, databricks: EmulatedDatabricks, azure: EmulatedAzure) -> Self:
        """Return one who has a file, a volume, and nothing deployed."""
        databricks.make_volume(VOLUME, usable_by=())
        databricks.user("ann@contoso.com", groups=["data-scientists"])
        admin = cls(folder, databricks, azure)
        admin.write()
        return admin

    @property
    def service_principal(self) -> str:
        """What `az ad sp create-for-rbac` prints."""
        it = self.azure.principal
        printed = {
            "appId": it.client_id,
            "displayName": "mlflow-on-databricks",
            "password": it.client_secret,
            "tenant": it.tenant_id,
        }
        return json.dumps(printed, indent=2)

    def recorded(self) -> str:
        """What was asked of the workspace since it was last asked, for a golden file.

        What is only read, and at once, is in the order of the alphabet.
        """
        text = _with_sorted_reads(self.plain(self.databricks.recorded()))
        self.databricks.journal.clear()
        return text

    def plain(self, text: str) -> str:
        """A text in which releases are numbered by their age, and what differs each time has a name."""
        text = text.replace(self.databricks.host, "HOST").replace(version("azureml-databricks"), "VERSION")
        text = re.sub(r"\b[0-9a-f]{32}\b", "DIGEST", text)
        text = re.sub(r"\b20\d\d-\d\d-\d\d\b", "DATE", text)
        text = re.sub(r"\b\d{4}-\d{6}-[0-9a-z]{8}\b", "CLUSTER-ID", text)
        text = re.sub(r"\b\d{15}\b", "JOB-ID", text)
        # The last part of a GUID looks like a release.
        found = re.findall(r"(?<![-\w])[0-9a-f]{12}\b", text)
        self._releases += [name for name in dict.fromkeys(found) if name not in self._releases]
        for number, name in enumerate(self._releases, start=1):
            text = text.replace(name, f"RELEASE-{number}")
        return text

    def run_or_fail(self, *arguments: str, stdin: str = "") -> Done:
        """Run a command that has to work."""
        done = self.run(*arguments, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, ""), done
        self.plain(done.stdout)
        return done

    def write(self, **sections: str) -> None:
        """Write the file; a section is the TOML below its head, in the place of what is usual."""
        usual = {
            "databricks": f'host = "{self.databricks.host}"',
            "workspace": f'id = "{self.azure.workspace.resource_id}"',
            "clusters": f'runtimes = ["15.4"]\naccessMode = "standard"\nlocation = "{LOCATION}"',
            "policy": 'name = "azureml"\ngroups = ["data-scientists"]',
        }
        self.file.write_text("".join(f"[{name}]\n{text}\n\n" for name, text in {**usual, **sections}.items()))


def _with_sorted_reads(recorded: str) -> str:
    lines = itertools.groupby(recorded.splitlines(), key=lambda line: line.startswith(("GET ", "HEAD ")))
    return "".join(f"{line}\n" for reads, some in lines for line in (sorted(some) if reads else some))


@pytest.fixture
def admin(tmp_path: Path, databricks: EmulatedDatabricks, azure: EmulatedAzure) -> Admin:
    """An admin with a file, a volume, and nothing deployed."""
    return Admin.with_a_file(tmp_path, databricks, azure)


@pytest.fixture
def admin_with_secrets(admin: Admin) -> Admin:
    """An admin who has put the service principal into the scope."""
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    admin.databricks.journal.clear()
    return admin


@pytest.fixture
def deployed(admin_with_secrets: Admin) -> Admin:
    """An admin who has deployed what the file says."""
    admin_with_secrets.run_or_fail("deploy", "--yes")
    admin_with_secrets.databricks.journal.clear()
    return admin_with_secrets
