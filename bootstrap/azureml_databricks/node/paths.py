"""Where things lie on a node."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """The places we use.

    Attributes:
        root: what stands for `/`. Only tests that may not mount a file system move it.
    """

    root: Path

    @classmethod
    def of_this_node(cls) -> Paths:
        """Return the places under `/`; under `AZUREML_DATABRICKS_ROOT` on a machine that is no node."""
        elsewhere = os.environ.get("AZUREML_DATABRICKS_ROOT", "")
        return cls(Path(elsewhere if elsewhere and not Path("/databricks").exists() else "/"))

    @property
    def not_a_node(self) -> str:
        """Say in one line that this machine is no node of a cluster, empty where it is one."""
        databricks = self.root / "databricks"
        if databricks.is_dir():
            return ""
        return (
            f"this is no node of a Databricks cluster (there is no {databricks}): run it there, in a "
            "notebook `%sh azureml-databricks doctor`; on an admin's machine, `azureml-databricks verify`"
        )

    @property
    def home(self) -> Path:
        """All that is ours and only ours."""
        return self.root / "databricks/azureml-databricks"

    @property
    def releases(self) -> Path:
        """A folder for each bundle with its settings, named by both."""
        return self.home / "releases"

    @property
    def current(self) -> Path:
        """The link to the release that new processes use."""
        return self.home / "current"

    @property
    def proven(self) -> Path:
        """The SHA-256 of the archive whose bundle has proved itself here."""
        return self.home / "proven"

    @property
    def ledger(self) -> Path:
        """What we changed outside `home`, with what was there before."""
        return self.home / "ledger"

    @property
    def ipython_startup(self) -> Path:
        """Run by every IPython kernel, for every user (IPython's `SYSTEM_CONFIG_DIRS`)."""
        return self.root / "etc/ipython/startup"

    @property
    def command(self) -> Path:
        """The `azureml-databricks` that `%sh` finds."""
        return self.root / "usr/local/bin/azureml-databricks"

    @property
    def memory(self) -> Path:
        """A file system in memory that every process reaches."""
        return self.root / "dev/shm"

    def tokens(self, user: int | str) -> Path:
        """The folder in memory where the processes of one user, by number, share a token; `*` for all."""
        return self.memory / f"azureml-databricks-{user}"
