"""What the README says of settings is what the table says."""

from __future__ import annotations

from tests.commands import readme_table, settings_table


def test_the_readmes_table_of_settings_is_the_table() -> None:
    shown = readme_table.in_readme(settings_table.NAME)

    assert shown == readme_table.text(settings_table.HEAD, settings_table.rows()), (
        "`python -m tests.commands.settings_table` renews it"
    )
