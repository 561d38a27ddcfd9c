"""The commands in the docs are commands that there are."""

from __future__ import annotations

import re
import shlex

import click

from azureml_databricks.admin.commands.cli import main
from azureml_databricks.admin.commands.given_secret import GivenSecret
from tests import REPOSITORY


def lines(page: str, heading: str = "") -> list[list[str]]:
    """The arguments of each of our commands in a page, or below one of its headings."""
    text = (REPOSITORY / "docs" / page).read_text()
    if heading:
        text = re.split(r"^## ", text.partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    commands = "\n".join(blocks).replace("\\\n", " ").replace(" && ", "\n").replace(" | ", "\n")
    found = re.findall(r"^azureml-databricks (.*)$", commands, re.MULTILINE)
    return [shlex.split(line.partition(" > ")[0], comments=True) for line in found]


def test_every_command_of_the_pages_is_one_that_there_is() -> None:
    pages = [path.name for path in (REPOSITORY / "docs").glob("*.md")]
    found = [words for page in pages for words in lines(page)]

    for words in found:
        command: click.Command = main
        while isinstance(command, click.Group):
            name, *words = words
            command = command.commands[name]
        if command.name not in ("doctor", "node"):
            # A folder that an example names is not there.
            shown = ["." if it == "built" else it for it in words]
            command.make_context(name, shown, obj=GivenSecret())
    assert len(found) > 15


def test_each_scenario_of_the_page_has_its_test() -> None:
    rows = (REPOSITORY / "docs/admin.md").read_text().partition("## Scenarios that were played")[2]
    named = re.findall(r"`(test_\w+\.py)` `(test_\w+)`", rows)

    for file, name in named:
        assert f"def {name}(" in (REPOSITORY / "tests/admin" / file).read_text(), name
    assert len(named) > 10
