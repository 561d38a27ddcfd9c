"""Python programs that begin with their imports done: most of what a test of MLflow costs is `import mlflow`.

For tests of what MLflow does. What is about a process's start, its imports, its memory or its end wants an
interpreter of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.emulated import preloaded_process
from tests.emulated.node import Node

# What `import mlflow` and the first call to a workspace import.
OF_MLFLOW = (
    *("mlflow", "mlflow.pyfunc", "azure.identity", "azure.storage.blob"),
    *(f"azureml_databricks.bridge.{name}" for name in ("tracking", "registry", "artifacts", "links")),
)


@dataclass
class Program:
    """A program that has begun.

    Args:
        pid: its process.
        status: what says its exit code.
    """

    pid: int
    status: IO[str]

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return not select.select([self.status], [], [], 0)[0]

    def wait(self) -> int:
        """Wait for its end and return the exit code, as `subprocess` has it."""
        with self.status:
            return int(self.status.readline())


class Preloaded:
    """A process to fork programs from; it ends with this one, at the latest."""

    def __init__(
        self,
        as_command: Callable[[Sequence[str]], Sequence[str]],
        python: Sequence[str],
        *,
        modules: Sequence[str] = OF_MLFLOW,
        env: Mapping[str, str],
    ) -> None:
        """Start it.

        Args:
            as_command: makes a command of this machine of one, such as `Node.command`.
            python: the interpreter, and its flags.
            modules: what to import.
            env: all its variables.
        """
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        source = Path(preloaded_process.__file__).read_text(encoding="utf-8")
        self._process = subprocess.Popen(
            as_command([*python, "-c", source, str(theirs.fileno()), *modules]),
            env=env,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        assert self._socket.recv(16) == b"ready", "it has said why not"
        atexit.register(self.close)

    def start(
        self,
        code: str,
        files: Sequence[int],
        *,
        env: Mapping[str, str] | None = None,
        clean: bool = False,
        cwd: str = "/tmp",
        user: str | None = None,
        argv: Sequence[str] = ("-c",),
    ) -> Program:
        """Start a program.

        Args:
            code: what it runs as `__main__`.
            files: its standard input, output and error.
            env: variables besides those that the process has.
            clean: whether `env` is all its variables.
            cwd: the folder that it starts in.
            user: who runs it; who runs the process, unless given.
            argv: its `sys.argv`.
        """
        request = {
            **{"code": code, "env": dict(env or {}), "clean": clean},
            **{"cwd": cwd, "user": user, "argv": list(argv)},
        }
        ours, theirs = os.pipe()
        socket.send_fds(self._socket, [json.dumps(request).encode()], [*files, theirs])
        os.close(theirs)
        status = os.fdopen(ours)
        return Program(int(status.readline()), status)

    def run(
        self, code: str, *, env: Mapping[str, str] | None = None, cwd: str = "/tmp", user: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, whatever its exit code; `code` may be indented, else as `start`."""
        with open(os.devnull) as stdin, _in_memory() as stdout, _in_memory() as stderr:
            files = [file.fileno() for file in (stdin, stdout, stderr)]
            program = self.start(textwrap.dedent(code), files, env=env, cwd=cwd, user=user)
            try:
                returncode = program.wait()
            except BaseException:
                os.killpg(program.pid, signal.SIGKILL)
                raise
            texts = []
            for file in (stdout, stderr):
                file.seek(0)
                texts.append(file.read())
        return subprocess.CompletedProcess(["python", "-c", code], returncode, *texts)

    def close(self) -> None:
        """End the process; what it has started goes on."""
        atexit.unregister(self.close)
        self._socket.close()
        self._process.wait()


@contextmanager
def on_node(node: Node) -> Iterator[Preloaded]:
    """Start one with the cluster's Python on a node, and with the node's variables."""

    def as_command(argv: Sequence[str]) -> Sequence[str]:
        return node.command(argv, user=None, cwd="/tmp")

    python = [node.inside("/databricks/python3/bin/python"), "-W", "ignore"]
    preloaded = Preloaded(as_command, python, env=node.variables(None))
    yield preloaded
    preloaded.close()


def _in_memory() -> IO[str]:
    return os.fdopen(os.memfd_create("output"), "w+")
