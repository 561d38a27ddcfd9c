"""Whether a bundle works on a runtime that it was not made for: all that it brings is imported there.

Metadata would not tell: packages that allow a runtime's versions fail to import with them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# With the bundle where processes will have it, and nothing of one that is in service already.
_IMPORT = """\
import importlib, sys

bundle, *names = sys.argv[1:]
sys.path[:] = [_ for _ in sys.path if _ != getattr(sys, "azureml_databricks", "")] + [bundle]
for name in [_ for _ in sys.modules if _.partition(".")[0] == "azureml_databricks"]:
    del sys.modules[name]
for name in names:
    try:
        importlib.import_module(name)
    except BaseException as error:
        sys.exit(f"{name} does not import there ({type(error).__name__}: {error})")
"""


def failure(bundle: Path) -> str:
    """Return what of the unpacked `bundle` does not work with this Python's packages, empty if all does.

    A new process, since nothing may stay imported in this one.
    """
    command = [sys.executable, "-s", "-W", "ignore", "-c", _IMPORT, str(bundle), *_modules(bundle)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    return done.stderr.strip().rpartition("\n")[2] if done.returncode else ""


def _modules(bundle: Path) -> Iterator[str]:
    # Deeper ones are for libraries that not every user has, such as opentelemetry.instrumentation.django.
    patterns = ("*.py", "*/__init__.py", "*/*/__init__.py", "azureml_databricks/bridge/*.py")
    files = {file for pattern in patterns for file in bundle.glob(pattern)}
    for file in sorted(files):
        module = file.parent if file.name == "__init__.py" else file.with_suffix("")
        yield ".".join(module.relative_to(bundle).parts)
