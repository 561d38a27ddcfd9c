"""Whether a bundle works on a runtime that it was not tried on: all that it brings is imported there.

Metadata would not tell: packages that allow a runtime's versions fail to import with them. And what MLflow
builds for an address in Azure ML is built.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from azureml_databricks import tracking_uri
from azureml_databricks.node.paths import Paths

# With the bundle where processes will have it, and nothing of one that is in service already.
_PROVE = """\
import importlib, sys

bundle, address, *names = sys.argv[1:]
sys.path[:] = [_ for _ in sys.path if _ != getattr(sys, "azureml_databricks", "")] + [bundle]
for name in [_ for _ in sys.modules if _.partition(".")[0] == "azureml_databricks"]:
    del sys.modules[name]
try:
    for name in names:
        what = name
        importlib.import_module(name)
    from azureml_databricks.bridge import plugin

    for build in plugin.tracking_store, plugin.model_registry_store, plugin.artifact_repository:
        what = build.__name__
        build(address)
except BaseException as error:
    sys.exit(f"{what} does not work there ({type(error).__name__}: {error})")
"""
# Ten times what it takes on a small node: a cluster that starts is waiting.
_PATIENCE_SECONDS = 120
# Of no workspace: to build what speaks to one asks nothing of Azure.
_NOBODY = tracking_uri.Workspace("x.api.azureml.ms", "00000000-0000-0000-0000-000000000000", "x", "x")
_ADDRESS = f"{_NOBODY.tracking_uri}/experiments/x/runs/x/artifacts"


def failure_once(paths: Paths, bundle: Path, sha256: str) -> str:
    """Return the `failure` of the bundle whose archive had `sha256`, empty if it worked on this node before.

    Raises:
        OSError: that it worked cannot be kept.
    """
    if paths.proven.is_file() and paths.proven.read_bytes() == sha256.encode():
        return ""
    found = failure(bundle)
    if not found:
        paths.proven.write_text(sha256)
    return found


def failure(bundle: Path) -> str:
    """Return what of the unpacked `bundle` does not work with this Python's packages, empty if all does.

    A new process, since nothing may stay imported in this one.
    """
    command = [sys.executable, "-s", "-W", "ignore", "-c", _PROVE, str(bundle), _ADDRESS]
    # Else the plugin would ask management.azure.com which clouds there are.
    environment = {**os.environ, "AZUREML_CURRENT_CLOUD": "AzureCloud"}
    try:
        done = subprocess.run(
            [*command, *_modules(bundle)],
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"what it brings is not imported there within {_PATIENCE_SECONDS} seconds"
    return done.stderr.strip().rpartition("\n")[2] if done.returncode else ""


def _modules(bundle: Path) -> Iterator[str]:
    # Deeper ones are for libraries that not every user has, such as opentelemetry.instrumentation.django.
    patterns = ("*.py", "*/__init__.py", "*/*/__init__.py")
    files = {file for pattern in patterns for file in bundle.glob(pattern)}
    for file in sorted(files):
        module = file.parent if file.name == "__init__.py" else file.with_suffix("")
        yield ".".join(module.relative_to(bundle).parts)
