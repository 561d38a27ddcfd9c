"""Databricks' magics, as far as IPython's own of the same name differ: `%sh` and `%run`.

Source: https://learn.microsoft.com/azure/databricks/notebooks/notebooks-code
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell

_SH = re.compile(r"%sh(?P<fail> +-e)?(?P<command>\s.*)?", re.DOTALL)


def load(shell: InteractiveShell) -> None:
    """Let the cells of `shell` use them."""
    shell.input_transformers_cleanup.append(_sh)

    def run(line: str) -> None:
        """Run another notebook here, in this notebook's namespace."""
        for cell in read_cells(line.strip()):
            shell.run_cell(cell).raise_error()

    shell.register_magic_function(run, magic_name="run")


def read_cells(notebook: str) -> list[str]:
    """Return the code of a notebook, which is named without `.ipynb`.

    Raises:
        FileNotFoundError: there is none.
    """
    cells = json.loads(Path(f"{notebook}.ipynb").read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def _sh(lines: list[str]) -> list[str]:
    """Make bash's cell magic of a cell that begins with `%sh`: its whole cell is a script."""
    if not lines or not (found := _SH.fullmatch(lines[0])):
        return lines
    fails = "" if found["fail"] else " --no-raise-error"
    return [f"%%bash{fails}\n", (found["command"] or "").lstrip(), *lines[1:]]
