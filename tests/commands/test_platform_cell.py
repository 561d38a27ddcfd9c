"""The cell of docs/platform.md is the doctor's module, and runs where nothing of ours is installed."""

from __future__ import annotations

import ast
import sys

import pytest

from tests.commands import platform_cell
from tests.emulated.node import Node, Replica, Runtime, boot

SECRET = "s3cr3t"


def test_the_cell_on_the_page_is_the_doctors_module() -> None:
    assert platform_cell.on_the_page() == platform_cell.MODULE.read_text(), (
        "`python -m tests.commands.platform_cell` renews it"
    )


def test_it_imports_nothing_that_a_cluster_does_not_have() -> None:
    imported = {
        name.partition(".")[0]
        for statement in ast.walk(ast.parse(platform_cell.on_the_page()))
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in statement.names]
            if isinstance(statement, ast.Import)
            else [statement.module or ""]
        )
    }

    assert imported - set(sys.stdlib_module_names) == {"IPython", "pyspark"}
    assert not imported & {"socket", "urllib", "http", "ssl", "subprocess", "ctypes"}


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    """What the cell of the page shows in a notebook on a node without us, by question."""
    variables = {"PROBE_VARIABLE": "seen", "AZURE_CLIENT_SECRET": SECRET, "AZURE_CLIENT_ID": SECRET}
    with boot(Replica(Runtime.load("15.4")), spark_env_vars=variables) as node:
        text = printed_by(node)
    lines = [line[2:-2].split(" | ") for line in text.splitlines()]
    assert lines[:2] == [["where", "what", "seen"], ["---"] * 3]
    assert SECRET not in text
    return {what: seen for _, what, seen in lines[2:]}


def printed_by(node: Node) -> str:
    node.checkpoint()
    notebook = node.run_notebook([platform_cell.on_the_page()])
    assert not [path for path in node.changes() if "azureml" in path]
    return "".join(it.text for it in notebook.cells[0].outputs if it.get("name") == "stdout")


def test_it_says_what_the_hooks_rest_on(shown: dict[str, str]) -> None:
    assert shown["runtime"] == "15.4"
    assert shown["interpreter"].startswith("Python 3.11, ")
    assert "pythonEnv-" in shown["interpreter"]
    assert shown["flags"] == "none that matters"
    assert "sitecustomize.py, without our lines" in shown["sitecustomize"]
    assert shown["/etc/python3.11/sitecustomize.py"].endswith("without our lines")
    assert "/databricks/python/lib/python3.11/site-packages" in shown["sys.path"]
    assert shown["IPython's startup folder"].startswith("looked at by IPKernelApp")
    assert shown["hooks of azureml-databricks"] == "none ran"
    assert shown["all of it"] == "there is no Spark session"


def test_it_says_which_variables_are_there_and_the_value_of_none(shown: dict[str, str]) -> None:
    assert shown["variables"].split(", ")[:2] == ["PROBE_VARIABLE", "AZURE_CLIENT_ID"]
    assert SECRET not in "".join(shown.values())


def test_each_row_of_the_page_is_a_row_of_the_cell(shown: dict[str, str]) -> None:
    believed = platform_cell.PAGE.read_text().rpartition("## What we believe")[2]
    rows = [line.split("|")[1].strip() for line in believed.splitlines() if line.startswith("| ")]
    of_sessions = {"session", "conf of the cluster", "conf of the session"}
    known = {*shown, *of_sessions, "processes above"}

    names = {name for row in rows[2:] for name in row.replace("`", "").replace("3.X", "3.11").split(", ")}
    assert names - known == {"in tasks", "variables of the init script"}
