"""Databricks' magics, as far as IPython's own of the same name differ: `%sh` and `%run`."""

from __future__ import annotations

import re
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell

_SH = re.compile(r"%sh(?P<fail> +-e)?(?P<command>\s.*)?", re.DOTALL)


def load(shell: InteractiveShell) -> None:
    """Let the cells of `shell` use them."""
    shell.input_transformers_cleanup.append(_sh)

    def run(line: str) -> None:
        """Run another notebook here, in this notebook's namespace."""
        shell.safe_execfile_ipy(str(notebook_file(line.strip())), raise_exceptions=True)

    shell.register_magic_function(run, magic_name="run")


def notebook_file(path: str) -> Path:
    """Return the file of a notebook, which is named without its suffix.

    Raises:
        FileNotFoundError: there is none.
    """
    file = Path(f"{path.removesuffix('.ipynb')}.ipynb").absolute()
    if not file.exists():
        raise FileNotFoundError(f"Notebook not found: {file}")
    return file


def _sh(lines: list[str]) -> list[str]:
    """Make bash's cell magic of a cell that begins with `%sh`: its whole cell is a script."""
    if not lines or not (found := _SH.fullmatch(lines[0])):
        return lines
    fails = "" if found["fail"] else " --no-raise-error"
    return [f"%%bash{fails}\n", (found["command"] or "").lstrip(), *lines[1:]]
