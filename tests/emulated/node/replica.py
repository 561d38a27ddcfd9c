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

Source: facts: seen, in public init scripts and in paths that notebooks print
"""


@dataclass(frozen=True)
class Replica:
    """A runtime's files.

    Attributes:
        runtime: whose.
        ml: the ML variant: MLflow, with what it needs, in place of mlflow-skinny. No full list of an ML
            variant is public; the rest is the standard variant's.
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

    def _name(self) -> str:
        modules = Path(__file__), Path(interpreter.__file__)
        recipe = *(each.read_text() for each in modules), self.interpreter.describe(), repr(self)
        digest = hashlib.sha256("\0".join(recipe).encode()).hexdigest()
        return f"{self.runtime.version}{'-ml' if self.ml else ''}-{digest[:12]}"

    def _build(self, layer: Path) -> None:
        environment = layer / _ENVIRONMENT.relative_to("/")
        if self.ml:
            standard = Replica(Runtime.load(self.runtime.list_of)).layer
            shutil.copytree(standard, layer, symlinks=True, copy_function=_link_package)
            settle(environment, was=_ENVIRONMENT, now=environment, base=self.interpreter.executable)
            _uv("pip", "uninstall", f"--python={environment}/bin/python", "mlflow-skinny")
            pins = {name: version for name, version in self._pins().items() if name != "mlflow-skinny"}
            added = self._resolve(f"mlflow=={self.runtime.ml_mlflow}", pins)
            _uv_install(added, f"--python={environment}/bin/python")
        else:
            self._build_standard(layer, environment)
        (layer / "databricks/DBR_VERSION").write_text(self.runtime.version)
        settle(environment, was=environment, now=_ENVIRONMENT, base=self.interpreter.on_node)

    def _build_standard(self, layer: Path, environment: Path) -> None:
        for folder in _FOLDERS:
            (layer / folder).mkdir(parents=True)
        (layer / "databricks/python").symlink_to("python3")
        if not self.interpreter.of_distribution:
            self.interpreter.copy_to(layer)
        _uv("venv", "--system-site-packages", f"--python={self.interpreter.executable}", environment)
        _uv_install(self._pins(), f"--python={environment}/bin/python")
        self._build_python_shell(layer)

    def _build_python_shell(self, layer: Path) -> None:
        """The notebook's kernel, outside the environment: /databricks/python_shell.

        Source: facts: seen, in paths that notebooks print, https://github.com/twsl/dbx-patch
        """
        shell = layer / "databricks/python_shell"
        pins = self._pins()
        kernel = self._resolve("ipykernel", pins)
        _uv_install(
            {name: version for name, version in kernel.items() if name not in pins},
            f"--python={self.interpreter.executable}",
            f"--target={shell}",
        )

    def _pins(self) -> dict[str, str]:
        return {_normalised(name): version for name, version in self.runtime.packages.items()}

    def _resolve(self, requirement: str, pins: dict[str, str]) -> dict[str, str]:
        """Return versions by name for `requirement` and all that it needs, none against `pins`."""
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
            constraints.write(_requirements(pins))
            constraints.flush()
            resolved = _uv(
                *("pip", "compile", "--no-header", "--no-annotate", "--only-binary=:all:"),
                f"--python={self.interpreter.executable}",
                f"--constraint={constraints.name}",
                "-",
                stdin=requirement,
            )
        return dict(line.split("==") for line in resolved.splitlines())


def _link_package(source: str, target: str) -> None:
    # Packages are only ever replaced, never written to; what is not of a package is.
    (os.link if "/site-packages/" in source else shutil.copy2)(source, target)


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


def _uv_install(pins: dict[str, str], *where: str) -> None:
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


def _requirements(pins: dict[str, str]) -> str:
    return "".join(f"{name}=={version}\n" for name, version in pins.items())


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
