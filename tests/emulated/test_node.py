"""The emulated node keeps its word, so that other tests may rely on it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from nbclient.exceptions import CellExecutionError

from tests import REPOSITORY
from tests.emulated.node import Node, Replica, Runtime, boot
from tests.emulated.node.init_scripts import AccessMode
from tests.emulated.node.node import Ability
from tests.emulated.node.notebook import KernelError

PACKAGES = "lib/python3.11/site-packages"


@pytest.fixture(scope="session")
def replica() -> Replica:
    return Replica(Runtime.load("15.4"))


@pytest.fixture
def node(replica: Replica) -> Iterator[Node]:
    with boot(replica) as node:
        yield node


def python(node: Node, code: str, environment: str = "/databricks/python3") -> str:
    done = node.run([node.inside(f"{environment}/bin/python"), "-c", code])
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def text_of(notebook: dict[str, list[dict[str, list[dict[str, str]]]]], cell: int = 0) -> str:
    return "".join(output["text"] for output in notebook["cells"][cell]["outputs"])


def needs(node: Node, ability: Ability) -> None:
    if reason := node.cannot.get(ability):
        pytest.skip(reason)


# --- What is on it


def test_ships_the_runtimes_versions_but_for_what_its_list_leaves_out(node: Node) -> None:
    # Given
    runtime = node.replica.runtime
    # When
    found = python(
        node,
        "from importlib.metadata import distributions, version\n"
        "site = [p for p in __import__('sys').path if 'databricks' in p]\n"
        "print(*(f'{d.metadata[\"Name\"]}=={d.version}' for d in distributions(path=site)))",
    )
    # Then
    shipped = {f"{name}=={version}" for name, version in runtime.packages.items()}
    assert shipped <= {re.sub("[-_.]+(?=.*==)", "-", it.lower()) for it in found.split()}
    assert node.path("/databricks/DBR_VERSION").read_text() == "15.4"


def test_the_ml_variant_has_a_list_of_its_own() -> None:
    with boot(Replica(Runtime.load("15.4"), ml=True)) as node:
        packages = node.path(f"/databricks/python3/{PACKAGES}")
        assert [path.name for path in packages.glob("mlflow*.dist-info")] == [
            "mlflow_skinny-2.13.1.dist-info"
        ]
        assert [path.name for path in packages.glob("azure_identity*")] == ["azure_identity-1.17.1.dist-info"]
        assert python(node, "import mlflow.sklearn; print(mlflow.__version__)") == "2.13.1"


def test_has_the_variables_of_a_node_and_none_of_this_machine(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    with boot(replica, driver=False, spark_env_vars={"TEAM": "a b"}) as node:
        seen = node.run(["env"]).stdout.splitlines()
        spark_env = node.path("/databricks/spark/conf/spark-env.sh").read_text()
    assert {"DB_IS_DRIVER=FALSE", "TEAM=a b", "MLFLOW_TRACKING_URI=databricks"} <= set(seen)
    assert not [line for line in seen if line.startswith(("PYTHON", "PIP_", "VIRTUAL_ENV"))]
    assert "export TEAM='a b'\n" in spark_env


def test_hides_this_machines_homes_and_this_repository(node: Node) -> None:
    needs(node, "system paths")
    folders = "/root", "/tmp", str(REPOSITORY)
    assert node.run(["find", *folders, "-type", "f"]).stdout == ""


# --- Its Pythons


def test_every_python_runs_the_distributions_sitecustomize_and_none_of_site_packages(
    node: Node,
) -> None:
    # Given
    probe = node.path("/etc/python3.11/sitecustomize.py")
    with probe.open("a") as file:
        file.write("import builtins; builtins.probe = 'the distribution'\n")
    node.path(f"/databricks/python3/{PACKAGES}/sitecustomize.py").write_text("import no_such\n")
    # When, then
    for environment in ("/usr", "/databricks/python3", node.notebook_environment()):
        command = "python3.11" if environment == "/usr" else "python"
        done = node.run([node.inside(f"{environment}/bin/{command}"), "-c", "print(probe)"])
        assert (done.stdout, done.stderr) == ("the distribution\n", ""), environment


def test_a_pth_of_the_clusters_environment_does_not_run_in_a_notebook(node: Node) -> None:
    # Given
    pth = node.path(f"/databricks/python3/{PACKAGES}/probe.pth")
    pth.write_text("import os; os.environ['PROBE'] = 'ran'\n")
    ask = "import os; print(os.environ.get('PROBE'))"
    # When
    in_job = python(node, ask)
    in_notebook = text_of(node.run_notebook([ask]))
    # Then
    assert (in_job, in_notebook) == ("ran", "None\n")


def test_a_notebook_uses_what_the_cluster_has_in_the_order_of_a_real_one(node: Node) -> None:
    # When
    notebook = node.run_notebook(
        [
            "import sklearn; print(sklearn.__version__)",
            "import sys; print(*filter(None, sys.path), sep='\\n')",
        ]
    )
    # Then
    assert text_of(notebook, 0) == "1.3.0\n"
    places = [path.removeprefix(node.inside("")) for path in text_of(notebook, 1).splitlines()]
    order = [
        "/databricks/python_shell",
        "/usr/lib/python3.11",
        next(path for path in places if "/pythonEnv-" in path),
        f"/databricks/python/{PACKAGES}",
        "/usr/lib/python3/dist-packages",
    ]
    assert [path for path in places if path in order] == order


def test_a_notebook_whose_cell_raises_says_so(node: Node) -> None:
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        node.run_notebook(["1 / 0"])
    notebook = node.run_notebook(["1 / 0", "print('on')"], allow_errors=True)
    assert text_of(notebook, 1) == "on\n"


def test_a_kernel_that_cannot_start_says_why(node: Node) -> None:
    environment = node.notebook_environment()
    node.path(f"{environment}/pyvenv.cfg").write_text("home = /nowhere\n")
    node.path("/databricks/python_shell/ipykernel_launcher.py").write_text("raise OSError('gone')")
    with pytest.raises(KernelError, match="gone"):
        node.run_notebook(["1"], environment=environment)


def test_ipython_runs_what_lies_in_etc_for_every_user(node: Node) -> None:
    needs(node, "system paths")
    needs(node, "other user")
    # Given
    startup = node.path("/etc/ipython/startup/0.py")
    startup.parent.mkdir(parents=True)
    startup.write_text("import os; who = os.getuid()\n")
    # When
    notebook = node.run_notebook(["print(who)"], user="nobody")
    # Then
    assert text_of(notebook) == "65534\n"


# --- Init scripts


def test_from_runtime_19_on_an_init_script_in_standard_mode_sees_few_variables(node: Node) -> None:
    node.path("/tmp/env.sh").write_text("env\n")
    node.environment.update(AZUREML_MODE="full", AZURE_CLIENT_ID="c", AZURE_CLIENT_SECRET="s")

    def seen(runtime: str, access_mode: AccessMode) -> set[str]:
        node.environment["DATABRICKS_RUNTIME_VERSION"] = runtime
        node.access_mode = access_mode
        printed = node.run_init_script("/tmp/env.sh").stdout
        return {line.partition("=")[0] for line in printed.splitlines()}

    before = seen("18.3", "standard")
    assert {"AZUREML_MODE", "AZURE_CLIENT_SECRET", "MLFLOW_TRACKING_URI"} <= before
    assert seen("19.5", "dedicated") == before
    of_19 = seen("19.5", "standard")
    assert {"AZURE_CLIENT_ID", "DB_CLUSTER_ID", "PATH"} <= of_19
    assert not {name for name in of_19 if name.startswith(("AZUREML_M", "MLFLOW", "DATABRICKS"))}
    assert "AZURE_CLIENT_SECRET" not in of_19


def test_runs_a_copy_of_an_init_script_and_keeps_its_output(node: Node, tmp_path: Path) -> None:
    # Given
    script = tmp_path / "hello.sh"
    script.write_text('echo "$0 $DB_IS_DRIVER $PWD"; echo trouble >&2; exit 3\n')
    node.copy_in(script, "/Volumes/main/default/scripts/hello.sh")
    # When
    done = node.run_init_script("/Volumes/main/default/scripts/hello.sh")
    # Then
    copy = "/databricks/init_scripts/0_hello.sh"
    assert done.returncode == 3
    assert done.stdout == f"{node.inside(copy)} TRUE {node.inside('/').rstrip('/') or '/'}\n"
    assert node.path(f"{copy}.stdout.log").read_text() == done.stdout
    assert node.path(f"{copy}.stderr.log").read_text() == done.stderr == "trouble\n"


def test_an_unprivileged_user_cannot_write_to_databricks(node: Node) -> None:
    needs(node, "other user")
    done = node.run(["touch", "/databricks/mine"], user="nobody")
    assert done.returncode
    assert "Permission denied" in done.stderr


def test_a_command_that_takes_too_long_is_killed_with_its_children(node: Node) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        node.run(["sh", "-c", "sleep 1002 & sleep 1002"], timeout=0.5)
    _until(lambda: not _sleepers(1002))


# --- What changed


def test_a_fresh_node_has_no_changes_and_python_makes_none(node: Node) -> None:
    python(node, "import sklearn, mlflow")
    assert node.changes() == {}


def test_tells_what_was_added_changed_and_removed(node: Node) -> None:
    # Given
    packages = f"/databricks/python3/{PACKAGES}"
    # When
    node.path("/databricks/new").mkdir()
    node.path("/databricks/new/file").write_text("x")
    node.path("/etc/python3.11/sitecustomize.py").write_text("")
    node.path(f"{packages}/six.py").chmod(0o600)
    node.path(f"{packages}/wheel/__init__.py").unlink()
    node.run(["rm", "-r", node.inside(f"{packages}/zipp")])
    # Then
    changes = node.changes()
    zipp = {path: changes.pop(path) for path in list(changes) if "/zipp" in path}
    assert changes == {
        "/databricks/new": "added",
        "/databricks/new/file": "added",
        "/etc/python3.11/sitecustomize.py": "changed",
        f"{packages}/six.py": "changed",
        f"{packages}/wheel/__init__.py": "removed",
    }
    assert f"{packages}/zipp/py310compat.py" in zipp
    assert set(zipp.values()) == {"removed"}


def test_a_folder_made_anew_with_less_in_it_lacks_the_rest(node: Node) -> None:
    configuration = node.inside("/etc/python3.11")
    kept = "cp -a sitecustomize.py /dev/shm/kept.$$ && rm -r ../python3.11 && mkdir ../python3.11"
    restored = 'cp -a /dev/shm/kept.$$ "$1"/sitecustomize.py && rm /dev/shm/kept.$$'
    node.path("/etc/python3.11/other.py").write_text("")
    node.checkpoint()
    done = node.run(["sh", "-c", f"{kept} && {restored}", "sh", configuration], cwd="/etc/python3.11")
    assert not done.returncode, done.stderr
    assert node.changes() == {"/etc/python3.11/other.py": "removed"}


def test_forgets_what_was_put_back_as_it_was(node: Node) -> None:
    # Given
    file = node.path("/etc/python3.11/sitecustomize.py")
    before, times = file.read_bytes(), file.stat()
    # When
    file.write_bytes(before + b"# more\n")
    changed = node.changes()
    file.write_bytes(before)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    # Then
    assert changed == {"/etc/python3.11/sitecustomize.py": "changed"}
    assert node.changes() == {}


def test_counts_from_the_last_checkpoint(node: Node) -> None:
    # Given
    node.path("/databricks/before").write_text("x")
    # When
    node.checkpoint()
    node.path("/databricks/after").write_text("x")
    # Then
    assert node.changes() == {"/databricks/after": "added"}
    node.path("/databricks/before").unlink()
    assert node.changes()["/databricks/before"] == "removed"


def test_links_of_the_node_lead_to_places_of_the_node(node: Node) -> None:
    node.path("/etc/python3.11/sitecustomize.py").write_text("# the node's\n")
    through_link = node.path("/usr/lib/python3.11/sitecustomize.py")
    assert through_link.read_text() == "# the node's\n"
    assert node.path("/databricks/python/bin") == node.path("/databricks/python3/bin")


# --- What is left of it


def test_nothing_is_left_of_a_node(replica: Replica) -> None:
    # Given
    host = Path("/etc/python3.11/sitecustomize.py")
    before = host.read_bytes(), host.stat().st_mtime_ns, set(Path("/").iterdir())
    mounts = Path("/proc/mounts").read_text()
    # When
    with boot(replica) as node:
        node.path("/etc/python3.11/sitecustomize.py").write_text("")
        running = node.popen(["sleep", "1000"])
        node.popen(["sh", "-c", "setsid sleep 1000 &"]).wait()
        _until(lambda: len(_sleepers(1000)) == 2)
        sleepers, root = _sleepers(1000), node.root
    # Then
    assert running.wait() == -signal.SIGKILL
    assert not [p for p in sleepers if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert not root.exists()
    assert (host.read_bytes(), host.stat().st_mtime_ns, set(Path("/").iterdir())) == before
    assert Path("/proc/mounts").read_text() == mounts


def test_a_node_goes_with_the_process_that_booted_it(replica: Replica, tmp_path: Path) -> None:
    # Given
    code = (
        "import time\n"
        "from tests.emulated.node import *\n"
        "with boot(Replica(Runtime.load('15.4'))) as node:\n"
        "    running = node.popen(['sleep', '1001'])\n"
        "    print(running.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with boot(replica) as node:
        needs(node, "system paths")
    owner = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    with owner:
        assert owner.stdout
        running = psutil.Process(int(owner.stdout.readline()))
        # When
        owner.kill()
    # Then
    running.wait()
    _until(lambda: not list(tmp_path.iterdir()))


def _sleepers(seconds: int) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if process.info["cmdline"] == ["sleep", str(seconds)]
    ]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
