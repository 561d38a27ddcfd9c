"""Builds what Databricks puts on a machine to make it a node: `/databricks`, with the runtime's packages.

The result is a folder in `.cache/replicas` that is laid over (or copied to) a node's root. It is
built once and never changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import uv

from tests import REPOSITORY
from tests.emulated.node import interpreter
from tests.emulated.node.interpreter import Interpreter
from tests.emulated.node.runtime import Runtime

_CACHE = REPOSITORY / ".cache" / "replicas"
_ENVIRONMENT = Path("/databricks/python3")
"""The cluster's Python, a virtual environment over the distribution's: /databricks/python3.

Source: facts: seen, in the vendor's image, https://github.com/databricks/containers
"""
_FOLDERS = (
    "Volumes",
    "Workspace",
    "databricks/driver",
    "databricks/init_scripts",
    "databricks/spark/conf",
    "local_disk0/.ephemeral_nfs/envs",
    "local_disk0/tmp",
)
"""Folders that a node has besides:

Source: facts: seen, https://github.com/MicrosoftDocs/azure-docs/issues/62331 and paths that notebooks print
"""


@dataclass(frozen=True)
class Replica:
    """A runtime's files.

    Attributes:
        runtime: whose.
        ml: whether it is the ML variant.
    """

    runtime: Runtime
    ml: bool = False

    @cached_property
    def interpreter(self) -> Interpreter:
        """The Python that the environment stands on."""
        return Interpreter.find(self.runtime.python)

    @cached_property
    def layer(self) -> Path:
        """The folder with the files, laid out as under `/`; it is built now if it never was.

        Raises:
            subprocess.CalledProcessError: uv could not resolve or fetch a package; it has said which.
        """
        layer = _CACHE / self._name()
        if layer.exists():
            return layer
        _CACHE.mkdir(parents=True, exist_ok=True)
        with Path(f"{layer}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not layer.exists():
                # A killed build leaves this name behind, and never the final one.
                building = Path(f"{layer}.building")
                shutil.rmtree(building, ignore_errors=True)
                self._build(building)
                os.replace(building, layer)
        return layer

    @property
    def packages(self) -> Mapping[str, str]:
        """Versions by name."""
        return self.runtime.ml_packages if self.ml else self.runtime.packages

    def _name(self) -> str:
        modules = Path(__file__), Path(interpreter.__file__)
        recipe = *(each.read_text() for each in modules), self.interpreter.describe(), repr(self.packages)
        digest = hashlib.sha256("\0".join(recipe).encode()).hexdigest()
        return f"{self.runtime.version}{'-ml' if self.ml else ''}-{digest[:12]}"

    def _build(self, layer: Path) -> None:
        environment = layer / _ENVIRONMENT.relative_to("/")
        for folder in _FOLDERS:
            (layer / folder).mkdir(parents=True)
        (layer / "databricks/python").symlink_to("python3")
        if not self.interpreter.of_distribution:
            self.interpreter.copy_to(layer)
        _uv("venv", "--system-site-packages", f"--python={self.interpreter.executable}", environment)
        _uv_install(self.packages, f"--python={environment}/bin/python")
        self._build_python_shell(layer)
        settle(environment, was=environment, now=_ENVIRONMENT, base=self.interpreter.on_node)

    def _build_python_shell(self, layer: Path) -> None:
        """The notebook's kernel, outside the environment: /databricks/python_shell.

        Source: facts: seen, in paths that notebooks print, https://github.com/twsl/dbx-patch
        """
        shell = layer / "databricks/python_shell"
        shell.mkdir()
        missing = {name: it for name, it in self._resolve("ipykernel").items() if name not in self.packages}
        if missing:
            _uv_install(missing, f"--python={self.interpreter.executable}", f"--target={shell}")

    def _resolve(self, requirement: str) -> dict[str, str]:
        """Return versions by name for `requirement` and all that it needs, none against the runtime's."""
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
            constraints.write(_requirements(self.packages))
            constraints.flush()
            resolved = _uv(
                *("pip", "compile", "--no-header", "--no-annotate", "--only-binary=:all:"),
                f"--python={self.interpreter.executable}",
                f"--constraint={constraints.name}",
                "-",
                stdin=requirement,
            )
        return dict(line.split("==") for line in resolved.splitlines())


def settle(environment: Path, *, was: Path, now: Path, base: Path) -> None:
    """Make a virtual environment believe that it always lay where it will lie.

    Args:
        environment: where it is at this moment.
        was: the path that its scripts have.
        now: the path that they shall have.
        base: the executable that it stands on.
    """
    for script in (environment / "bin").iterdir():
        if not script.is_symlink() and (content := script.read_bytes()).startswith(b"#!"):
            script.write_bytes(content.replace(bytes(was), bytes(now)))
    python = environment / "bin/python"
    python.unlink()
    python.symlink_to(base)
    configuration = environment / "pyvenv.cfg"
    configuration.write_text(re.sub(r"(?m)^home = .*$", f"home = {base.parent}", configuration.read_text()))


def _uv_install(pins: Mapping[str, str], *where: str) -> None:
    _uv(
        *("pip", "install", "--no-deps", "--only-binary=:all:", "--compile-bytecode"),
        *where,
        "--requirements=-",
        stdin=_requirements(pins),
    )


def _uv(*arguments: Path | str, stdin: str = "") -> str:
    return subprocess.run(
        [uv.find_uv_bin(), *arguments, "--quiet"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        input=stdin,
    ).stdout


def _requirements(pins: Mapping[str, str]) -> str:
    return "".join(f"{name}=={version}\n" for name, version in pins.items())
