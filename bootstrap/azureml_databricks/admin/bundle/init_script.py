"""The script that runs on a node, before it is made for a deployment."""

from __future__ import annotations

from pathlib import Path

NAME = "azureml-databricks.sh"
_PACKAGE = Path(__file__).parents[2]
# In a clone the folder is beside that of the package: no link, which Git for Windows would make a text of.
_FOLDERS = (_PACKAGE / "init_scripts", _PACKAGE.parents[1] / "init_scripts")


def template() -> str:
    """Return it, with `@NAME@` where something is to be filled in, and with line ends of Unix."""
    folder = next(folder for folder in _FOLDERS if (folder / NAME).is_file())
    return (folder / NAME).read_text(encoding="utf-8")
