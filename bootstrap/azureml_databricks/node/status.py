"""What is in service on this node."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from azureml_databricks.node import hooks, install, laid_down, variables
from azureml_databricks.node.paths import Paths
from azureml_databricks.settings import BY_NAME, ENV_PREFIX, Settings


def report(paths: Paths) -> tuple[str, bool]:
    """Return the report, a line each, and whether all is as it should be."""
    lines = [f"{'ok' if ok else '!!'}  {what}" for ok, what in _findings(paths)]
    return "\n".join(lines), not any(line.startswith("!!") for line in lines)


def _findings(paths: Paths) -> Iterator[tuple[bool, str]]:
    if not paths.current.is_dir():
        yield False, f"no bundle is installed: {paths.current} leads nowhere"
        return
    bundle = json.loads((paths.current / "BUNDLE.json").read_bytes())
    yield (
        True,
        f"bundle       azureml-databricks {bundle['version']} for runtime {bundle['runtime']}, "
        f"{paths.current.resolve()}",
    )
    if older := install.older_releases(paths):
        users = len(install.pythons_of_older_releases(paths))
        may = f"which {users} running Pythons may use; the next install looks again"
        yield from ((True, f"older bundle {release}, {may}") for release in older)
    yield from _settings()
    for hook in hooks.all_hooks(paths):
        yield hook.installed, f"hook         {hook.way}: {hook.path}"
    for python in dict.fromkeys((sys.executable, hooks.base_python())):
        code = "import sys; print(hasattr(sys, 'azureml_databricks'))"
        printed = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
        ran = printed.stdout.strip() == "True"
        yield ran, f"python       {python} {'runs' if ran else 'does not run'} the hooks"


def _settings() -> Iterator[tuple[bool, str]]:
    settings = variables.settings_now()
    for name, value in settings.values.items():
        if value.text and value.text != BY_NAME[name].default:
            shown = "***" if BY_NAME[name].secret else value.text
            yield True, f"setting      {name} = {shown} ({value.origin})"
    for name, (text, _, origin) in laid_down.VALUES.items():
        if name.startswith(ENV_PREFIX):
            yield True, f"setting      {name} = {text} ({origin})"
    if settings.problem:
        yield False, f"settings     {settings.problem}"
        return
    yield True, f"tracking URI {tracking_uri(settings)}"
    missing = ", ".join(settings.missing_for_login)
    if settings.asked and missing:
        yield False, f"login        {missing} not set in this process: the policy sets them"


def tracking_uri(settings: Settings) -> str:
    """Return the tracking URI, or why there is none, where nothing is wrong."""
    if settings.asked:
        return settings.workspace().tracking_uri
    if settings["enabled"] == "false":
        return f"none, since {settings.values['enabled'].key} is false ({settings.values['enabled'].origin})"
    return "none is configured, unless a notebook's Spark conf has spark.azureml.trackingUri"
