"""The README's table of settings, from that in settings.py: `python -m tests.commands.settings_table`."""

from __future__ import annotations

from azureml_databricks.settings import TABLE
from tests.commands import readme_table

NAME = "settings"
HEAD = ("name", "variable", "default", "what it does")


def rows() -> list[tuple[str, ...]]:
    """Return a row for each setting, and one for further variables."""
    settings = [(_code(each.name), _code(each.variable), _code(each.default), each.help) for each in TABLE]
    further = (
        'Any further variable to export: a line `NAME = "..."` under `[settings.env]`, '
        "or `spark.azureml.env.NAME`."
    )
    return [*settings, ("`env.NAME`", "`NAME`", "", further)]


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    readme_table.write(NAME, HEAD, rows())
