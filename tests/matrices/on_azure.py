"""A data scientist's code, in the environment of an MLflow version, on the emulated Azure."""

from __future__ import annotations

import json
import subprocess
import textwrap
from functools import cache
from typing import Any

from tests.emulated.azure import EmulatedAzure
from tests.emulated.preloaded import OF_MLFLOW, Preloaded
from tests.matrices.mlflow_versions.environments import environment
from tests.matrices.mlflow_versions.suite import workspace

# The model of most tests is scikit-learn's.
_MODULES = (*OF_MLFLOW, "mlflow.sklearn", "sklearn.linear_model")


def run(
    version: str, azure: EmulatedAzure, code: str, *, cwd: str = "/tmp", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `code` in a program whose variables are those of a cluster under the policy, and these.

    Its imports are done before it begins: `run_alone` has it do them itself.
    """
    python = _preloaded(version, tuple(_variables(azure).items()))
    return python.run(textwrap.dedent(code), env=variables, cwd=cwd)


def run_alone(
    version: str, azure: EmulatedAzure, code: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `code` as `run` does, in a new interpreter."""
    return subprocess.run(
        [environment(version), "-W", "ignore", "-c", textwrap.dedent(code)],
        env={**_variables(azure), **variables},
        capture_output=True,
        text=True,
        check=False,
        cwd="/tmp",
        start_new_session=True,  # as a notebook's kernel is
    )


def printed(version: str, azure: EmulatedAzure, code: str, **variables: str) -> Any:
    """Return what `code` prints as JSON; MLflow's own lines may be around it."""
    return _answer(run(version, azure, code, **variables))


def printed_alone(version: str, azure: EmulatedAzure, code: str, **variables: str) -> Any:
    """Return what `code` prints as JSON, in a new interpreter."""
    return _answer(run_alone(version, azure, code, **variables))


def _answer(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return next(json.loads(line) for line in reversed(done.stdout.splitlines()) if line[:1] in '[{"')


def _variables(azure: EmulatedAzure) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": "/tmp", **workspace(azure)}


@cache
def _preloaded(version: str, variables: tuple[tuple[str, str], ...]) -> Preloaded:
    return Preloaded(list, [str(environment(version))], modules=_MODULES, env=dict(variables))
