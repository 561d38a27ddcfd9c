"""The bundle: what is in service on this node, and what this process started with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from azureml_databricks.checkup.findings import Finding, Part
from azureml_databricks.node import hooks, install
from azureml_databricks.node.paths import Paths

PART = Part("bundle")
INIT_SCRIPT = "see what the init script said: /databricks/init_scripts/*.stderr.log on the node"


def findings(paths: Paths) -> Iterator[Finding]:
    """Yield what is in service, and which older bundles are still there."""
    if not paths.current.is_dir():
        yield PART.wrong(
            "in service",
            f"none: {paths.current} leads nowhere, so no new Python is pointed at Azure ML",
            f"restart the cluster; if it stays so, {INIT_SCRIPT}",
        )
        return
    about = json.loads((paths.current / "BUNDLE.json").read_bytes())
    release = paths.current.resolve()
    yield PART.ok(
        "in service", f"azureml-databricks {about['version']} for runtime {about['runtime']}, {release}"
    )
    used = hooks.release_in_use()
    if used and Path(used).resolve() != release:
        yield PART.note(
            "in this process",
            f"an older one, {used}: this process is older than the one in service",
            "restart Python to use the new one: dbutils.library.restartPython()",
        )
    if older := install.older_releases(paths):
        users = len(install.pythons_of_older_releases(paths))
        may = f"which {users} running Pythons may use; the next install looks again"
        yield from (PART.ok("older", f"{folder}, {may}") for folder in older)
