"""The ways into an interpreter. No single one reaches every Python on a node, so there are several.

| way | reaches |
|---|---|
| `sitecustomize` of the standard library | every Python of that installation and every environment over it |
| a `.pth` file | those where a user's own `sitecustomize` on `PYTHONPATH` shadows ours |
| IPython's system-wide startup folder | notebook kernels, where neither of the others ran |

All run the same compiled `_start.pyc` of the current release, whose magic number keeps an interpreter of
another version away, and none can raise: what goes wrong is told by MLflow's first use, not by Python.
"""

from __future__ import annotations

import importlib.util
import json
import os
import py_compile
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from dataclasses import dataclass
from pathlib import Path

from azureml_databricks.node.ledger import BEGIN, END, Ledger, without_block
from azureml_databricks.node.paths import Paths

# For who asks later which of them ran; the first did the work. `getattr` would cost twice as much.
_LEAVE_WORD = """\
import sys

sys.__dict__.setdefault("azureml_databricks_hooks", []).append({way!r})
"""

_RUN = """\
try:
    from _frozen_importlib_external import SourcelessFileLoader as _Loader

    exec(_Loader("_", {start!r}).get_code("_"), {{}})
except Exception:
    pass
"""

# Each word of it is compiled at every start: that of `PYTHONPATH`, and the text where there is one. Only a
# sitecustomize on PYTHONPATH can shadow ours. The module has both the loader and, as `_os`, `posix`.
_RUN_FROM_PTH = """\
import _frozen_importlib_external as _; b"PYTHONPATH" in _._os.environ and exec({text!r})  {begin}
"""
_RUN_BRIEFLY = """\
try:exec(_.SourcelessFileLoader("_",{start!r}).get_code("_"),{{}})
except Exception:0
"""

# What ran from a `.pth` ran before `site` had made all of the path.
_RUN_OR_REORDER = """\
if hasattr(sys, "azureml_databricks"):
    if sys.azureml_databricks in sys.path:
        sys.path.remove(sys.azureml_databricks)
        sys.path.append(sys.azureml_databricks)
else:
{run}
"""

# In the user's namespace, where no name of ours shall stay.
_WATCH_NOTEBOOK = """\
try:
    __import__("azureml_databricks.node.session", fromlist=["_"]).watch_notebook()
except Exception:
    pass
"""

# Where the standard library had no sitecustomize, ours shadows one further down `sys.path`: that one
# must run as it did, errors and all, under its own name.
_RUN_SHADOWED = """\
import sys
from importlib.machinery import PathFinder

_spec = PathFinder.find_spec("sitecustomize", [_ for _ in sys.path if _ != {stdlib!r}])
if _spec and _spec.loader:
    from importlib.util import module_from_spec

    sys.modules["sitecustomize"] = module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["sitecustomize"])
"""


class HookError(Exception):
    """Why a hook cannot be installed and what to do, in one line."""


@dataclass(frozen=True)
class Hook:
    """One way into an interpreter.

    Attributes:
        way: what it is called in reports.
        path: the file.
    """

    way: str
    path: Path

    @property
    def installed(self) -> bool:
        """Whether the file has our lines."""
        return self.path.is_file() and BEGIN in self.path.read_bytes()


def ran() -> tuple[str, ...]:
    """Return the ways by which hooks ran in this process, the first one first."""
    return tuple(dict.fromkeys(getattr(sys, "azureml_databricks_hooks", ())))


def release_in_use() -> str:
    """Return the folder of the release that this process started with, empty for none."""
    return getattr(sys, "azureml_databricks", "")


def all_hooks(paths: Paths) -> list[Hook]:
    """Return the hooks for the running interpreter's installation and environment."""
    return [
        Hook("sitecustomize", _stdlib() / "sitecustomize.py"),
        Hook(".pth", _site_packages() / "azureml-databricks.pth"),
        Hook("IPython startup", paths.ipython_startup / "00-azureml-databricks.py"),
    ]


def install(paths: Paths, ledger: Ledger) -> None:
    """Install every hook, or bring it up to date.

    Raises:
        HookError: the distribution's own sitecustomize is broken.
        OSError: a file cannot be written.
    """
    start = str(paths.current / "azureml_databricks/node/_start.pyc")
    run = _RUN.format(start=start)
    run_or_reorder = _RUN_OR_REORDER.format(run=textwrap.indent(run, "    ").rstrip())
    for hook in all_hooks(paths):
        word = _LEAVE_WORD.format(way=hook.way)
        if hook.way == ".pth":
            # One line, by the rules of `site`.
            text = _RUN_BRIEFLY.format(start=start)
            ledger.write(hook.path, _RUN_FROM_PTH.format(text=text, begin=BEGIN.decode()).encode())
        elif hook.way == "sitecustomize":
            _install_sitecustomize(paths, hook.path, word + run_or_reorder, ledger)
        else:
            ledger.write(hook.path, _block(word + run_or_reorder + _WATCH_NOTEBOOK))


def _block(code: str) -> bytes:
    return BEGIN + b" removed by: azureml-databricks node uninstall\n" + code.encode() + END


def _install_sitecustomize(paths: Paths, path: Path, code: str, ledger: Ledger) -> None:
    if path.exists():
        _check_that_it_compiles(path)
    cache = Path(importlib.util.cache_from_source(str(path)))
    # Before the source: any Python may compile that, should this process be killed then.
    ledger.remember(cache)
    if path.exists() and without_block(path.read_bytes()):
        ledger.write_block(path, _block(code))
    else:
        ledger.write(path, _block(code + _RUN_SHADOWED.format(stdlib=str(path.parent))))
    # Else every unprivileged process would compile it again, having nowhere to keep the result.
    # What a killed install leaves under this name, the next one sweeps.
    scratch = paths.home / f"unpacking.hook.{os.getpid()}"
    py_compile.compile(str(path), cfile=str(scratch / "compiled"), doraise=True)
    ledger.write(cache, (scratch / "compiled").read_bytes())
    shutil.rmtree(scratch)


def _check_that_it_compiles(path: Path) -> None:
    try:
        compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise HookError(f"{path}, which every Python runs, does not compile ({error}): mend it") from None


def base_python() -> str:
    """Return the installation's own interpreter, on which the running environment stands."""
    # `sys._base_executable` is the environment's, in Python 3.10.
    return str(Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}"))


def _stdlib() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _site_packages() -> Path:
    """Return the installation's site-packages, best one that no other version of Python reads.

    Of those that are there: a new folder would be on the path of every process, to be searched in vain. Only
    an environment that does not see the installation's gets one of its own: each costs every start.
    """
    code = "import json, site; print(json.dumps(site.getsitepackages()))"
    printed = subprocess.run([base_python(), "-I", "-c", code], capture_output=True, check=True, text=True)
    seen = [folder for folder in json.loads(printed.stdout) if folder in sys.path]
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return Path(
        min(seen, key=lambda it: version not in it.split(os.sep), default=sysconfig.get_path("purelib"))
    )
