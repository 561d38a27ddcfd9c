"""A node, however it is made: what tests do with one."""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
import signal
import subprocess
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from nbformat import NotebookNode

from tests.emulated.node import init_scripts, notebook
from tests.emulated.node.changes import Change
from tests.emulated.node.init_scripts import AccessMode
from tests.emulated.node.replica import Replica

Ability = Literal["system paths", "other user", "full disk"]
Output = IO[str] | int


class NodeError(Exception):
    """The node, and not what runs on it, does not work."""


class Node(ABC):
    """An emulated Databricks node.

    Paths and users are the node's, unless a parameter says otherwise.

    Attributes:
        root: the folder of this machine by which the node's files are read and written.
        environment: variables that every process on the node has: what Databricks always sets, and the
            cluster's `spark_env_vars`.
        access_mode: the cluster's.
    """

    access_mode: AccessMode = "dedicated"

    def __init__(self, replica: Replica, root: Path, environment: Mapping[str, str]) -> None:
        """Make the node of what is at `root`."""
        self.replica = replica
        self.root = root
        self.environment = dict(environment)
        self._numbers = itertools.count()
        self.path("/databricks/DBR_VERSION").write_text(replica.runtime.release)
        # Seen in public init scripts: the cluster's variables are in this file as well.
        exports = (f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
        self.path("/databricks/spark/conf/spark-env.sh").write_text("".join(exports))
        self.checkpoint()

    @abstractmethod
    def path(self, node_path: str) -> Path:
        """Return where this machine finds what `node_path` leads to on the node, links followed."""

    @abstractmethod
    def inside(self, node_path: str) -> str:
        """Return `node_path` as a process on the node has to write it."""

    @property
    @abstractmethod
    def cannot(self) -> Mapping[Ability, str]:
        """What this kind of node cannot do, and why: the reason for a test to skip.

        "system paths": programs find files by the node's own absolute paths (`/etc/ipython/startup`).
        "other user": `user` may be given.
        "full disk": `leave_free` works, and what is mounted on the node is the node's only.
        """

    @abstractmethod
    def checkpoint(self) -> None:
        """Let `changes` count from now on."""

    @abstractmethod
    def changes(self) -> dict[str, Change]:
        """Return all that differs in content, mode, owner or time from the last checkpoint, or from boot.

        A folder's time does not count, `__pycache__` does.
        """

    @abstractmethod
    def leave_free(self, size: int | None) -> None:
        """Let the node's disk have so many bytes left, or as many as ever."""

    @abstractmethod
    def command(self, argv: Sequence[str], *, user: str | None, cwd: str) -> list[str]:
        """Return the command of this machine that becomes, in the same process, `argv` on the node."""

    def variables(self, user: str | None) -> dict[str, str]:
        """Return a fresh node's environment; nothing of this machine's.

        Source: assumed: strictest reading
        """
        system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {
            "PATH": f"{self.inside('/databricks/python3/bin')}:{system}",
            "HOME": self.inside("/tmp" if user else "/root"),
            "LANG": "C.UTF-8",
            **self.environment,
        }

    def popen(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        cwd: str = "/",
        stdout: Output = subprocess.PIPE,
        stderr: Output = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Start a command; the process is the command's own, at the head of its own group.

        Args:
            argv: the command.
            env: variables besides the node's own.
            user: who runs it; root, unless given. `HOME` is then `/tmp`.
            cwd: the folder it starts in.
            stdout: as for `subprocess.Popen`.
            stderr: as for `subprocess.Popen`.
        """
        return subprocess.Popen(
            self.command(argv, user=user, cwd=cwd),
            env={**self.variables(user), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        cwd: str = "/",
        timeout: float = 600,
        stdout: Output = subprocess.PIPE,
        stderr: Output = subprocess.PIPE,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever its exit code; parameters as of `popen`.

        Raises:
            subprocess.TimeoutExpired: it took more than `timeout` seconds, and was killed.
        """
        process = self.popen(argv, env=env, user=user, cwd=cwd, stdout=stdout, stderr=stderr)
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def copy_in(self, host_path: Path, node_path: str) -> None:
        """Copy a file or folder of this machine to the node, with the folders above it."""
        target = self.path(node_path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if host_path.is_dir():
            shutil.copytree(host_path, target, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(host_path, target)

    def run_init_script(
        self, node_path: str, *, env: Mapping[str, str] | None = None, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run a script as a node's start does; an exit code other than 0 would fail the cluster's launch.

        Databricks runs a copy of the script, and keeps its output:
        `/databricks/init_scripts/*.{stdout,stderr}.log`. Not all variables may reach it (init_scripts.py).

        Source: https://learn.microsoft.com/azure/databricks/init-scripts/cluster-scoped,
        https://learn.microsoft.com/azure/databricks/init-scripts/logs; that it is a copy is assumed
        """
        name = f"{next(self._numbers)}_{PurePosixPath(node_path).name}"
        copy = f"/databricks/init_scripts/{name}"
        shutil.copyfile(self.path(node_path), self.path(copy))
        logs = self.path(f"{copy}.stdout.log"), self.path(f"{copy}.stderr.log")
        with logs[0].open("w") as stdout, logs[1].open("w") as stderr:
            given = {**self.variables(None), **(env or {})}
            withheld = init_scripts.withheld(
                given, self.access_mode, self.environment["DATABRICKS_RUNTIME_VERSION"]
            )
            without = [f"--unset={name}" for name in withheld]
            argv = ["env", *without, "bash", self.inside(copy)]
            done = self.run(argv, env=env, timeout=timeout, stdout=stdout, stderr=stderr)
        done.stdout, done.stderr = (log.read_text() for log in logs)
        return done

    def notebook_environment(self) -> str:
        """Make a notebook's own environment, chained to the cluster's, and return its path.

        Source: facts: seen, /local_disk0/.ephemeral_nfs/envs/pythonEnv-UUID with its sites.pth,
        in paths that notebooks print, https://github.com/fugue-project/fugue/issues/517
        """
        environment = f"/local_disk0/.ephemeral_nfs/envs/pythonEnv-{uuid.uuid4()}"
        made = self.run(
            [
                self.inside("/databricks/python3/bin/python"),
                *("-m", "venv", "--system-site-packages", "--without-pip"),
                self.inside(environment),
            ]
        )
        if made.returncode:
            raise NodeError(f"{environment} could not be made: {made.stderr}")
        packages = f"lib/python{self.replica.interpreter.version}/site-packages"
        chained = (
            f"/local_disk0/.ephemeral_nfs/cluster_libraries/python/{packages}",
            f"/databricks/python/{packages}",
        )
        sites = self.path(f"{environment}/{packages}/sites.pth")
        sites.write_text("".join(f"{self.inside(folder)}\n" for folder in chained))
        return environment

    def run_notebook(
        self,
        cells: Path | Sequence[str],
        *,
        launcher: Sequence[str] = notebook.IPYKERNEL,
        environment: str | None = None,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        cwd: str = notebook.FOLDER,
        timeout: float = 600,
        allow_errors: bool = False,
    ) -> NotebookNode:
        """Run a notebook in a kernel on the node, and return it with its outputs.

        Args:
            cells: a file of this machine (`.ipynb`), or the source of each cell.
            launcher: what the environment's Python runs as the kernel.
            environment: what `notebook_environment` returned; a new one, unless given.
            env: variables besides the node's own.
            user: who runs it; root, unless given.
            cwd: the folder it starts in.
            timeout: of each cell, in seconds.
            allow_errors: whether to go on after a cell that raises.

        Raises:
            nbclient.exceptions.CellExecutionError: a cell raised.
            notebook.KernelError: the kernel did not start, or died; with what it printed.
        """
        return notebook.run(
            self,
            notebook.read(cells),
            launcher=launcher,
            environment=environment or self.notebook_environment(),
            env=env or {},
            user=user,
            cwd=cwd,
            timeout=timeout,
            allow_errors=allow_errors,
        )
