"""What a person who knows nothing reads first: help, examples, what an exit status means."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path

import click
import pytest

from azureml_databricks.admin.commands import help_texts
from azureml_databricks.admin.commands.cli import main
from azureml_databricks.admin.commands.debug import show_requests
from azureml_databricks.admin.commands.given_secret import GivenSecret
from tests.admin.command import Command
from tests.admin.conftest import Admin


def commands(group: click.Group = main) -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        found |= commands(command) if isinstance(command, click.Group) else {name: command}
    return found


def of(command: click.Command) -> str:
    return command.get_help(click.Context(command, info_name=command.name))


def test_the_commands_are_in_the_order_of_work() -> None:
    assert tuple(main.list_commands(click.Context(main))) == help_texts.ORDER


def test_the_help_tells_of_exit_statuses_of_completion_and_of_the_doctor() -> None:
    told = " ".join(of(main).split())

    assert "Exit status: 0 all is done" in told
    assert "_AZUREML_DATABRICKS_COMPLETE=bash_source" in told
    assert "doctor On a cluster" in told


def test_each_command_of_work_has_an_example_that_is_right() -> None:
    for name, lines in help_texts.EXAMPLES.items():
        assert lines[0] in of(commands()[name]).replace("\n  ", " ") or len(lines[0]) > 70
        for line in lines:
            ours = line.rpartition("| ")[2].partition("   (")[0].partition(" > ")[0]
            _, *words = shlex.split(ours)
            command: click.Command = main
            while isinstance(command, click.Group):
                command = command.commands[words.pop(0)]
            command.make_context(name, words, obj=GivenSecret())


def test_rotate_tells_of_the_command_that_makes_another_secret() -> None:
    assert "az ad app credential reset" in of(commands()["rotate"])
    assert "create-for-rbac" not in of(commands()["rotate"])


@pytest.mark.parametrize("command", [("doctor",), ("node", "status")])
def test_an_admins_machine_is_said_to_be_no_node(tmp_path: Path, command: tuple[str, ...]) -> None:
    run = Command(tmp_path, {"PATH": "/usr/bin:/bin", "AZUREML_DATABRICKS_ROOT": str(tmp_path)})

    done = run(*command)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"azureml-databricks {command[0]}: this is no node of a Databricks cluster")
    assert len(done.stderr.splitlines()) == 1


def test_requests_are_shown_without_a_secret_and_json_says_where_it_is(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets

    done = admin.run("plan", "--debug", "--json")

    shown = [line for line in done.stderr.splitlines() if line.startswith("debug: ")]
    assert any('"GET /api/2.0/secrets/scopes/list HTTP/1.1" 200' in line for line in shown)
    assert any("https://login.microsoftonline.com:443" in line for line in shown)
    assert admin.azure.principal.client_secret not in done.stderr
    assert admin.databricks.admin.token not in done.stderr
    assert f'"host": "{admin.databricks.host}"' in done.stdout
    assert '"script": "/Volumes/sales/ml/azureml/' in done.stdout


def test_what_signs_an_address_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("urllib3")
    before = (logger.level, logger.propagate, [*logger.handlers])
    show_requests()
    logging.getLogger("urllib3.connectionpool").debug('"GET /a?sv=1&sig=s3cr3t%3D&x=1 HTTP/1.1" 200')
    logger.level, logger.propagate, logger.handlers = before

    shown = capsys.readouterr().err
    assert "GET /a?sv=1&sig=***&x=1" in shown
    assert "s3cr3t" not in shown


def test_a_log_tells_what_is_built_and_uploaded(admin_with_secrets: Admin) -> None:
    told = admin_with_secrets.run_or_fail("deploy", "--yes").progress

    assert [line.split()[0] for line in told] == ["building", "built", "uploading"]
    assert told[2].endswith(" MB")
