"""The bench measures what is asked for, refuses the rest before anything starts, and fits the README."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import readme_table
from tests.commands.bench.__main__ import COST, GROWTH, PARTS, asked_for, write
from tests.commands.bench.rows import PLUGIN, SMALLER, Row


@pytest.mark.parametrize("part", PARTS)
def test_a_part_can_be_measured_alone(part: str) -> None:
    assert asked_for(["--only", part]).only == part


@pytest.mark.parametrize("arguments", [["--fast"], ["--only", "nothing"], ["files"]])
def test_what_it_does_not_know_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as told:
        asked_for(arguments)

    assert told.value.code == 2


@pytest.mark.parametrize("less", [["--only", "files"], ["--small"]])
def test_the_readmes_tables_are_of_all_of_it(less: list[str]) -> None:
    with pytest.raises(SystemExit, match="README=1 goes without ONLY and SMALL"):
        asked_for([*less, "--readme"])


def test_the_help_names_each_part(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        asked_for(["--help"])

    said = capsys.readouterr().out
    assert all(f"{name} " in said and part.title in said for name, part in PARTS.items())


@pytest.mark.parametrize(("name", "head"), [("cost", COST), ("growth", GROWTH)])
def test_the_readme_has_each_table_under_the_head_that_is_written(name: str, head: tuple[str, ...]) -> None:
    assert readme_table.in_readme(name).startswith(readme_table.text(head, []))


def test_what_is_of_two_sizes_goes_into_the_second_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(readme_table.README.read_text())
    monkeypatch.setattr(readme_table, "README", readme)

    write([Row("files", PLUGIN, 1, 4), Row("runs, beside 1", SMALLER, 6, 4, times=2)])

    assert readme_table.in_readme("cost").splitlines()[2:] == [f"| files | {PLUGIN} | 0.25 : 1 |"]
    assert readme_table.in_readme("growth").splitlines()[2:] == ["| runs, beside 1 | 2 times | 1.50 times |"]
