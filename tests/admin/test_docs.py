"""The commands in docs/admin.md do what it says, in its order, in one emulated workspace."""

from __future__ import annotations

import json
import re
import shlex

import click
import pytest

from azureml_databricks.admin.command_line.main import main
from azureml_databricks.admin.commands.given_secret import GivenSecret
from tests import REPOSITORY
from tests.admin.conftest import LOCATION, Admin

# What an admin answers or writes, where the page only tells of it.
ANSWERS = {"deploy": ["--yes"], "destroy": ["--yes"]}
# `verify` boots a cluster: tests/admin/test_verify.py. What is beside it: tests/admin/test_networks.py.
TRIED_ELSEWHERE = ("verify",)


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
    assert len(named) >= 15


def run(admin: Admin, words: list[str], **answers: str) -> str:
    """Run a command of the page as its reader would, and return what it says."""
    init = [f"--{name}={text}" for name, text in answers.items()] if words[0] == "init" else []
    stdin = admin.service_principal if words[0] == "secrets" else ""
    done = admin.run(*words, *init, *ANSWERS.get(words[0], []), stdin=stdin)
    assert (done.returncode in (0, 2), done.stderr) == (True, ""), (words, done)
    return done.stdout


@pytest.mark.thorough
def test_a_year_of_an_admin_who_reads_the_page(admin: Admin) -> None:
    said: dict[str, list[str]] = {}
    admin.file.unlink()
    answers = {
        "host": admin.databricks.host,
        "workspace": admin.azure.workspace.resource_id,
        "location": LOCATION,
        "group": "data-scientists",
    }
    for heading in (
        "The first day",
        "A second deployment",
        "An upgrade",
        "A new secret",
        "To Terraform",
        "Leaving",
    ):
        if heading == "An upgrade":
            admin.file.write_text(admin.file.read_text() + '\n[settings]\nonError = "fail"\n')
        if heading == "To Terraform":
            text = admin.file.read_text()
            admin.file.write_text(re.sub(r"^(\[policy\].*)$", r"\1\ndeployed = false", text, flags=re.M))
        if heading == "Leaving":
            admin.file.write_text(text)
        for words in lines("admin.md", heading):
            if words[0] in TRIED_ELSEWHERE:
                continue
            said.setdefault(heading, []).append(run(admin, words, **answers))

    assert "made policy" in said["The first day"][3]
    assert "in use by" in said["The first day"][-1]
    assert "made policy azureml-forecasting-prod" in said["A second deployment"][-1]
    assert "made release" in said["An upgrade"][1]
    assert said["A new secret"] == [
        "updated secret azureml-forecasting/clientSecret\n"
        f"The secret of service principal {admin.azure.principal.client_id} is replaced. "
        "Clusters that run keep the old one until they restart: delete it in Entra ID after that.\n"
    ]
    assert "databricks_cluster_policy" in json.loads(said["To Terraform"][-1])["resource"]
    assert "removed release" in said["Leaving"][0]
    # The second deployment is untouched.
    assert [it.name for it in admin.databricks.client().cluster_policies.list()] == [
        "azureml-forecasting-prod"
    ]
