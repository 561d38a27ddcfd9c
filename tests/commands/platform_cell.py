"""The cell in docs/platform.md, from the doctor's module: `python -m tests.commands.platform_cell`."""

from __future__ import annotations

import re

from tests import REPOSITORY

PAGE = REPOSITORY / "docs/platform.md"
MODULE = REPOSITORY / "bootstrap/azureml_databricks/checkup/platform_cell.py"
_PLACE = re.compile(r"(<!-- cell: [^\n]*-->\n```python\n)(.*)(```\n<!-- end of cell -->)", re.DOTALL)


def on_the_page() -> str:
    """Return the cell as the page has it."""
    found = _PLACE.search(PAGE.read_text())
    assert found, f"{PAGE.name} has no cell"
    return found[2]


def write() -> None:
    """Write the module into the page."""
    PAGE.write_text(_PLACE.sub(lambda found: found[1] + MODULE.read_text() + found[3], PAGE.read_text()))


if __name__ == "__main__":
    write()
