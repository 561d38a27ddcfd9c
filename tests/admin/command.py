"""The command line, in a folder and with variables of an admin's own.

Importing databricks-sdk and azure-ai-ml takes seconds, and so does filling a bundle, which is the same each
time (test_bundle.py). So most runs are forked from a process that has done nothing but import, and take
the archive from the session's first run. `Command.script` is the console script, as it is.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

SCRIPT = Path(sys.executable).with_name("azureml-databricks")


@dataclass(frozen=True)
class Done:
    """What came of a run."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Running:
    """A run that has begun.

    Args:
        process: what runs.
        files: its standard input, output and error.
    """

    process: multiprocessing.process.BaseProcess
    files: list[Path]

    def send(self, number: int) -> None:
        """Send it a signal."""
        assert self.process.pid
        os.kill(self.process.pid, number)

    def done(self) -> Done:
        """Wait for its end."""
        self.process.join()
        texts = [file.read_text() for file in self.files]
        for file in self.files:
            file.unlink()
        assert self.process.exitcode is not None
        return Done(self.process.exitcode, texts[1], texts[2])


@dataclass(frozen=True)
class Command:
    """`azureml-databricks` in one folder.

    Args:
        folder: where it runs.
        environment: its variables, all of them.
        built: a folder of the session's, for archives.
        version: what it takes itself for, where that is not what is installed.
    """

    folder: Path
    environment: Mapping[str, str]
    built: Path
    version: str | None = None

    def __call__(self, *arguments: str, stdin: str = "") -> Done:
        """Run it to its end."""
        return self.start(*arguments, stdin=stdin).done()

    def start(self, *arguments: str, stdin: str = "") -> Running:
        """Start it."""
        files = [self.folder / f".{name}" for name in ("stdin", "stdout", "stderr")]
        files[0].write_text(stdin)
        for file in files[1:]:
            file.write_text("")
        return Running(self._process(arguments, files), files)

    def on_terminal(
        self, terminal: Path, *arguments: str, **variables: str
    ) -> multiprocessing.process.BaseProcess:
        """Start it on a terminal, with further variables."""
        command = replace(self, environment={**self.environment, **variables})
        return command._process(arguments, [terminal] * 3)

    def _process(self, arguments: tuple[str, ...], files: list[Path]) -> multiprocessing.process.BaseProcess:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.admin.preloaded"])
        process = context.Process(target=_run, args=(self, arguments, files))
        process.start()
        return process

    def script(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the console script."""
        return subprocess.Popen(
            [SCRIPT, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def _run(command: Command, arguments: tuple[str, ...], files: list[Path]) -> None:
    # As on a terminal, also where the tests run in the background, which has Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(command.folder)
    os.environ.clear()
    os.environ.update(command.environment)
    for number, file in enumerate(files):
        os.dup2(os.open(file, os.O_WRONLY if number else os.O_RDONLY), number)
    sys.stdin, sys.stdout, sys.stderr = (open(it, mode) for it, mode in enumerate("rww"))  # noqa: SIM115
    sys.argv = [str(SCRIPT), *arguments]
    from azureml_databricks.__main__ import main

    build_once(command.built)
    if command.version:
        be_version(command.version)
    try:
        main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def be_version(version: str) -> None:
    """Have this process take itself for another version."""
    from azureml_databricks.admin.bundle import archives as bundle
    from azureml_databricks.admin.objects import release

    for module in (bundle, release):
        module.version = lambda _: version  # type: ignore[attr-defined]


def build_once(built: Path) -> None:
    """Have this process take each archive from a folder, where the first that needs it puts it."""
    from azureml_databricks.admin.bundle import archives as bundle

    fill, pack = bundle._fill, bundle._pack

    def filled(folder: Path, runtime: bundle.Runtime, extras: Sequence[str]) -> None:
        # An archive's name has the version, the runtime and what it has besides.
        ours = bundle.version("azureml-databricks")  # type: ignore[attr-defined]
        if not list(built.glob(f"*-{ours}-runtime-{bundle.lock_name(runtime.version, extras)}.tar.gz")):
            fill(folder, runtime, extras)

    def packed(folder: Path, archive: Path) -> None:
        if not (built / archive.name).exists():
            pack(folder, archive)
            built.mkdir(exist_ok=True)
            shutil.copy(archive, built)
        shutil.copy(built / archive.name, archive)

    bundle._fill, bundle._pack = filled, packed
