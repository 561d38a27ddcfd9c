"""What is wrong on a node as it starts: the cluster starts all the same, unless its admin said otherwise."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.emulated.cluster import LOCATION, SCRIPT, cluster_node, left, start, tracking_uri, uninstall
from tests.emulated.node import Node
from tests.emulated.workspace import GIVEN, TRACKING_URI
from tests.matrices.faults.table import Became, Outcome, each

PYTHON = "/databricks/python3/bin/python"
BASE = "/usr/bin/python3.11"
SITECUSTOMIZE = "/usr/lib/python3.11/sitecustomize.py"

# Makes something wrong, and right again at its end.
Wrong = Callable[[Node], AbstractContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    Attributes:
        name: of what is wrong.
        wrong: how it comes to be.
        becomes: what is promised where `onError` is `warn`; with `fail`, the cluster does not start, if it is
            anything but "kept working".
        says: what the line on standard error has.
        variables: the script's, besides the cluster's.
        run_by: a command that runs the script.
    """

    name: str
    wrong: Wrong
    becomes: Outcome
    says: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    run_by: Sequence[str] = ()


@contextlib.contextmanager
def nothing(node: Node) -> Iterator[None]:
    yield


def archive(damage: Callable[[Path], object]) -> Wrong:
    """The archive is damaged."""

    @contextlib.contextmanager
    def wrong(node: Node) -> Iterator[None]:
        (path,) = node.path(LOCATION).glob("*.tar.gz")
        kept = shutil.copy2(path, path.with_suffix(".kept"))
        damage(path)
        yield
        if path.is_dir():
            path.rmdir()
        os.replace(kept, path)

    return wrong


def one_byte_changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def of_somebody_else(path: Path) -> None:
    path.chmod(0)
    os.chown(path, 12345, 12345)


# As on a mount that knows no root: NFS with `root_squash`, FUSE without `allow_root`.
SQUASHED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def read_only(folder: str) -> Wrong:
    """A folder is mounted so that nobody can write to it."""

    @contextlib.contextmanager
    def wrong(node: Node) -> Iterator[None]:
        node.run(["mount", "--bind", folder, folder])
        done = node.run(["mount", "-o", "remount,bind,ro", folder])
        assert done.returncode == 0, done.stderr
        yield
        assert node.run(["umount", folder]).returncode == 0

    return wrong


@contextlib.contextmanager
def a_file_at_our_folder(node: Node) -> Iterator[None]:
    path = node.path("/databricks") / "azureml-databricks"
    path.write_text("")
    yield
    path.unlink()


def free(size: int) -> Wrong:
    """The disk has so many bytes left."""

    @contextlib.contextmanager
    def wrong(node: Node) -> Iterator[None]:
        node.leave_free(size)
        yield
        node.leave_free(None)

    return wrong


def instead(program: str, text: str) -> Wrong:
    """A program is another one; an empty text: it is not there."""

    @contextlib.contextmanager
    def wrong(node: Node) -> Iterator[None]:
        path, kept = node.root / program[1:], node.root / f"{program[1:]}.kept"
        os.rename(path, kept)
        if text:
            path.write_text(text)
            path.chmod(0o755)
        yield
        path.unlink(missing_ok=True)
        os.rename(kept, path)

    return wrong


def no_program(name: str) -> Wrong:
    """A program is not on the path."""

    @contextlib.contextmanager
    def wrong(node: Node) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for folder in ("/usr/bin", "/bin"):
                if (node.root / folder[1:] / name).exists():
                    stack.enter_context(instead(f"{folder}/{name}", "")(node))
            yield

    return wrong


def shadowing(node: Node) -> AbstractContextManager[None]:
    """A folder for PYTHONPATH, in which the standard library's modules are others."""
    folder = node.path("/databricks") / "hostile"

    @contextlib.contextmanager
    def wrong() -> Iterator[None]:
        folder.mkdir()
        for name in ("json", "hashlib", "shutil", "subprocess", "startup"):
            (folder / f"{name}.py").write_text("raise SystemExit('hostile')\n")
        yield
        shutil.rmtree(folder)

    return wrong()


CRASHES = f'#!/bin/sh\ncase "$*" in *azureml_databricks*) kill -SEGV $$ ;; esac\nexec {BASE} "$@"\n'
READ = "cannot be read: upload it again"
NOT_THIS = "is not the archive this script was made with"
FULL = "is the disk full?"

TABLE = [
    Fault("archive missing", archive(Path.unlink), "plain MLflow", READ),
    Fault("archive truncated", archive(lambda path: os.truncate(path, 1000)), "plain MLflow", NOT_THIS),
    Fault("archive empty", archive(lambda path: path.write_bytes(b"")), "plain MLflow", NOT_THIS),
    Fault("archive, one byte changed", archive(one_byte_changed), "plain MLflow", NOT_THIS),
    Fault("archive a folder", archive(a_folder), "plain MLflow", "cannot be copied"),
    Fault("archive not root's to read", archive(of_somebody_else), "plain MLflow", READ, run_by=SQUASHED),
    Fault("no tar", no_program("tar"), "plain MLflow", "cannot be unpacked"),
    Fault("no gzip", no_program("gzip"), "plain MLflow", "cannot be unpacked"),
    Fault("no sha256sum", no_program("sha256sum"), "plain MLflow", "cannot be read"),
    Fault("Python missing", instead(PYTHON, ""), "plain MLflow", "is not there"),
    Fault("Python does not run", instead(PYTHON, "#!/nowhere\n"), "plain MLflow", "does not run"),
    Fault("Python crashes", instead(PYTHON, "#!/bin/sh\nkill -SEGV $$\n"), "plain MLflow", "does not run"),
    Fault("Python crashes with us", instead(PYTHON, CRASHES), "plain MLflow", "cannot be put into service"),
    Fault("sitecustomize broken", instead(SITECUSTOMIZE, "def (:\n"), "plain MLflow", "does not compile"),
    Fault("a file at our folder", a_file_at_our_folder, "plain MLflow", "cannot be made"),
    Fault("/etc read-only", read_only("/etc"), "plain MLflow", "Read-only file system"),
    Fault("/usr/lib read-only", read_only("/usr/lib/python3.11"), "plain MLflow", "Read-only file system"),
    Fault("/usr/local read-only", read_only("/usr/local"), "plain MLflow", "Read-only file system"),
    Fault("/databricks read-only", read_only("/databricks"), "plain MLflow", "cannot be made"),
    Fault("/opt read-only", read_only("/opt"), "kept working"),
    Fault("/dev/shm read-only", read_only("/dev/shm"), "kept working"),
    Fault("/tmp read-only", read_only("/tmp"), "kept working"),
    *(
        Fault(f"disk with {size} KiB left", free(size << 10), "plain MLflow")
        for size in (0, 4, 64, 1024, 3400, 3600, 6000, 9000, 12000)
    ),
    Fault("umask 077", nothing, "kept working", variables={"BASH_ENV": "/databricks/umask"}),
    Fault("HOME nowhere", nothing, "kept working", variables={"HOME": "/nowhere"}),
    Fault("TMPDIR nowhere", nothing, "kept working", variables={"TMPDIR": "/nowhere"}),
    Fault("LANG nowhere", nothing, "kept working", variables={"LANG": "xx_XX.KOI8"}),
    Fault("PYTHONHOME nowhere", nothing, "kept working", variables={"PYTHONHOME": "/nowhere"}),
    Fault("PYTHONPATH hostile", shadowing, "kept working", variables={"PYTHONPATH": "/databricks/hostile"}),
    Fault("PYTHONSTARTUP", shadowing, "kept working", variables={"PYTHONSTARTUP": "startup.py"}),
    Fault("PYTHONINSPECT", nothing, "kept working", variables={"PYTHONINSPECT": "1"}),
    Fault("PYTHONWARNINGS", nothing, "kept working", variables={"PYTHONWARNINGS": "error"}),
    Fault("CDPATH and IFS", nothing, "kept working", variables={"CDPATH": "/:/tmp", "IFS": "a"}),
    Fault("TAR_OPTIONS", nothing, "kept working", variables={"TAR_OPTIONS": "--no-such-option"}),
]


@pytest.fixture(scope="module")
def node(bundle: Path) -> Iterator[Node]:
    with cluster_node(bundle, GIVEN) as node:
        if reason := node.cannot.get("full disk"):
            pytest.skip(reason)
        node.path("/databricks/umask").write_text("umask 077\n")
        node.checkpoint()
        yield node


@pytest.mark.parametrize("on_error", ["warn", "fail"])
@each(TABLE, sample=2)
def test_a_node_with(node: Node, fault: Fault, on_error: str, became: Became) -> None:
    # Given what is wrong, when the node starts
    with fault.wrong(node):
        script = [*fault.run_by, "bash", node.inside(SCRIPT)]
        done = node.run(script, env={**fault.variables, "AZUREML_ON_ERROR": on_error})

    # Then it starts with us, or the one line says why not
    lines = [line for line in done.stderr.splitlines() if line.startswith("azureml-databricks: ")]
    assert "Traceback" not in done.stderr
    if fault.becomes == "kept working":
        assert (done.returncode, done.stderr) == (0, "")
        assert tracking_uri(node) == tracking_uri(node, BASE) == TRACKING_URI
        became("kept working")
    else:
        assert done.returncode == (on_error == "fail")
        assert fault.says in done.stderr
        assert lines[-1].endswith(f"since onError is {on_error}")
        assert tracking_uri(node) == tracking_uri(node, BASE) == "databricks"
        became(fault.becomes if on_error == "warn" else "refused in one line")

    # And once it is right again, the next start is ours, and everything can be taken out
    start(node)
    assert tracking_uri(node) == tracking_uri(node, BASE) == TRACKING_URI
    uninstall(node)
    assert left(node) == {}


def test_scripts_at_once_end_as_one(node: Node, became: Became) -> None:
    runs = [node.popen(["bash", node.inside(SCRIPT)]) for _ in range(3)]

    assert [run.wait() for run in runs] == [0, 0, 0]
    assert len(list(node.path("/databricks/azureml-databricks/releases").iterdir())) == 1
    assert tracking_uri(node) == TRACKING_URI
    uninstall(node)
    assert left(node) == {}
    became("kept working")


def test_somebodys_lines_after_ours_stay(node: Node, became: Became) -> None:
    path = node.path(SITECUSTOMIZE)
    before = path.read_text()
    start(node)
    with path.open("a") as file:
        file.write("theirs = True\n")

    start(node)
    said = uninstall(node)

    assert "was changed by somebody since: only our lines are removed" in said
    assert path.read_text() == f"{before}theirs = True\n"
    assert tracking_uri(node) == "databricks"
    became("plain MLflow")
