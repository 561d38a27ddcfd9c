"""One-time runs: a cluster of their own is really booted, the file really run, and both are gone after.

Source: https://docs.databricks.com/api/azure/workspace/jobs/submit
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.emulated import databricks_context
from tests.emulated.databricks import access_modes
from tests.emulated.databricks.callers import Caller, caller
from tests.emulated.databricks.cluster import UNPRIVILEGED, LaunchError
from tests.emulated.databricks.clusters import Clusters
from tests.emulated.databricks.errors import invalid
from tests.emulated.databricks.ids import WORKSPACE_ID, WORKSPACE_URL, new_number
from tests.emulated.node import Node

_MOST_OF_LOGS = 5 * 1024 * 1024
"""Of a run's output, its last 5 MB are kept.

Source: https://docs.databricks.com/api/azure/workspace/jobs/getrunoutput
"""
_SCRIPT = "/databricks/driver/task.py"

# How a run gets a node for its cluster, and a file's bytes, as its owner.
Launch = Callable[[str, Caller], AbstractContextManager[Node]]
ReadFile = Callable[[str, Caller], bytes]


@dataclass
class _Run:
    """A run with one task."""

    owner: Caller
    name: str
    task: dict[str, Any]
    timeout: int
    run_id: int = field(default_factory=new_number)
    task_run_id: int = field(default_factory=new_number)
    cluster_id: str = ""
    started: int = field(default_factory=lambda: _now())
    ended: int = 0
    state: dict[str, str] = field(
        default_factory=lambda: {"life_cycle_state": "PENDING", "state_message": ""}
    )
    logs: str = ""
    error: str = ""
    trace: str = ""
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def has_had_its_time(self) -> bool:
        return bool(self.timeout) and _now() - self.started > self.timeout * 1000

    def end(self, result: str, message: str = "", life_cycle: str = "TERMINATED") -> None:
        self.ended = _now()
        self.state = {"life_cycle_state": life_cycle, "result_state": result, "state_message": message}


class Runs:
    """All one-time runs of the workspace."""

    def __init__(self, clusters: Clusters, launch: Launch, read_file: ReadFile) -> None:
        self._clusters = clusters
        self._launch = launch
        self._read_file = read_file
        self._runs: dict[int, _Run] = {}
        self._by_token: dict[str, int] = {}
        self._threads: list[threading.Thread] = []

    @property
    def routes(self) -> list[Route]:
        base = "/api/2.2/jobs/runs"
        return [
            Route(f"{base}/submit", self._submit, methods=["POST"]),
            Route(f"{base}/get", self._get, methods=["GET"]),
            Route(f"{base}/get-output", self._get_output, methods=["GET"]),
            Route(f"{base}/list", self._list, methods=["GET"]),
            Route(f"{base}/cancel", self._cancel, methods=["POST"]),
            Route(f"{base}/delete", self._delete, methods=["POST"]),
        ]

    def stop(self) -> None:
        """Cancel what runs, and wait until its node is gone."""
        for run in self._runs.values():
            run.cancelled.set()
        self.wait()

    def wait(self) -> None:
        """Wait until each run has ended, and its node is gone."""
        for thread in self._threads:
            thread.join()

    async def _submit(self, request: Request) -> JSONResponse:
        """Run a Python file on a new cluster, the only kind of task here; once for each idempotency token."""
        sent, who = await request.json(), caller(request)
        token = sent.get("idempotency_token", "")
        if token in self._by_token:
            return JSONResponse({"run_id": self._by_token[token]})
        tasks = sent.get("tasks") or []
        if len(tasks) != 1 or "spark_python_task" not in tasks[0] or "new_cluster" not in tasks[0]:
            raise invalid("This workspace runs one task: a Python file on a new cluster")
        spec = self._clusters.spec(tasks[0]["new_cluster"], who, "job")
        run = _Run(who, sent.get("run_name") or "Untitled", tasks[0], sent.get("timeout_seconds") or 0)
        run.cluster_id = self._clusters.add(spec, who, source="JOB")["cluster_id"]
        self._runs[run.run_id] = run
        if token:
            self._by_token[token] = run.run_id
        thread = threading.Thread(target=self._do, args=[run], daemon=True)
        self._threads.append(thread)
        thread.start()
        return JSONResponse({"run_id": run.run_id})

    async def _get(self, request: Request) -> JSONResponse:
        return JSONResponse(self._shown(self._found(int(request.query_params["run_id"]))))

    async def _get_output(self, request: Request) -> JSONResponse:
        """A task's output; a run of several tasks has none of its own."""
        run_id = int(request.query_params["run_id"])
        if run_id in self._runs:
            raise invalid(
                "Retrieving the output of runs with multiple tasks is not supported. Please retrieve the "
                "output of each individual task run instead."
            )
        run = self._found(run_id)
        output: dict[str, Any] = {
            "metadata": self._shown(run)["tasks"][0],
            "logs": run.logs[-_MOST_OF_LOGS:],
            "logs_truncated": len(run.logs) > _MOST_OF_LOGS,
        }
        told = {"error": run.error, "error_trace": run.trace}
        return JSONResponse({**output, **{name: text for name, text in told.items() if text}})

    async def _list(self, request: Request) -> JSONResponse:
        """All runs on one page, the last first."""
        shown = [self._shown(run) for run in reversed(self._runs.values())]
        return JSONResponse({"runs": shown, "has_more": False} if shown else {})

    async def _cancel(self, request: Request) -> JSONResponse:
        """Kill what runs."""
        run = self._found((await request.json())["run_id"])
        run.cancelled.set()
        return JSONResponse({})

    async def _delete(self, request: Request) -> JSONResponse:
        """Forget a run that has ended."""
        run = self._found((await request.json())["run_id"])
        if not run.ended:
            raise invalid(f"Run {run.run_id} is active: cancel it before it is deleted.")
        del self._runs[run.run_id]
        return JSONResponse({})

    def _found(self, run_id: int) -> _Run:
        for run in self._runs.values():
            if run_id in (run.run_id, run.task_run_id):
                return run
        raise invalid(f"Run {run_id} does not exist.")

    def _shown(self, run: _Run) -> dict[str, Any]:
        common = {
            "run_name": run.name,
            "creator_user_name": run.owner.user_name,
            "run_type": "SUBMIT_RUN",
            "start_time": run.started,
            "end_time": run.ended,
            "state": run.state,
        }
        task = {**run.task, **common, "run_id": run.task_run_id, "attempt_number": 0}
        task["cluster_instance"] = {"cluster_id": run.cluster_id}
        page = f"{WORKSPACE_URL}/jobs/runs/{run.run_id}"
        return {**common, "run_id": run.run_id, "format": "MULTI_TASK", "run_page_url": page, "tasks": [task]}

    def _do(self, run: _Run) -> None:
        try:
            with self._launch(run.cluster_id, run.owner) as node:
                run.state = {"life_cycle_state": "RUNNING", "state_message": "In run"}
                ended = self._execute(run, node)
                run.state = {"life_cycle_state": "TERMINATING", "state_message": ""}
            # "The cluster and execution context have been cleaned up":
            # https://docs.databricks.com/api/azure/workspace/jobs/getrun, life_cycle_state
            run.end(*ended)
        except LaunchError as error:
            message = (
                f"Unexpected failure while waiting for the cluster ({run.cluster_id}) to be ready: Cluster "
                f"{run.cluster_id} is in unexpected state Terminated: {error.code}(CLIENT_ERROR): "
                f"databricks_error_message:{error.message}"
            )
            run.error = message
            run.end("FAILED", message, life_cycle="INTERNAL_ERROR")
        except Exception as error:
            run.end("FAILED", f"the emulator failed: {error!r}", life_cycle="INTERNAL_ERROR")
            raise

    def _execute(self, run: _Run, node: Node) -> tuple[str, str]:
        task = run.task["spark_python_task"]
        with tempfile.NamedTemporaryFile() as copy:
            Path(copy.name).write_bytes(self._read_file(task["python_file"], run.owner))
            Path(copy.name).chmod(0o644)
            node.copy_in(Path(copy.name), _SCRIPT)
        cluster = self._clusters.found(run.cluster_id)
        standard = access_modes.mode(cluster["spec"]) == "standard"
        user = UNPRIVILEGED if standard and "other user" not in node.cannot else None
        python = node.inside("/databricks/python3/bin/python")
        process = node.popen(
            [python, node.inside(_SCRIPT), *task.get("parameters", [])],
            env=_context(node, run),
            user=user,
            cwd="/databricks/driver",
            stderr=subprocess.STDOUT,
        )
        with _killed_when(process, run):
            run.logs, _ = process.communicate()
        return self._judge(run, process.returncode)

    def _judge(self, run: _Run, returncode: int) -> tuple[str, str]:
        """Return what came of the run, and what is said of it."""
        if run.cancelled.is_set():
            return "CANCELED", "Run cancelled."
        if run.has_had_its_time:
            return "TIMEDOUT", "Run timed out."
        if returncode:
            _, traceback, rest = run.logs.rpartition("Traceback (most recent call last)")
            run.trace = traceback + rest if traceback else ""
            run.error = (run.logs.strip().splitlines() or [f"exit status {returncode}"])[-1]
            return "FAILED", "Workload failed, see run output for details"
        return "SUCCESS", ""


def _context(node: Node, run: _Run) -> dict[str, str]:
    """What MLflow finds of a job in its task's process.

    Source: mlflow.utils.databricks_utils
    """
    return databricks_context.put(
        node,
        isInCluster=True,
        clusterId=run.cluster_id,
        isInNotebook=False,
        isInJob=True,
        jobId=str(run.run_id),
        idInJob=str(run.task_run_id),
        jobType="NORMAL",
        jobTaskType="python",
        user=run.owner.user_name,
        apiUrl=WORKSPACE_URL,
        browserHostName=WORKSPACE_URL.removeprefix("https://"),
        workspaceUrl=WORKSPACE_URL,
        workspaceId=WORKSPACE_ID,
    )


@contextlib.contextmanager
def _killed_when(process: subprocess.Popen[str], run: _Run) -> Iterator[None]:
    """Kill a process when its run is cancelled, or has had its time."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            if run.cancelled.is_set() or run.has_had_its_time:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _now() -> int:
    return int(time.time() * 1000)
