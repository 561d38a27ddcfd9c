"""What the README says of settings is what the table says."""

from __future__ import annotations

from azureml_databricks.settings import TABLE
from tests import REPOSITORY

README = REPOSITORY / "README.md"


def test_the_readmes_table_of_settings_is_the_table() -> None:
    rows = [
        f"| `{setting.name}` | `{setting.variable}` | {f'`{setting.default}`' if setting.default else ''} "
        f"| {setting.help} |"
        for setting in TABLE
    ]
    rows.append(
        "| `env.NAME` | `NAME` | | Any further variable to export: "
        'a line `NAME = "..."` under `[settings.env]`, or `spark.azureml.env.NAME`. |'
    )
    text = README.read_text()
    shown = text[text.index("|---|---|---|---|\n") :].split("<!-- end of settings -->")[0]

    assert shown.splitlines()[1:] == rows, "\n".join(rows)
