"""What a person who knows nothing reads first: help, examples, what an exit status means."""

from __future__ import annotations

import ast
import logging
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from azureml_databricks.admin.command_line import help_texts
from azureml_databricks.admin.command_line.debug import show_requests
from azureml_databricks.admin.command_line.main import main
from azureml_databricks.admin.commands.given_secret import GivenSecret
from tests import REPOSITORY
from tests.admin.command import SCRIPT, Command
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
    # A wheel has no pages
    for variable in ("HTTPS_PROXY", "REQUESTS_CA_BUNDLE", "UV_DEFAULT_INDEX", "UV_PYTHON_INSTALL_MIRROR"):
        assert variable in told


def test_what_a_command_does_is_told_whole() -> None:
    for group in (main, *(it for it in main.commands.values() if isinstance(it, click.Group))):
        # A line may end at a hyphen.
        told = " ".join(of(group).partition("Commands:")[2].split()).replace("- ", "-")

        assert "..." not in told
        for command in group.commands.values():
            first = " ".join((command.help or "").partition(".\n")[0].split()).partition(". ")[0].rstrip(".")
            assert first in told, (command.name, told)


def test_force_and_also_say_what_they_do() -> None:
    told = {name: " ".join(of(it).split()) for name, it in commands().items()}

    assert "--force Upload all files of the release again; and take the lock" in told["deploy"]
    assert "--force Take the lock of the location" in told["destroy"]
    for name in ("plan", "deploy", "destroy"):
        assert "--also NAME Remove our secrets and rights from this secret scope" in told[name]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("plan --jsn", "No such option '--jsn'"),
        ("deplo", "No such command 'deplo'"),
        ("--jsn plan", "No such option '--jsn'"),
        ("secrets se", "No such command 'se'"),
        ("deploy --only nobody", "Invalid value for '--only': 'nobody' is not one of"),
        ("deploy --only jobs", "--only and --name choose whom --enforce is for"),
        ("bundle", "Missing option '--runtime'"),
    ],
)
def test_what_is_asked_wrong_is_one_line(admin: Admin, words: str, said: str) -> None:
    done = admin.run(*words.split())

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {said}")
    assert done.stderr.endswith("--help` shows what there is)\n")
    assert len(done.stderr.splitlines()) == 1


def test_a_group_without_a_command_shows_its_help(tmp_path: Path) -> None:
    done = Command(tmp_path, {"PATH": "/usr/bin:/bin"})("secrets")

    assert "Commands:" in done.stdout + done.stderr


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


def test_what_an_admin_is_told_to_run_is_about_the_file_that_they_gave(tmp_path: Path) -> None:
    run = Command(tmp_path, {"PATH": "/usr/bin:/bin"})

    for given in (("--file", "of prod/prod.toml"), ("--file=of prod/prod.toml",)):
        assert run("plan", *given).stderr == (
            "Error: of prod/prod.toml cannot be read: No such file or directory; `azureml-databricks init "
            "--file 'of prod/prod.toml'` writes one\n"
        )


def _texts(tree: ast.AST) -> Iterator[ast.Constant]:
    """The texts in a module that are no docstrings."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Constant):
            yield node
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            yield from _texts(node)


def test_every_command_in_a_message_has_that_file() -> None:
    # Messages are texts in the source that are no docstrings; `to_run.ours` writes the commands in them.
    admin = REPOSITORY / "bootstrap/azureml_databricks/admin"
    with_file = {
        name for name, it in commands().items() if any(option.name == "file" for option in it.params)
    }
    told = re.compile(rf"[`|] ?azureml-databricks (secrets |policy )?({'|'.join(with_file)})\b")
    found = [
        f"{path.name}: {node.value}"
        for path in admin.rglob("*.py")
        # Examples; and the comments of a new file.
        if path.name not in ("help_texts.py", "starter.py")
        for node in _texts(ast.parse(path.read_text()))
        if isinstance(node.value, str) and told.search(node.value)
    ]

    assert found == []


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


@pytest.mark.parametrize("command", [["schema"], ["--help"], ["bundle", "--help"]])
def test_a_full_disk_behind_standard_output_is_told_in_a_line(command: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([SCRIPT, *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == "Error: standard output cannot be written: No space left on device\n"
