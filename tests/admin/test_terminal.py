"""What a person sees on a terminal of 80 columns, and what a pipe gets."""

from __future__ import annotations

import re

from tests.admin.conftest import Admin
from tests.admin.golden import assert_is_golden
from tests.admin.terminal import COLUMNS, Terminal
from tests.admin.test_deploy import make_cluster


def test_a_plan_is_read_at_a_glance(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets

    terminal = Terminal(admin.run, "plan")

    assert terminal.wait() == 2
    assert_is_golden(admin.plain(terminal.text), "terminal-plan")
    assert max(map(len, terminal.text.splitlines())) <= COLUMNS
    assert terminal.colour("+ policy azureml") == "green"
    assert terminal.colour("spark_version") == "default"


def test_a_roll_out_asks_before_it_deploys_and_before_it_restarts(deployed: Admin) -> None:
    make_cluster(deployed)
    deployed.write(settings='onError = "fail"')

    terminal = Terminal(deployed.run, "deploy", "--enforce")
    terminal.wait_for("Deploy? [y/N]: ")
    terminal.type("y\n")
    terminal.wait_for("Enforce the policy on them? [y/N]: ")
    terminal.type("y\n")

    assert terminal.wait() == 0
    assert_is_golden(deployed.plain(terminal.text), "terminal-enforce")
    assert terminal.colour("~ policy azureml") == "brown"
    assert terminal.colour("cluster etl (") == "brown"


def test_a_no_changes_nothing(deployed: Admin) -> None:
    terminal = Terminal(deployed.run, "destroy")
    terminal.wait_for("Remove all of this? [y/N]: ")
    terminal.type("n\n")

    assert terminal.wait() == 1
    assert terminal.text.endswith("Remove all of this? [y/N]: n\nAborted!\n")
    assert {it.method for it in deployed.databricks.journal} <= {"GET", "HEAD"}
    assert terminal.colour("- policy azureml") == "red"


def test_init_asks_four_questions_and_writes_a_file_that_is_right(admin: Admin) -> None:
    admin.file.unlink()

    terminal = Terminal(admin.run, "init")
    for question, answer in (
        ("Databricks workspace", admin.databricks.host),
        # What is wrong is asked again, and what was right stays.
        ("Azure ML workspace", "forecasting"),
        ("Error: 'forecasting': no /subscriptions", admin.azure.workspace.resource_id),
        ("Folder for our files", ""),
        ("Error: nothing was given: give a folder", "/Volumes/sales/ml/azureml"),
        ("Group that may use", ""),
    ):
        terminal.wait_for(question)
        terminal.type(f"{answer}\n")

    assert terminal.wait() == 0, terminal.text
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    assert admin.run("plan").returncode == 2


def test_an_error_has_one_coloured_word(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets
    admin.write(policy="name = 7")

    terminal = Terminal(admin.run, "plan")

    assert terminal.wait() == 1
    assert terminal.colour("Error: ") == "red"
    assert terminal.colour("policy.name is 7") == "default"


def test_a_terminal_that_wants_no_colours_has_none(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets

    admin.write(policy="name = 7")

    terminal = Terminal(admin.run, "plan", NO_COLOR="1")

    assert terminal.wait() == 1
    assert not re.search(rb"\x1b\[3\dm", terminal.sent)


def test_a_pipe_gets_no_colours_no_spinner_and_one_line_for_one_thing(admin_with_secrets: Admin) -> None:
    done = admin_with_secrets.run("deploy", "--yes")

    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr == ""
    assert re.search(
        r"^    init_scripts\.0\.volumes\.destination: fixed /Volumes/.{40,}\.sh$", done.stdout, re.MULTILINE
    )
