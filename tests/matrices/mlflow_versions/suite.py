"""Runs the stories in the environment of an MLflow version, against one of two servers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.emulated.azure.processes import Process, free_port
from tests.emulated.cluster import service_principal
from tests.matrices.mlflow_versions.environments import KEEPS_BYTECODE, environment

STORIES = Path(__file__).parents[1] / "stories"


@contextmanager
def own_server(version: str, folder: Path) -> Iterator[dict[str, str]]:
    """Start MLflow's own server of that version, and give the variables that lead to it."""
    port = free_port()
    # A server that answers 500 would be asked again for minutes.
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    server = Process(
        *(str(environment(version)), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
        *("--artifacts-destination", f"{folder}/artifacts", "--workers", "1"),
        port=port,
        log=folder / "server.log",
        env={**quiet, **KEEPS_BYTECODE, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )
    with server:
        server.wait_until_listening()
        yield {**quiet, "MLFLOW_TRACKING_URI": server.url, "MLFLOW_REGISTRY_URI": server.url}


def workspace(azure: EmulatedAzure) -> dict[str, str]:
    """Return the variables that lead to the emulated workspace, as on a cluster under the policy."""
    names = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "AZUREML_TRACKING_URI")
    uris = dict.fromkeys(names, azure.workspace.tracking_uri)
    return {**azure.environment, **service_principal(azure), **uris}


def run(version: str, variables: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the stories; `arguments` are pytest's."""
    return subprocess.run(
        [
            *(str(environment(version)), "-m", "pytest", str(STORIES), f"--confcutdir={STORIES}"),
            *("-p", "no:cacheprovider", "--quiet", "--tb=short", "--show-capture=no"),
            # Each file in one process: that of Spark starts a session.
            *("--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder", *arguments),
        ],
        # MLflow gives up to infer a model's requirements after two minutes, which a busy machine may need.
        env={**os.environ, **KEEPS_BYTECODE, "MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT": "1200", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def has_a_story(version: str, only: str) -> bool:
    """Return whether a version has a story that pytest's `-k` would choose. No server is needed.

    Raises:
        SystemExit: pytest does not understand `only`, or cannot read the stories.
    """
    nowhere = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}
    done = run(version, nowhere, "--collect-only", "-k", only)
    if done.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise SystemExit("\n".join(line for line in done.stdout.splitlines() if line and "::" not in line))
    return done.returncode == pytest.ExitCode.OK


@dataclass
class Tally:
    """What came of the stories of one feature."""

    passed: int = 0
    differ: int = 0
    failed: int = 0


def tallies(report: Path) -> dict[str, Tally]:
    """Return what came of each feature's stories, from pytest's report in JUnit's XML."""
    found: dict[str, Tally] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        feature = case.find("properties/property[@name='feature']")
        # A file that could not be imported has no feature; the report names it.
        name = str(case.get("name")) if feature is None else str(feature.get("value"))
        tally = found.setdefault(name, Tally())
        if case.find("skipped[@type='pytest.xfail']") is not None:
            tally.differ += 1
        elif any(case.find(outcome) is not None for outcome in ("failure", "error", "skipped")):
            tally.failed += 1
        else:
            tally.passed += 1
    return found
