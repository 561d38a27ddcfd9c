"""After a whole journey every secret is looked for: it is where the admin put it, and nowhere else."""

from __future__ import annotations

import base64
import gzip
import io
import json
import secrets
import stat
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest
from nbformat import NotebookNode

from tests.admin.conftest import VOLUME, Admin
from tests.admin.journey import Journey, astray
from tests.admin.secret_search import Arguments, SecretSearch
from tests.emulated.azure import EmulatedAzure
from tests.emulated.databricks import EmulatedDatabricks, started_cluster
from tests.emulated.databricks.cluster import UNPRIVILEGED
from tests.emulated.node import Node
from tests.emulated.transcript import Transcript

# As Entra makes them, and with letters that URLs and base64 write in another way.
_SECRET = f"q8Q~{secrets.token_urlsafe(24)}.-_+/="
# All libraries say all that they have to say.
_NOTEBOOK = [
    "import logging\nlogging.basicConfig(level=logging.DEBUG, force=True)\nimport mlflow",
    """
class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input

with mlflow.start_run():
    mlflow.log_params({"depth": 3})
    mlflow.log_metrics({"accuracy": 0.97})
    mlflow.log_text("seen", "notes/seen.txt")
    options = {"pip_requirements": [], "registered_model_name": "churn"}
    mlflow.pyfunc.log_model("model", python_model=Model(), **options)
""",
    'mlflow.pyfunc.load_model("models:/churn/1")\nmlflow.search_runs()',
    'mlflow.get_run("f" * 32)',
    'mlflow.set_tracking_uri("azureml://evil.example.com/mlflow/v1.0/x")\nmlflow.search_experiments()',
    "mlflow.set_tracking_uri(None)\nfrom azureml_databricks import doctor\nprint(doctor().json())\ndoctor()",
]
# What other tests write meanwhile; ours was looked at.
_OF_TESTS = "pytest-of-|node-"


@dataclass(frozen=True)
class Found:
    """What the search came to.

    Attributes:
        journey: that it was after.
        search: what looked.
        tokens: how the shared tokens lie in the node's memory: rights by path.
    """

    journey: Journey
    search: SecretSearch
    tokens: dict[str, int]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    begun = time.time()
    home, transcript = tmp_path_factory.mktemp("journey"), Transcript()
    for name in ("azure", "databricks", "admin"):
        (home / name).mkdir()
    azure = EmulatedAzure(home / "azure", transcript=transcript.of)
    azure.principal = replace(azure.principal, client_secret=_SECRET)
    with ExitStack() as stack:
        arguments = stack.enter_context(Arguments())
        stack.enter_context(azure)
        databricks = EmulatedDatabricks(home / "databricks", transcript=transcript.of)
        stack.enter_context(databricks)
        journey = Journey(azure, databricks, transcript, arguments)
        node = stack.enter_context(_gone_through(journey, home / "admin"))
        search = journey.searched([node])
        search.look_below(home)
        for folder in ("/tmp", "/var/tmp", "/dev/shm"):
            search.look_at_new(Path(folder), since=begun, but=_OF_TESTS)
        memory = node.path("/dev/shm")
        tokens = {
            str(path.relative_to(memory)): stat.S_IMODE(path.lstat().st_mode) for path in memory.rglob("*")
        }
        yield Found(journey, search, tokens)


@contextmanager
def _gone_through(journey: Journey, folder: Path) -> Iterator[Node]:
    """Go on the journey, and yield the node that it was on."""
    databricks = journey.databricks
    databricks.make_volume(VOLUME, usable_by=())
    ann = databricks.user("ann@contoso.com", groups=["data-scientists"])
    admin = Admin(folder, databricks, journey.azure)
    admin.write()
    _as_admin(journey, admin, "secrets", "set", stdin=admin.service_principal)
    for command in ("plan", "plan --json", "deploy --yes", "status", "status --json", "policy render"):
        _as_admin(journey, admin, *command.split())
    (policy,) = databricks.client(ann).cluster_policies.list()
    assert policy.policy_id
    with started_cluster(
        databricks, policy.policy_id, who=ann, azure=journey.azure, node_type_id="Standard_DS3_v2"
    ) as node:
        ran = node.run_notebook(_NOTEBOOK, user=UNPRIVILEGED, allow_errors=True)
        failed = [number for number, cell in enumerate(ran.cells) if _has_failed(cell)]
        assert failed == [3, 4], ran
        _note(journey, "the notebook", 0, json.dumps(ran))
        for command in ("doctor", "node status"):
            done = node.run([node.inside("/usr/local/bin/azureml-databricks"), *command.split()])
            _note(journey, f"%sh azureml-databricks {command}", done.returncode, done.stdout, done.stderr)
        client = databricks.cluster_client(databricks.admin)
        journey.keep_what_is_in_the_workspace(client, VOLUME)
        client.secrets.put_secret("azureml", "clientSecret", string_value="an old one")
        _as_admin(journey, admin, "secrets", "rotate", stdin=admin.service_principal)
        _as_admin(journey, admin, "destroy", "--yes")
        yield node


def _has_failed(cell: NotebookNode) -> bool:
    return any(output.output_type == "error" for output in cell.outputs)


def _as_admin(journey: Journey, admin: Admin, *command: str, stdin: str = "") -> None:
    done = admin.run(*command, stdin=stdin)
    _note(journey, f"azureml-databricks {' '.join(command)}", done.returncode, done.stdout, done.stderr)


def _note(journey: Journey, what: str, returncode: int, *output: str) -> None:
    """Keep what a command printed; it has to have worked, or seen a difference."""
    assert returncode in (0, 2), output
    journey.shown[what] = "".join(output)


@pytest.mark.thorough
def test_secrets_are_where_the_admin_put_them_and_nowhere_else(found: Found) -> None:
    belong, where = found.journey.where_they_belong(), found.search.found

    # Given all that could be looked at: thousands of files, hundreds of requests, the processes
    assert found.search.places > 5000
    assert len(found.journey.transcript.requests) > 100
    assert len(found.journey.arguments.seen) > 20
    # Then no place has a secret but these, and these have
    assert where.keys() == belong.keys()
    assert astray(found.search, belong) == {}


@pytest.mark.thorough
def test_the_token_that_processes_share_is_for_its_user_only(found: Found) -> None:
    folders = {path: rights for path, rights in found.tokens.items() if "/" not in path}
    files = {path: rights for path, rights in found.tokens.items() if "/" in path}

    # Of the notebook's user, and of root, who ran the doctor.
    assert set(folders.values()) == {0o700}
    assert len(folders) == 2
    assert set(files.values()) == {0o600}


_LONG = base64.b64encode(b"abc" * 50 + _SECRET.encode() + b"xyz" * 50)


@pytest.mark.parametrize(
    "hidden",
    [
        _SECRET.encode(),
        quote(_SECRET, safe="").encode(),
        "".join(f"%{ord(letter):02x}" if not letter.isalnum() else letter for letter in _SECRET).encode(),
        *(base64.b64encode(b"a" * before + _SECRET.encode() + b"b") for before in range(3)),
        base64.b64encode(_SECRET.encode()).rstrip(b"="),
        *(base64.urlsafe_b64encode(b"a" * before + _SECRET.encode()) for before in range(3)),
        b"\n".join(_LONG[start : start + 76] for start in range(0, len(_LONG), 76)),
    ],
    ids=range(11),
)
def test_the_search_finds_every_spelling(hidden: bytes, tmp_path: Path) -> None:
    search = SecretSearch({"client secret": _SECRET, "another": "an0ther~one"})
    (tmp_path / "file").write_bytes(b"before " + hidden + b" after")
    (tmp_path / "beside").write_bytes(b"nothing")

    search.look_below(tmp_path)

    assert search.found == {f"{tmp_path}/file": {"client secret"}}


def _tar(content: bytes) -> bytes:
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            member = tarfile.TarInfo("inside")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        return file.getvalue()


def _zip(content: bytes) -> bytes:
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inside", content)
        return file.getvalue()


@pytest.mark.parametrize(
    ("pack", "place"),
    [
        (gzip.compress, "!unpacked"),
        (_tar, "!inside"),
        (_zip, "!inside"),
        (lambda content: gzip.compress(_tar(content)), "!unpacked!inside"),
    ],
)
def test_the_search_looks_into_archives(pack: Callable[[bytes], bytes], place: str) -> None:
    search = SecretSearch({"client secret": _SECRET})

    search.look("it", pack(b"x" * 100 + _SECRET.encode()))

    assert f"it{place}" in search.found


def test_the_search_reads_names_and_links(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(f"q8Q~{'A' * 30}")
    (tmp_path / f"q8Q~{'B' * 30}").touch()
    search = SecretSearch({"a": f"q8Q~{'A' * 30}", "b": f"q8Q~{'B' * 30}"})

    search.look_below(tmp_path)

    assert {frozenset(names) for names in search.found.values()} == {frozenset("a"), frozenset("b")}


def test_the_search_sees_arguments_of_processes() -> None:
    with Arguments() as arguments:
        process = subprocess.Popen(["sh", "-c", "read _", "name", _SECRET], stdin=subprocess.PIPE)
        arguments.wait_for_a_round()
        process.communicate()

    assert any(_SECRET.encode() in argument for argument in arguments.seen)
