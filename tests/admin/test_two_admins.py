"""Two admins at once: one changes what is there, and the other is told who does."""

from __future__ import annotations

import io
import re
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests
from databricks.sdk.service.catalog import ArtifactMatcher, ArtifactType, MatchType

from azureml_databricks.admin.commands import deploy
from azureml_databricks.admin.commands.site import Site
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file import reading as deployment_file
from azureml_databricks.admin.objects import storage
from azureml_databricks.admin.objects.allowlist import Allowlist
from azureml_databricks.admin.objects.inventory import Inventory
from azureml_databricks.admin.objects.lock import Lock
from azureml_databricks.admin.objects.record import Record
from azureml_databricks.admin.objects.record_copy import FOLDER as COPIES
from azureml_databricks.admin.objects.references import References
from tests.admin.conftest import LOCATION, VOLUME, Admin
from tests.admin.workspace_state import state

LOCK = f"{LOCATION}/azureml-databricks.lock"
FOLDER = "/Workspace/Admins/azureml"
WHO = r"admin@contoso\.com, since \d{4}-\d\d-\d\d \d\d:\d\d UTC, from \S+"
LOCKED = (
    rf"Error: {LOCATION} is locked by {WHO}: wait until that has ended; if it was killed and "
    r"azureml-databricks\.lock is what it left there, run this again with --force\n"
)
# Whoever brought a secret is told how to make another, too: standard input had the only copy.
LOCKED_OUT_WITH_A_SECRET = (
    LOCKED.removesuffix(r"\n") + r"; the secret is not in the scope: if that was its only copy, .*\n"
)


@pytest.fixture
def colleague(deployed: Admin) -> Admin:
    """An admin with the same file, on another machine, who wants another setting."""
    folder = deployed.folder / "colleague"
    folder.mkdir()
    colleague = Admin(folder, deployed.databricks, deployed.azure)
    colleague.write(settings='onError = "fail"')
    return colleague


def leave_a_lock(admin: Admin, content: bytes = b"eve@contoso.com, since yesterday, from there\n") -> None:
    """Put a lock there as one leaves it who is killed, or who can write to the volume."""
    files = admin.databricks.cluster_client(admin.databricks.admin).files
    files.upload(LOCK, io.BytesIO(content), overwrite=True)


def files(admin: Admin) -> dict[str, Any]:
    found: dict[str, Any] = state(admin.databricks, VOLUME)["files"]
    return found


# The lock ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["deploy --yes", "destroy --yes", "secrets set", "secrets rotate"])
def test_who_comes_second_is_told_who_is_first_and_changes_nothing(
    deployed: Admin, colleague: Admin, command: str
) -> None:
    # Given one who deploys, and is just about to change the policy
    deployed.write(settings='onError = "fail"\nexperiment = "ours"')
    fault = deployed.databricks.faults.add(path="policies/clusters/edit", hang=True, times=1)
    first = deployed.run.start("deploy", "--yes")
    assert fault.hit.wait(timeout=600)
    before = state(deployed.databricks, VOLUME)

    # When another writes
    done = colleague.run(*command.split(), stdin=colleague.service_principal)

    # Then they are told, and all is as it was
    assert done.returncode == 1
    told = LOCKED_OUT_WITH_A_SECRET if "secrets" in command else LOCKED
    assert re.fullmatch(told, done.stderr), done.stderr
    assert state(deployed.databricks, VOLUME) == before
    # And they may look
    assert colleague.run("plan").returncode == 2
    assert colleague.run("status").returncode == 2
    first.program.send_signal(signal.SIGINT)
    first.done()
    deployed.databricks.faults.clear()
    colleague.run_or_fail("deploy", "--yes")


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_it_is_given_back_however_a_command_ends(deployed: Admin, ended_by: signal.Signals) -> None:
    deployed.write(settings='onError = "fail"')
    fault = deployed.databricks.faults.add(path="policies/clusters/edit", hang=True, times=1)
    running = deployed.run.start("deploy", "--yes")
    assert fault.hit.wait(timeout=600)
    assert LOCK in files(deployed)
    running.program.send_signal(ended_by)

    assert running.done().stderr == "Error: interrupted: run it again, and it goes on where it stopped\n"
    assert LOCK not in files(deployed)

    # And after an error
    deployed.databricks.faults.clear()
    deployed.databricks.faults.add(path="policies/clusters/edit", status=403, times=1)
    assert deployed.run("deploy", "--yes").returncode == 1
    assert LOCK not in files(deployed)
    deployed.databricks.faults.clear()
    deployed.run_or_fail("deploy", "--yes")
    assert LOCK not in files(deployed)


def test_one_that_is_left_behind_is_taken_with_force_only(deployed: Admin) -> None:
    leave_a_lock(deployed)
    deployed.write(settings='onError = "fail"')

    refused = deployed.run("deploy", "--yes")
    deployed.run_or_fail("deploy", "--yes", "--force")

    assert refused.returncode == 1
    assert f"{LOCATION} is locked by eve@contoso.com, since yesterday, from there: wait" in refused.stderr
    assert refused.stderr.endswith("run this again with --force\n")
    assert LOCK not in files(deployed)
    assert deployed.run("plan").returncode == 0


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"", "somebody"),
        (b"\x1b[2J\x07eve\r\n", r"\x1b[2J\x07eve\r"),
        (b"\xff\xfe\n", "\ufffd\ufffd"),
        (b"e" * 100_000, "e" * 200),
    ],
)
def test_what_is_in_it_is_shown_and_nothing_else(deployed: Admin, content: bytes, shown: str) -> None:
    leave_a_lock(deployed, content)
    deployed.write(settings='onError = "fail"')

    done = deployed.run("deploy", "--yes")

    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {LOCATION} is locked by {shown}: wait")
    assert done.stderr.count("\n") == 1


def test_who_had_it_taken_away_leaves_the_others_alone(deployed: Admin, colleague: Admin) -> None:
    deployed.write(settings='experiment = "ours"')
    hung = deployed.databricks.faults.add(path="policies/clusters/edit", hang=True, times=1)
    first = deployed.run.start("deploy", "--yes")
    assert hung.hit.wait(timeout=600)
    hung_too = deployed.databricks.faults.add(path="policies/clusters/edit", hang=True, times=1)
    second = colleague.run.start("deploy", "--yes", "--force")
    assert hung_too.hit.wait(timeout=600)
    copies = state(deployed.databricks, VOLUME, COPIES)["workspace files"]

    first.program.send_signal(signal.SIGINT)
    first.done()

    assert LOCK in files(deployed)
    assert state(deployed.databricks, VOLUME, COPIES)["workspace files"] == copies
    second.program.send_signal(signal.SIGINT)
    second.done()
    assert LOCK not in files(deployed)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"eve@contoso.com, since noon\n", "is locked by eve@contoso.com, since noon now"),
        (None, "has no azureml-databricks.lock any more"),
    ],
)
def test_who_had_it_taken_away_changes_nothing_more(
    deployed: Admin, monkeypatch: pytest.MonkeyPatch, content: bytes | None, told: str
) -> None:
    # Given one who is at work, and another who takes the lock with --force, or deletes it
    monkeypatch.setenv("DATABRICKS_TOKEN", deployed.databricks.admin.token)
    site = Site(deployment_file.read(deployed.file))
    made = deploy.apply(site, deploy.plan_to_destroy(site), lambda change: None)
    next(made)
    if content:
        leave_a_lock(deployed, content)
    else:
        deployed.databricks.cluster_client(deployed.databricks.admin).files.delete(LOCK)
    before = state(deployed.databricks, VOLUME, COPIES)

    # When the first comes to the next change, it stops, and all is the other's
    with pytest.raises(AdminError, match=f"{LOCATION} {told}: nothing more was changed here"):
        next(made)
    assert state(deployed.databricks, VOLUME, COPIES) == before


@pytest.mark.parametrize("location", [LOCATION, FOLDER])
def test_of_many_at_once_one_gets_it(deployed: Admin, location: str) -> None:
    # Given several who have all read what is there, which a folder may not be
    client = deployed.databricks.client()
    together = threading.Barrier(8)
    taken, refused = [], []

    def take() -> None:
        place = storage.at(client, location)
        lock = Lock(place, Record(place), "admin@contoso.com")
        together.wait()
        try:
            with lock.held():
                taken.append(lock)
                # Nobody gives it back before all have asked for it.
                together.wait()
        except AdminError as error:
            refused.append(str(error))
            together.wait()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == 1
    assert all(f"{location} is locked by admin@contoso.com, since " in it for it in refused)
    # And what it made is gone
    assert not storage.at(client, location).entries("").keys() & {"azureml-databricks.lock"}
    assert location == LOCATION or not storage.at(client, location).exists()


def test_what_another_changed_while_one_was_asked_is_not_written_over(
    deployed: Admin, colleague: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given one who has looked, and has yet to say yes
    monkeypatch.setenv("DATABRICKS_TOKEN", deployed.databricks.admin.token)
    place = storage.at(deployed.databricks.client(), LOCATION)
    lock = Lock(place, Record(place), "admin@contoso.com")

    # When another deploys meanwhile
    colleague.run_or_fail("deploy", "--yes")
    before = state(deployed.databricks, VOLUME)

    # Then the first writes nothing, not even the record
    with pytest.raises(AdminError, match="was changed by another admin since it was looked at"), lock.held():
        raise AssertionError
    assert state(deployed.databricks, VOLUME) == before


def test_a_deploy_without_changes_takes_no_lock(deployed: Admin) -> None:
    leave_a_lock(deployed)

    deployed.run_or_fail("deploy", "--yes")


# The allowlist, which is the whole metastore's --------------------------------------------------------


class InBetween:
    """Does something as somebody else, once, right after a request of ours is answered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def after(self, method: str, act: Callable[[], object]) -> None:
        send = requests.Session.send
        left = [act]

        def sent(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
            answer = send(session, request, **options)
            if left and request.method == method and "artifact-allowlists" in str(request.url):
                left.pop()()
            return answer

        self._monkeypatch.setattr(requests.Session, "send", sent)


@pytest.fixture
def in_between(monkeypatch: pytest.MonkeyPatch) -> InBetween:
    return InBetween(monkeypatch)


SCRIPT = f"{LOCATION}/0123456789ab/azureml-databricks.sh"
THEIRS = "/Volumes/it/security/scan.sh"


@pytest.mark.parametrize("writes", ["adds", "removes"])
def test_who_writes_the_allowlist_from_an_older_reading_does_not_undo_ours(
    admin: Admin, in_between: InBetween, writes: str
) -> None:
    # Given a list in which there is an entry of ours, or not
    client = admin.databricks.client()
    place = storage.at(client, LOCATION)
    record = Record(place)
    allowlist = Allowlist(client, record, References(Inventory(client)))
    lists = admin.databricks.cluster_client(admin.databricks.admin).artifact_allowlists
    older = [ArtifactMatcher(THEIRS, MatchType.PREFIX_MATCH)]
    if writes == "removes":
        older.append(ArtifactMatcher(SCRIPT, MatchType.PREFIX_MATCH))
        record.note("allowlist entry", SCRIPT)
        lists.update(ArtifactType.INIT_SCRIPT, older)

    # When another admin writes, right after us, what they made of what they read before us
    in_between.after("PUT", lambda: lists.update(ArtifactType.INIT_SCRIPT, older))
    changes = allowlist.changes([SCRIPT]) if writes == "adds" else allowlist.removals([])
    for change in changes:
        change.act()  # type: ignore[union-attr]

    # Then both have what they want
    assert admin.databricks.allowlists.paths() == [THEIRS, *([SCRIPT] if writes == "adds" else [])]


def test_what_another_adds_after_we_have_looked_stays(admin: Admin, in_between: InBetween) -> None:
    client = admin.databricks.client()
    allowlist = Allowlist(client, Record(storage.at(client, LOCATION)), References(Inventory(client)))
    lists = admin.databricks.cluster_client(admin.databricks.admin).artifact_allowlists
    theirs = [ArtifactMatcher(THEIRS, MatchType.PREFIX_MATCH)]

    # When it comes between the plan and the writing
    in_between.after("GET", lambda: lists.update(ArtifactType.INIT_SCRIPT, theirs))
    for change in allowlist.changes([SCRIPT]):
        change.act()

    assert admin.databricks.allowlists.paths() == [THEIRS, SCRIPT]


def test_a_list_that_never_holds_still_is_told(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    client = admin.databricks.client()
    allowlist = Allowlist(client, Record(storage.at(client, LOCATION)), References(Inventory(client)))
    lists = admin.databricks.cluster_client(admin.databricks.admin).artifact_allowlists
    send = requests.Session.send

    def sent(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
        answer = send(session, request, **options)
        if request.method == "PUT" and SCRIPT in str(request.body):
            lists.update(ArtifactType.INIT_SCRIPT, [])
        return answer

    monkeypatch.setattr(requests.Session, "send", sent)

    (change,) = allowlist.changes([SCRIPT])

    with pytest.raises(AdminError, match="is changed by somebody else all the time: run this again"):
        change.act()
