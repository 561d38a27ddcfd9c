"""What a login meets in hours of work: an Azure that is away, slow or busy; forks; clocks; memory."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.emulated import preloaded
from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import cluster_node, forget_tokens, policy_variables, start
from tests.emulated.node import Node
from tests.emulated.preloaded import Preloaded

PROXY = "127.0.0.1 way.out"
LOGIN = "login.microsoftonline.com"
TOKEN = "/oauth2/v2.0/token"
PYTHON = ["/databricks/python3/bin/python", "-W", "ignore", "-c"]
ASK = "import mlflow; mlflow.search_experiments()"
FOLDER = "/dev/shm/azureml-databricks-0"
# What is promised, and the same with less patience.
PROMISED_SECONDS = 15
SOON = "from azureml_databricks.bridge import credential; credential._LOGIN_SECONDS = 2; "
SELDOM = "from azureml_databricks.bridge import credential; credential._FAILURE_LASTS_SECONDS = 100; "
IMPATIENT = "from azureml_databricks.bridge import shared_tokens; shared_tokens._PATIENCE_SECONDS = 1; "
TIMED = """
import mlflow, time
mlflow.get_experiment_by_name  # what MLflow imports late is not waited for
began = time.monotonic()
try:
    mlflow.search_experiments()
except mlflow.MlflowException as error:
    print(time.monotonic() - began, error.message, sep="\\n")
"""


@pytest.fixture(scope="module")
def node(bundle: Path, _azure: EmulatedAzure) -> Iterator[Node]:
    """A node whose proxy has a name, which a test can have lead elsewhere."""
    variables = policy_variables(_azure)
    with cluster_node(bundle, variables, azure=_azure) as node:
        if "other user" in node.cannot:
            pytest.skip(node.cannot["other user"])
        proxy = urlsplit(node.environment["HTTPS_PROXY"])
        named = f"http://way.out:{proxy.port}"
        node.environment.update(dict.fromkeys(("HTTPS_PROXY", "https_proxy"), named))
        start(node)
        yield node


@pytest.fixture(autouse=True)
def _as_ever(node: Node, azure: EmulatedAzure) -> Iterator[None]:
    forget_tokens(node.path("/dev/shm"))
    lead(node, PROXY)
    lifetime = azure.tokens.lifetime
    yield
    azure.tokens.lifetime = lifetime


def lead(node: Node, *lines: str) -> None:
    """Have names lead to addresses on the node, and nowhere without any."""
    node.path("/etc/hosts").write_text("".join(f"{line}\n" for line in ("127.0.0.1 localhost", *lines)))


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def _python(node: Node) -> Iterator[Preloaded]:
    lead(node, PROXY)
    with preloaded.on_node(node) as python:
        yield python


@pytest.fixture
def run(_python: Preloaded) -> Run:
    """Runs code on the node, in a process that has not logged in.

    `seconds_later` is by the clock that counts from the machine's start, and by no other.
    """

    def run(code: str = ASK, *, seconds_later: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        return _python.run(later(seconds_later) + code if seconds_later else code, env=variables)

    return run


def later(seconds: int) -> str:
    """Return code that has what comes after it done in a time namespace; see `man 7 time_namespaces`."""
    return f"""
import ctypes, os
assert not ctypes.CDLL(None).unshare(0x80)
open("/proc/self/timens_offsets", "w").write("boottime {seconds} 0")
if child := os.fork():
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def is_well(done: subprocess.CompletedProcess[str]) -> bool:
    assert done.returncode == 0, done.stderr
    return True


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Return what is said of the login, which must be one line."""
    lines = [line for line in done.stderr.splitlines() if "log in" in line]
    assert len(lines) == 1, done.stderr
    return lines[0].partition("cannot log in to Azure: ")[2]


def tokens(azure: EmulatedAzure) -> int:
    return len(azure.journal.of(LOGIN, TOKEN))


# A renewal that fails ------------------------------------------------------------------------------

BLIPS: dict[str, Callable[[Node, EmulatedAzure], object]] = {
    "refused": lambda node, azure: lead(node, "127.0.0.9 way.out"),
    "no name": lambda node, azure: lead(node),
    "reset": lambda node, azure: azure.faults.add(LOGIN, cut=True),
    "500": lambda node, azure: azure.faults.add(LOGIN, status=500),
    "401": lambda node, azure: azure.faults.add(LOGIN, status=401),
    "busy": lambda node, azure: azure.faults.add(LOGIN, status=429, headers={"Retry-After": "600"}),
    "silent": lambda node, azure: azure.faults.add(LOGIN, hang=True),
}


@pytest.mark.parametrize("blip", BLIPS)
def test_a_renewal_that_fails_leaves_the_token_that_is_valid(
    run: Run, node: Node, azure: EmulatedAzure, blip: str
) -> None:
    # Given a token whose end is near, and no way to another
    azure.tokens.lifetime = 290
    assert is_well(run())
    BLIPS[blip](node, azure)

    # Then the login that fails is not noticed
    code = f"""
{SOON}
import os
from azureml_databricks.bridge.credential import credential
scope = "https://management.azure.com/.default"
print(credential({LOGIN!r}).get_token(scope).token == credential({LOGIN!r}).get_token(scope).token)
"""
    done = run(code, seconds_later=160)
    assert is_well(done)
    assert done.stdout == "True\n"


def test_a_renewal_is_tried_again_and_the_failure_is_told_when_no_valid_token_is_left(
    run: Run, azure: EmulatedAzure
) -> None:
    # Given a token that lives on through a renewal that failed
    assert is_well(run())
    azure.faults.add(LOGIN, status=400)
    azure.journal.clear()
    assert is_well(run(SELDOM + ASK, seconds_later=3310))
    asked = len(azure.journal.of(LOGIN))
    assert asked

    # When another process asks soon, then nobody tries; later somebody does
    assert is_well(run(seconds_later=3311))
    assert len(azure.journal.of(LOGIN)) == asked
    assert is_well(run(seconds_later=3430))
    assert len(azure.journal.of(LOGIN)) == 2 * asked

    # And once the token is dead, the login's error is told; once Azure is well again, all is
    assert said(run(seconds_later=3700))
    azure.faults.clear()
    assert is_well(run(seconds_later=3800))


def test_nobody_waits_for_a_renewal_of_another_process(run: Run, node: Node, azure: EmulatedAzure) -> None:
    # Given a token that is to be renewed, and a process that has the lock for ever
    azure.tokens.lifetime = 290
    assert is_well(run())
    with lock_held(node):
        # Then others go on with the token, and ask nobody
        assert is_well(run(seconds_later=160))
    assert tokens(azure) == 1


@contextmanager
def lock_held(node: Node) -> Iterator[None]:
    (lock,) = node.path(FOLDER).glob("*.lock")
    holder = node.popen(["flock", f"{FOLDER}/{lock.name}", "sleep", "1000"])
    while node.run(["flock", "--nonblock", f"{FOLDER}/{lock.name}", "true"]).returncode == 0:
        assert holder.poll() is None
    yield
    os.killpg(holder.pid, signal.SIGKILL)
    holder.communicate()


# Fifteen seconds in all ----------------------------------------------------------------------------


@contextmanager
def silent_addresses() -> Iterator[list[str]]:
    """Eight addresses of this machine where port 443 answers nobody: nobody takes in who waits there."""
    addresses = [f"127.7.{os.getpid() % 250}.{number}" for number in range(1, 9)]
    with ExitStack() as stack:
        for address in addresses:
            listener = stack.enter_context(socket.create_server((address, 443), backlog=0))
            for _ in range(2):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
        yield addresses


IN_TIME = pytest.mark.parametrize(
    "hurry", [SOON, pytest.param("", marks=pytest.mark.thorough)], ids=["soon", "in time"]
)


def in_time(done: subprocess.CompletedProcess[str]) -> str:
    """Return what was said, within what is promised."""
    assert done.returncode == 0, done.stderr
    seconds, message = done.stdout.splitlines()
    assert float(seconds) < PROMISED_SECONDS
    return message


@IN_TIME
def test_eight_addresses_that_do_not_answer_are_given_up(run: Run, node: Node, hurry: str) -> None:
    with silent_addresses() as addresses:
        lead(node, *(f"{address} {LOGIN}" for address in addresses))

        message = in_time(run(hurry + TIMED, HTTPS_PROXY="", https_proxy=""))

    assert f"{LOGIN} cannot be reached with no proxy" in message
    assert message.endswith(f"(no answer within {2 if hurry else 10} seconds)")


@IN_TIME
def test_a_host_that_hangs_is_given_up(run: Run, azure: EmulatedAzure, hurry: str) -> None:
    azure.faults.add(LOGIN, hang=True)

    assert "cannot be reached through the proxy" in in_time(run(hurry + TIMED))


@pytest.mark.thorough
def test_a_process_that_waited_for_another_has_time_for_a_login_of_its_own(
    run: Run, node: Node, azure: EmulatedAzure
) -> None:
    # Given a process that has the lock for ever, and a host that hangs
    assert is_well(run())
    azure.faults.add(LOGIN, hang=True)
    with lock_held(node):
        # Then both waits are within what is promised
        assert "cannot be reached" in in_time(run(TIMED, seconds_later=4000))


# Told to wait --------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", ["600", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_node_that_is_told_to_wait_asks_once_and_all_its_processes_say_when(
    run: Run, node: Node, azure: EmulatedAzure, told: str
) -> None:
    # Given an Entra ID that is busy
    azure.faults.add(LOGIN, TOKEN, status=429, headers={"Retry-After": told})

    # When many processes ask at once, and others after them
    begun = [node.popen([*PYTHON, TIMED], cwd="/tmp") for _ in range(4)]
    ended = [subprocess.CompletedProcess("", each.wait(), *each.communicate()) for each in begun]
    answers = {done.stdout.splitlines()[1] for done in [*ended, run(TIMED)]}

    # Then one has asked, once, and all say the same
    assert tokens(azure) == 1
    (answer,) = answers
    seconds = "600" if told == "600" else "3600"
    assert answer.startswith(
        f"cannot log in to Azure: {LOGIN} has this node wait (429, Retry-After: {seconds}); nobody on it "
        "asks again before "
    )
    assert answer.endswith(" UTC")


def test_a_node_asks_again_when_it_may(run: Run, node: Node, azure: EmulatedAzure) -> None:
    azure.faults.add(LOGIN, TOKEN, status=429, headers={"Retry-After": "600"}, times=1)
    assert "has this node wait" in said(run())

    assert "has this node wait" in said(run(seconds_later=400))
    assert is_well(run(seconds_later=601))

    assert tokens(azure) == 2


def test_the_doctor_waits_too(run: Run, node: Node, azure: EmulatedAzure) -> None:
    azure.faults.add(LOGIN, TOKEN, status=429, headers={"Retry-After": "600"})
    assert "has this node wait" in said(run())

    done = node.run(["azureml-databricks", "doctor"], cwd="/tmp")

    assert "has this node wait" in done.stdout
    assert tokens(azure) == 1


def test_a_busy_answer_that_says_no_time_is_half_a_minute(run: Run, node: Node, azure: EmulatedAzure) -> None:
    azure.faults.add(LOGIN, TOKEN, status=429, times=1)

    assert "has this node wait (429, Retry-After: 30)" in said(run())

    assert is_well(run(seconds_later=31))
    assert tokens(azure) == 2


# Forks ---------------------------------------------------------------------------------------------

FORK = """
import os, threading, mlflow, sys
def quietly():
    try:
        mlflow.search_experiments()
    except mlflow.MlflowException:
        pass
threading.Thread(target=quietly, daemon=True).start()
open("/tmp/go").read()  # the thread is at its login
child = os.fork()
"""


@contextmanager
def forking(node: Node, azure: EmulatedAzure, code: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process that forks while a thread of it logs in, which hangs."""
    fault = azure.faults.add(LOGIN, hang=True, times=1)
    go = node.path("/tmp/go")
    os.mkfifo(go)
    process = node.popen([*PYTHON, FORK + code], cwd="/tmp")
    try:
        assert fault.hit.wait(60)
        go.write_text("")
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        go.unlink()


def test_a_fork_while_a_thread_logs_in_can_log_in_itself(node: Node, azure: EmulatedAzure) -> None:
    code = f"""
{IMPATIENT}
if not child:
    mlflow.search_experiments()
    print("in", flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
os._exit(0)
"""
    with forking(node, azure, code) as process:
        out, err = process.communicate(timeout=60)

    assert out == "in\n0\n", err


def test_a_forks_life_does_not_keep_the_nodes_lock(run: Run, node: Node, azure: EmulatedAzure) -> None:
    # Given a process that has died at its login, and its child, which lives
    code = """
if child:
    print(child, flush=True)
    os.kill(os.getpid(), 9)
open("/tmp/end").read()
"""
    end = node.path("/tmp/end")
    os.mkfifo(end)
    try:
        with forking(node, azure, code) as process:
            assert process.stdout
            assert Path("/proc", process.stdout.readline().strip()).exists()
            assert process.wait(60) == -signal.SIGKILL
            (lock,) = node.path(FOLDER).glob("*.lock")

            # Then the lock is free
            assert node.run(["flock", "--nonblock", f"{FOLDER}/{lock.name}", "true"]).returncode == 0
            assert is_well(run())
    finally:
        end.unlink()


# Clocks, formats, memory, claims -------------------------------------------------------------------


def test_a_clock_that_is_put_back_makes_no_token_live_longer(run: Run, azure: EmulatedAzure) -> None:
    # Given a token of an hour, and after an hour a clock that is put back by that hour
    assert is_well(run())

    assert is_well(run(seconds_later=3700))

    assert tokens(azure) == 2


def test_a_token_that_has_expired_by_azures_clock_is_renewed(
    run: Run, azure: EmulatedAzure, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a token that lives by the node's clock, and not by Azure's
    assert is_well(run())
    monkeypatch.setattr(azure.tokens, "ahead", 4000)

    # Then it is renewed, once for all processes, and the call is made again
    assert is_well(run())
    assert is_well(run())
    assert tokens(azure) == 2


ARTIFACTS = """
import mlflow
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
"""


@pytest.mark.parametrize(
    "code",
    [
        "assert mlflow.artifacts.list_artifacts(artifact_uri=ADDRESS)",
        "assert mlflow.artifacts.load_text(ADDRESS + '/first.txt') == 'first'",
        "open('/tmp/more.txt', 'w').close(); get_artifact_repository(ADDRESS).log_artifact('/tmp/more.txt')",
    ],
    ids=["listed", "read", "written"],
)
def test_a_token_that_has_expired_by_azures_clock_is_renewed_for_artifacts(
    run: Run, azure: EmulatedAzure, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    # Given a run with a file, and a token that no longer lives by Azure's clock
    made = run(
        "import mlflow; client = mlflow.MlflowClient(); run = client.create_run('0');"
        "client.log_text(run.info.run_id, 'first', 'first.txt'); print(run.info.artifact_uri)"
    )
    monkeypatch.setattr(azure.tokens, "ahead", 4000)

    # When its artifacts are asked for, then the token is renewed, once
    assert is_well(run(f"{ARTIFACTS}ADDRESS = {made.stdout.split()[-1]!r}\n{code}"))
    assert tokens(azure) == 2


def test_a_token_that_has_expired_by_azures_clock_is_renewed_once_for_all_threads(
    run: Run, azure: EmulatedAzure, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_well(run())
    monkeypatch.setattr(azure.tokens, "ahead", 4000)

    code = """
import mlflow
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda _: mlflow.search_experiments(), range(8)))
"""
    assert is_well(run(code))
    assert tokens(azure) == 2


def test_a_token_that_has_expired_as_it_comes_is_told_and_asked_for_no_more_than_twice(
    run: Run, azure: EmulatedAzure
) -> None:
    azure.tokens.lifetime = 0

    done = run(TIMED + ASK)

    assert "earlier than current UTC time; `azureml_databricks.doctor()` looks at the login" in done.stderr
    assert tokens(azure) == 2


@pytest.mark.parametrize(
    "content",
    [
        '{"token": "x", "expires_on": 9e9, "format": 3}',
        '{"token": 7, "expires_on": "tomorrow", "at_end": null, "at_next": [], "failure": 1}',
        "[1, 2]",
        "not JSON",
    ],
)
def test_what_another_version_has_written_is_as_nothing(run: Run, azure: EmulatedAzure, content: str) -> None:
    # Given a file that is ours, as a version wrote it that this one does not know
    code = f"""
from azureml_databricks.bridge import shared_tokens
class Other(shared_tokens.SharedTokens):
    def _write(self, file, answer):
        file.write_bytes(self._cipher.encrypt({content!r}.encode()))
shared_tokens.SharedTokens = Other
from azureml_databricks.bridge import credential
credential.SharedTokens = Other
{ASK}
"""
    assert is_well(run(code))

    # Then it is written anew, and all is well
    assert is_well(run())
    assert is_well(run())
    assert tokens(azure) == 2


READ_ONLY = ["unshare", "--mount", "sh", "-c", 'mount -o remount,bind,ro /dev/shm && exec "$@"', "sh"]


def test_memory_that_has_become_read_only_gives_its_token_and_takes_none(
    run: Run, node: Node, azure: EmulatedAzure
) -> None:
    # Given a token, and memory that can only be read since
    azure.tokens.lifetime = 290
    assert is_well(run())
    assert is_well(node.run([*READ_ONLY, *PYTHON, ASK], cwd="/tmp"))
    assert tokens(azure) == 1

    # When it is to be renewed, then each process logs in for itself
    later = ["unshare", "--fork", "--time", "--boottime", "160"]
    for _ in range(2):
        assert is_well(node.run([*READ_ONLY, *later, *PYTHON, ASK], cwd="/tmp"))
    assert tokens(azure) == 3

    # And without any token too
    forget_tokens(node.path("/dev/shm"))
    assert is_well(node.run([*READ_ONLY, *PYTHON, ASK], cwd="/tmp"))


def test_claims_of_a_challenge_are_asked_for_and_answer_for_all(run: Run, azure: EmulatedAzure) -> None:
    # Given a token that a service has refused, with claims for the next
    code = f"""
from azureml_databricks.bridge.credential import credential
ours, scope = credential({LOGIN!r}), "https://management.azure.com/.default"
refused = ours.get_token(scope)
challenged = ours.get_token(scope, claims='{{"access_token": {{"nbf": {{"essential": true}}}}}}')
assert ours.get_token(scope) == challenged
"""

    # Then another is asked for, and it is the one for all from then on
    assert is_well(run(code))
    assert tokens(azure) == 2
    assert is_well(run())
    assert tokens(azure) == 2
