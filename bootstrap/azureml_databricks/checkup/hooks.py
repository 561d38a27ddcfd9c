"""The hooks: whether each is in place, which ran in this process, and whether new Pythons run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from azureml_databricks.checkup.findings import Finding, Part
from azureml_databricks.node import hooks
from azureml_databricks.node.paths import Paths

PART = Part("hooks")
_RESTART = "restart the cluster: its init script puts the hooks in place again"
_LIMIT_SECONDS = 60
# https://learn.microsoft.com/azure/databricks/compute/environments-mode
_ENVIRONMENTS_SINCE = 19


def findings(paths: Paths) -> Iterator[Finding]:
    """Yield a finding for each hook, for this process, and for each interpreter of the node."""
    cluster = str(paths.root / "databricks/python3/bin/python")
    if _may_be_an_environments() and os.path.realpath(sys.executable) != os.path.realpath(cluster):
        yield _of_an_environment(cluster)
    all_hooks = hooks.all_hooks(paths)
    yield _of_this_process(all(hook.installed for hook in all_hooks))
    for hook in all_hooks:
        yield _of_hook(hook)
    for python in dict.fromkeys((sys.executable, cluster, hooks.base_python())):
        yield _of_start(python)


def _may_be_an_environments() -> bool:
    runtime = os.environ.get("DATABRICKS_RUNTIME_VERSION", "").partition(".")[0]
    return not hooks.release_in_use() and runtime.isdigit() and int(runtime) >= _ENVIRONMENTS_SINCE


def _of_an_environment(cluster: str) -> Finding:
    """Tell of a Python that no init script reaches."""
    return PART.wrong(
        "dependency mode",
        f"Environments, it seems: {sys.executable} does not stand on the cluster's Python, {cluster}, and so "
        "no init script reaches it",
        "set the cluster's dependency mode to Cluster libraries (Advanced, Dependencies), and restart it",
    )


def _of_hook(hook: hooks.Hook) -> Finding:
    if not hook.installed:
        has_not = "has none of our lines: somebody wrote it anew" if hook.path.is_file() else "is not there"
        return PART.wrong(hook.way, f"{hook.path} {has_not}", _RESTART)
    ran = hooks.ran()
    if hook.way in ran:
        how = "ran first" if hook.way == ran[0] else f"ran after {ran[0]}"
        return PART.ok(hook.way, f"{hook.path} {how}")
    why = _not_needed(hook.way)
    if why or not ran:
        return PART.ok(hook.way, f"{hook.path} is in place, and did not run here: {why or 'see above'}")
    return PART.note(hook.way, f"{hook.path} did not run here{_shadow(hook)}; {ran[0]} did its work")


def _not_needed(way: str) -> str:
    """Return why a hook had no reason to run in this process, empty if it had one."""
    if way == ".pth" and "PYTHONPATH" not in os.environ:
        return "PYTHONPATH is not set"
    if way == "IPython startup" and not _is_kernel():
        return "this is no notebook"
    return ""


def _is_kernel() -> bool:
    ipython = sys.modules.get("IPython")
    return bool(ipython and ipython.get_ipython())


def _shadow(hook: hooks.Hook) -> str:
    """Return which module stands before the hook's, empty if none does."""
    loaded = getattr(sys.modules.get("sitecustomize"), "__file__", None) or ""
    shadowed = hook.way == "sitecustomize" and loaded and not os.path.samefile(loaded, hook.path)
    return f", since {loaded} comes before it" if shadowed else ""


def _of_this_process(installed: bool) -> Finding:
    ran, release = hooks.ran(), hooks.release_in_use()
    if release:
        return PART.ok("this process", f"{sys.executable} has {release}")
    if ran:
        return PART.wrong("this process", f"{sys.executable}: {ran[0]} ran and found no bundle", _RESTART)
    advice = "use the cluster's Python, or an environment over it" if installed else _RESTART
    return PART.wrong("this process", f"{sys.executable} ran no hook", advice)


def _of_start(python: str) -> Finding:
    """Start an interpreter with the variables of this one, as `%sh` or a job would."""
    what = f"{python}, started now"
    code = "import sys; print(getattr(sys, 'azureml_databricks', ''))"
    try:
        started = subprocess.run(
            [python, "-c", code],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=_LIMIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return PART.wrong(what, f"does not start: {error}", "mend that Python, or restart the cluster")
    if started.returncode:
        said = started.stderr.strip().rpartition("\n")[2]
        return PART.wrong(what, f"does not start: {said}", "mend that Python, or restart the cluster")
    release = started.stdout.strip()
    return PART.ok(what, "runs the hooks") if release else PART.wrong(what, "runs no hook", _RESTART)
