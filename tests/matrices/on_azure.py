"""A data scientist's code, in the environment of an MLflow version, on the emulated Azure."""

from __future__ import annotations

import json
import subprocess
import textwrap
from typing import Any

from tests.emulated.azure import EmulatedAzure
from tests.matrices.mlflow_versions.environments import environment
from tests.matrices.mlflow_versions.suite import workspace


def run(version: str, azure: EmulatedAzure, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process whose variables are those of a cluster under the policy, and these."""
    return subprocess.run(
        [environment(version), "-W", "ignore", "-c", textwrap.dedent(code)],
        env={"PATH": "/usr/bin:/bin", "HOME": "/tmp", **workspace(azure), **variables},
        capture_output=True,
        text=True,
        check=False,
        cwd="/tmp",
    )


def printed(version: str, azure: EmulatedAzure, code: str, **variables: str) -> Any:
    """Return what `code` prints as JSON; MLflow's own lines may be around it."""
    done = run(version, azure, code, **variables)
    assert done.returncode == 0, done.stderr
    return next(json.loads(line) for line in reversed(done.stdout.splitlines()) if line[:1] in '[{"')
