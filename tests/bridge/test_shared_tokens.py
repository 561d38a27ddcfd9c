"""One token for all processes of one user on a node, which nobody else can read, and which no disk has."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import (
    cluster_node,
    forget_tokens,
    node_in_service,
    policy_variables,
    start,
)
from tests.emulated.node import Node
from tests.emulated.preloaded import Preloaded, on_node

PYTHON = "/databricks/python3/bin/python"
ASK = "import mlflow; mlflow.search_experiments()"
FOLDER = "/dev/shm/azureml-databricks-{}"


@pytest.fixture(scope="module")
def node(bundle: Path, _azure: EmulatedAzure) -> Iterator[Node]:
    variables = policy_variables(_azure)
    with cluster_node(bundle, variables, azure=_azure) as node:
        if "other user" in node.cannot:
            pytest.skip(node.cannot["other user"])
        start(node)
        yield node


@pytest.fixture(scope="module")
def python(node: Node) -> Iterator[Preloaded]:
    """Runs programs on the node, each a process that has not logged in."""
    with on_node(node) as python:
        yield python


def ask(python: Preloaded, *, user: str | None = None, code: str = ASK) -> None:
    done = python.run(code, user=user, env={"HOME": "/tmp"} if user else {})
    assert done.returncode == 0, done.stderr


@pytest.fixture(autouse=True)
def _no_token_yet(node: Node) -> None:
    forget_tokens(node.path("/dev/shm"))


def logins(azure: EmulatedAzure) -> int:
    return len(azure.journal.of("login.*", "/token"))


def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_processes_that_start_at_once_log_in_once(node: Node, azure: EmulatedAzure) -> None:
    processes = [node.popen([PYTHON, "-W", "ignore", "-c", ASK], cwd="/tmp") for _ in range(6)]

    assert [process.wait() for process in processes] == [0] * 6
    assert logins(azure) == 1


def test_each_user_logs_in_alone(python: Preloaded, azure: EmulatedAzure) -> None:
    for user in (None, "nobody", None, "nobody"):
        ask(python, user=user)

    assert logins(azure) == 2


def test_no_other_user_can_read_it_and_who_can_sees_neither_token_nor_secret(
    node: Node, python: Preloaded, azure: EmulatedAzure
) -> None:
    ask(python)

    folder = node.path(FOLDER.format(0))
    for file in folder.iterdir():
        seen = node.run(["cat", f"{FOLDER.format(0)}/{file.name}"], user="nobody")
        assert "Permission denied" in seen.stderr
    assert [file.stat().st_mode & 0o077 for file in (folder, *folder.iterdir())] == [0, 0, 0]
    content = everything_in(folder)
    assert azure.principal.client_secret.encode() not in content
    assert b"eyJ" not in content  # as every token begins


def test_it_is_on_no_disk(node: Node, python: Preloaded, azure: EmulatedAzure) -> None:
    node.checkpoint()

    ask(python)

    assert node.run(["stat", "--file-system", "--format=%T", "/dev/shm"]).stdout == "tmpfs\n"
    assert not [path for path in node.changes() if "__pycache__" not in path and path != "/tmp"]


def test_another_secret_is_another_login(node: Node, python: Preloaded, azure: EmulatedAzure) -> None:
    ask(python)

    done = node.run([PYTHON, "-W", "ignore", "-c", ASK], env={"AZURE_CLIENT_SECRET": "another"}, cwd="/tmp")

    assert "the secret in AZURE_CLIENT_SECRET is wrong" in done.stderr
    ask(python)  # the first still counts
    assert logins(azure) == 2


def test_a_failed_login_answers_for_the_nodes_other_processes(node: Node, azure: EmulatedAzure) -> None:
    env = {"AZURE_CLIENT_SECRET": "another"}
    done = [node.run([PYTHON, "-W", "ignore", "-c", ASK], env=env, cwd="/tmp") for _ in range(3)]

    assert ["the secret in AZURE_CLIENT_SECRET is wrong" in each.stderr for each in done] == [True] * 3
    assert logins(azure) == 1


@pytest.mark.parametrize(
    "planted",
    [
        "mkdir /dev/shm/azureml-databricks-0; chmod 777 /dev/shm/azureml-databricks-0",
        "mkdir /tmp/mine; ln -s /tmp/mine /dev/shm/azureml-databricks-0",
        "echo x > /dev/shm/azureml-databricks-0",
    ],
)
def test_what_somebody_else_has_planted_is_not_used(
    node: Node, python: Preloaded, azure: EmulatedAzure, planted: str
) -> None:
    assert node.run(["sh", "-c", planted], user="nobody").returncode == 0

    ask(python)
    ask(python)

    assert logins(azure) == 2
    assert node.run(["sh", "-c", "rm -rf /dev/shm/azureml-databricks-0 /tmp/mine"]).returncode == 0


def test_a_spoilt_file_is_as_none(node: Node, python: Preloaded, azure: EmulatedAzure) -> None:
    ask(python)
    for file in node.path(FOLDER.format(0)).iterdir():
        file.write_bytes(b"spoilt")

    ask(python)

    assert logins(azure) == 2


@pytest.mark.parametrize(
    "code",
    [
        # The same, with less patience than twenty seconds.
        f"from azureml_databricks.bridge import shared_tokens; shared_tokens._PATIENCE_SECONDS = 1; {ASK}",
        pytest.param(ASK, marks=pytest.mark.thorough),
    ],
    ids=["in a second", "in twenty"],
)
def test_a_process_that_hangs_with_the_lock_keeps_nobody_for_long(
    node: Node, python: Preloaded, azure: EmulatedAzure, code: str
) -> None:
    ask(python)
    folder = node.path(FOLDER.format(0))
    (lock,) = folder.glob("*.lock")
    for file in folder.iterdir():
        if file != lock:
            file.unlink()
    inside = f"{FOLDER.format(0)}/{lock.name}"
    holder = node.popen(["flock", inside, "sleep", "1000"])

    ask(python, code=code)

    assert logins(azure) == 2
    holder.kill()
    holder.wait()


def test_uninstall_removes_it(bundle: Path, azure: EmulatedAzure) -> None:
    with node_in_service(bundle, azure) as node:
        assert node.run([PYTHON, "-W", "ignore", "-c", ASK], cwd="/tmp").returncode == 0
        assert list(node.path("/dev/shm").glob("azureml-databricks-*"))

        assert node.run(["azureml-databricks", "node", "uninstall"]).returncode == 0

        assert not list(node.path("/dev/shm").glob("azureml-databricks-*"))


def test_without_memory_each_process_logs_in_for_itself(node: Node, azure: EmulatedAzure) -> None:
    hidden = 'mount -t ramfs none /dev/shm && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"'
    command = ["unshare", "--mount", "sh", "-c", hidden, "sh", PYTHON, "-W", "ignore", "-c", ASK]

    for _ in range(2):
        done: subprocess.CompletedProcess[str] = node.run(command, cwd="/tmp")
        assert done.returncode == 0, done.stderr

    assert logins(azure) == 2
