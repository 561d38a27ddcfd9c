"""The command line, in a folder and with variables of an admin's own.

Importing databricks-sdk takes seconds, and so does filling a bundle. So runs are forked from a process that
has done nothing but import, and take archives that are built once.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from tests import REPOSITORY
from tests.emulated.archives import build_once
from tests.emulated.preloaded import Preloaded, Program

SCRIPT = Path(sys.executable).with_name("azureml-databricks")
# What takes long: libraries, and what the commands import when they run.
_MODULES = (
    *(
        "azure.identity",
        "databricks.sdk",
        "tests.admin.command",
        "azureml_databricks.admin.command_line.main",
    ),
    *(f"azureml_databricks.admin.commands.{name}" for name in ("enforce", "render", "verify")),
)
# What takes seconds as well, and serves no command.
_NEVER_IMPORTED = ("azure.ai.ml", "azureml.mlflow", "mlflow")


@dataclass(frozen=True)
class Done:
    """What came of a run; `progress` is what standard error had of that."""

    returncode: int
    stdout: str
    stderr: str
    progress: list[str]


@dataclass(frozen=True)
class Running:
    """A run that has begun.

    Args:
        program: what runs.
        files: its standard input, output and error.
    """

    program: Program
    files: list[Path]

    def done(self) -> Done:
        """Wait for its end."""
        returncode = self.program.wait()
        texts = [file.read_text() for file in self.files]
        for file in self.files:
            file.unlink()
        told = re.findall(r"^\.\.\. (.*)\n", texts[2], re.MULTILINE)
        return Done(returncode, texts[1], re.sub(r"^\.\.\. .*\n", "", texts[2], flags=re.MULTILINE), told)


@dataclass(frozen=True)
class Command:
    """`azureml-databricks` in one folder.

    Args:
        folder: where it runs.
        environment: its variables, all of them.
        version: what it takes itself for, where that is not what is installed.
        builds: whether it builds its archives itself.
    """

    folder: Path
    environment: Mapping[str, str]
    version: str | None = None
    builds: bool = False

    def __call__(self, *arguments: str, stdin: str = "") -> Done:
        """Run it to its end."""
        return self.start(*arguments, stdin=stdin).done()

    def start(self, *arguments: str, stdin: str = "") -> Running:
        """Start it."""
        files = [self.folder / f".{name}" for name in ("stdin", "stdout", "stderr")]
        files[0].write_text(stdin)
        for file in files[1:]:
            file.write_text("")
        return Running(self._program(arguments, files), files)

    def on_terminal(self, terminal: Path, *arguments: str, **variables: str) -> Program:
        """Start it on a terminal, with further variables."""
        command = replace(self, environment={**self.environment, **variables})
        return command._program(arguments, [terminal] * 3)

    def _program(self, arguments: tuple[str, ...], files: list[Path]) -> Program:
        with ExitStack() as stack:
            opened = []
            for number, file in enumerate(files):
                opened.append(os.open(file, (os.O_WRONLY if number else os.O_RDONLY) | os.O_NOCTTY))
                stack.callback(os.close, opened[-1])
            return _preloaded().start(
                f"from tests.admin import command\ncommand.main({self.version!r}, {self.builds!r})",
                opened,
                env=self.environment,
                clean=True,
                cwd=str(self.folder),
                argv=[str(SCRIPT), *arguments],
            )


@cache
def _preloaded() -> Preloaded:
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return Preloaded(list, [sys.executable, "-P"], modules=_MODULES, env=env)


def main(version: str | None, builds: bool) -> None:
    """Be the console script, as a `Command` has it, for which time does not pass."""
    from azureml_databricks.__main__ import main
    from azureml_databricks.admin.commands import service_principal
    from azureml_databricks.admin.objects import init_script_logs

    for name in _NEVER_IMPORTED:
        assert name not in sys.modules, f"a command has imported {name}"
        # Whoever imports it gets an error.
        sys.modules[name] = None  # type: ignore[assignment]
    # The emulated Azure counts requests, and no seconds.
    service_principal.PAUSES = [0] * len(service_principal.PAUSES)
    init_script_logs.PAUSES = [0] * len(init_script_logs.PAUSES)
    if not builds:
        build_once()
    if version:
        be_version(version)
    main()


def be_version(version: str) -> None:
    """Have this process take itself for another version."""
    from azureml_databricks.admin.bundle import archives as bundle
    from azureml_databricks.admin.objects import release

    for module in (bundle, release):
        module.version = lambda _: version  # type: ignore[attr-defined]
