"""Whatever is interrupted is repeated, and ends as if it had not been."""

from __future__ import annotations

import io
import json
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest
import requests

from azureml_databricks.admin.bundle import archives as bundles
from azureml_databricks.admin.bundle import uv_program
from azureml_databricks.admin.commands import deploy
from azureml_databricks.admin.commands.service_principal import ServicePrincipal, way_to_set
from azureml_databricks.admin.commands.site import Site
from azureml_databricks.admin.file import reading as deployment_file
from azureml_databricks.admin.objects.changes import Plan
from azureml_databricks.admin.objects.record import LOCK
from azureml_databricks.admin.objects.release import Release
from tests.admin.conftest import LOCATION, VOLUME, Admin
from tests.admin.workspace_state import state
from tests.emulated.archives import build_once

FILES_BESIDE_THE_ARCHIVE = ["azureml-databricks.json", "azureml-databricks.sh", "verify_task.py"]


class Library:
    """What the command line calls, in this process: some hundred runs would take long as processes."""

    def __init__(self, admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
        self._admin = admin
        self._monkeypatch = monkeypatch

    def empty(self) -> None:
        """Make an empty workspace with a volume."""
        databricks = self._admin.databricks
        databricks.reset()
        databricks.make_volume(VOLUME, usable_by=())
        databricks.user("ann@contoso.com", groups=["data-scientists"])
        self._monkeypatch.setenv("DATABRICKS_TOKEN", databricks.admin.token)

    def set_secrets(self) -> None:
        site = self._site()
        self._apply(site, way_to_set(site, site.scopes[0])(ServicePrincipal("tenant", "client", "s3cr3t")))

    def deploy(self, **settings: str) -> None:
        site = self._site()
        self._apply(site, deploy.plan(site, Release(LOCATION, ("15.4",), (), settings)))

    def destroy(self) -> None:
        site = self._site()
        if site.record.is_there:  # or it had come to its end
            self._apply(site, deploy.plan_to_destroy(site))

    def state(self) -> dict[str, Any]:
        return state(self._admin.databricks, VOLUME)

    def could_start_a_cluster(self) -> bool:
        """Whether one would start under the policy, if there is one."""
        databricks = self._admin.databricks
        client = databricks.cluster_client(databricks.admin)
        policy = next(iter(client.cluster_policies.list()), None)
        if policy is None:
            return True
        script = json.loads(policy.definition or "")["init_scripts.0.volumes.destination"]["value"]
        files = [it.name for it in client.files.list_directory_contents(script.rpartition("/")[0])]
        readers = client.grants.get("volume", VOLUME).privilege_assignments or []
        return (
            files[1:] == FILES_BESIDE_THE_ARCHIVE
            and databricks.allowlists.allows(script)
            and "data-scientists" in [it.principal for it in readers]
            and bool(databricks.vault.value("azureml", "clientSecret"))
        )

    def _site(self) -> Site:
        return Site(deployment_file.read(self._admin.file))

    def _apply(self, site: Site, plan: Plan) -> None:
        list(deploy.apply(site, plan, lambda change: None))


@pytest.fixture
def library(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> Library:
    for module, name in ((bundles, "_archive"), (uv_program, "run")):
        monkeypatch.setattr(module, name, getattr(module, name))
    build_once()
    library = Library(admin, monkeypatch)
    library.empty()
    return library


class Interruptions:
    """Ends what writes to the workspace, once for each write: the same one then works.

    Args:
        after: whether the workspace does what it is asked, and only its answer is lost.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
        self.count = 0
        self.paused = False
        seen = set()
        send = requests.Session.send

        def interrupted(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
            write = (request.method, request.url, _content(request))
            if self.paused or request.method in ("GET", "HEAD") or write in seen:
                return send(session, request, **options)
            seen.add(write)
            self.count += 1
            if after:
                send(session, request, **options)
            raise KeyboardInterrupt

        monkeypatch.setattr(requests.Session, "send", interrupted)


def _content(request: requests.PreparedRequest) -> Any:
    if LOCK in str(request.url) or "/workspace/import" in str(request.url):
        return None  # no two are the same: a form has a boundary of its own
    body: Any = request.body
    if not isinstance(body, io.IOBase):
        return body
    content = body.read()
    body.seek(0)
    # The record says when a secret and a release were written: in milliseconds, and another time each time.
    return re.sub(rb"\b\d{13}\b", b"TIME", content)


STAGES: dict[str, tuple[list[Callable[[Library], None]], Callable[[Library], None]]] = {
    "secrets set": ([], Library.set_secrets),
    "first deploy": ([Library.set_secrets], Library.deploy),
    "changed setting": ([Library.set_secrets, Library.deploy], lambda it: it.deploy(onError="fail")),
    "destroy": ([Library.set_secrets, Library.deploy], Library.destroy),
}


@pytest.mark.parametrize(
    ("stage", "after"),
    [
        ("secrets set", False),
        ("secrets set", True),
        ("first deploy", False),
        ("first deploy", True),
        pytest.param("changed setting", False, marks=pytest.mark.thorough),
        ("changed setting", True),
        ("destroy", False),
        pytest.param("destroy", True, marks=pytest.mark.thorough),
    ],
)
def test_interrupted_at_each_call_and_repeated_it_ends_the_same(
    library: Library, monkeypatch: pytest.MonkeyPatch, stage: str, after: bool
) -> None:
    before, act = STAGES[stage]
    for prepare in (*before, act):
        prepare(library)
    expected = library.state()
    library.empty()
    for prepare in before:
        prepare(library)

    interruptions = Interruptions(monkeypatch, after=after)
    while True:
        try:
            act(library)
            break
        except KeyboardInterrupt:
            interruptions.paused = True
            assert stage == "destroy" or library.could_start_a_cluster()
            interruptions.paused = False

    assert interruptions.count > 8
    interruptions.paused = True
    assert library.state() == expected


def test_a_killed_deploy_is_repeated_as_if_nothing_had_been(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets
    fault = admin.databricks.faults.add(path=r"azureml-databricks\.sh", hang=True, after=True, times=1)
    running = admin.run.start("deploy", "--yes")
    assert fault.hit.wait(timeout=600)
    running.program.send_signal(signal.SIGKILL)
    done = running.done()
    assert done.returncode == -signal.SIGKILL
    assert "made release" not in done.stdout
    assert done.stderr == ""
    admin.databricks.faults.clear()

    # Then its lock is there, which nobody could give back
    assert "run this again with --force" in admin.run("deploy", "--yes").stderr
    admin.run_or_fail("deploy", "--yes", "--force")

    assert admin.run("plan").returncode == 0


def test_a_deploy_that_is_stopped_by_hand_says_what_to_do(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets
    fault = admin.databricks.faults.add(path="policies/clusters/create", hang=True, times=1)
    running = admin.run.start("deploy", "--yes")
    assert fault.hit.wait(timeout=600)
    running.program.send_signal(signal.SIGINT)
    done = running.done()

    assert done.returncode == 1
    assert "made right READ VOLUME on sales.ml.azureml for data-scientists\n" in done.stdout
    assert done.stderr == "Error: interrupted: run it again, and it goes on where it stopped\n"
    admin.databricks.faults.clear()
    admin.run_or_fail("deploy", "--yes")
    assert admin.run("plan").returncode == 0
