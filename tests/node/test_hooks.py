"""The hooks, by real interpreters: every Python of the node is ours, and none is disturbed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from azureml_databricks.admin.bundle import interpreter
from tests.emulated.cluster import SCRIPT, cluster_node, start
from tests.emulated.node import Node
from tests.emulated.workspace import GIVEN, TRACKING_URI

HOME = "/databricks/azureml-databricks"
CLUSTER = "/databricks/python3/bin/python"
BASE = "/usr/bin/python3.11"
PROBE = """
import json, os, sys
def probe():
    bundle = [path for path in sys.path if "azureml-databricks" in path]
    print(json.dumps([os.environ.get("MLFLOW_TRACKING_URI"), sys.path[-1:] == bundle]), flush=True)
"""
OURS = [TRACKING_URI, True]
NOT_OURS = ["databricks", False]


@dataclass(frozen=True)
class Pythons:
    """A node in service, and the interpreters on it."""

    node: Node
    isolated: str
    with_system: str
    notebook: str

    def __getitem__(self, name: str) -> str:
        paths = {"base": BASE, "cluster": CLUSTER, **vars(self)}
        return self.node.inside(paths[name])


@pytest.fixture(scope="module")
def pythons(bundle: Path) -> Iterator[Pythons]:
    with cluster_node(bundle, GIVEN) as node:
        start(node)
        for options in (["/databricks/isolated"], ["/databricks/with_system", "--system-site-packages"]):
            folder, *rest = options
            node.run([node.inside(BASE), "-m", "venv", "--without-pip", node.inside(folder), *rest])
        notebook = node.notebook_environment()
        yield Pythons(
            node,
            "/databricks/isolated/bin/python",
            "/databricks/with_system/bin/python",
            f"{notebook}/bin/python",
        )


def run(node: Node, argv: Sequence[str], **env: str) -> list[object]:
    """Run what prints the probe's answer, with not a word on stderr, and return the answer."""
    done = node.run(argv, env=env)
    assert done.stderr == ""
    answer: list[object] = json.loads(done.stdout)
    return answer


def write(node: Node, path: str, text: str) -> str:
    file = node.path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return node.inside(path)


ALL = ["base", "cluster", "isolated", "with_system", "notebook"]


@pytest.mark.parametrize("python", ALL)
@pytest.mark.parametrize("flag", ["-B", "-I", "-E", "-s"])
def test_every_python_is_ours(pythons: Pythons, python: str, flag: str) -> None:
    assert run(pythons.node, [pythons[python], flag, "-c", PROBE + "probe()"]) == OURS


@pytest.mark.parametrize("python", ALL)
def test_without_site_no_python_is_ours_by_its_own_rule(pythons: Pythons, python: str) -> None:
    assert run(pythons.node, [pythons[python], "-S", "-c", PROBE + "probe()"]) == NOT_OURS


@pytest.mark.parametrize("python", ALL)
def test_a_script_and_a_module_are_ours(pythons: Pythons, python: str) -> None:
    script = write(pythons.node, "/databricks/probing/probing.py", PROBE + "probe()")

    assert run(pythons.node, [pythons[python], script]) == OURS
    assert run(pythons.node, [pythons[python], "-m", "probing"], PYTHONPATH=str(Path(script).parent)) == OURS


@pytest.mark.parametrize("python", ["base", "cluster", "notebook"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_is_ours(pythons: Pythons, python: str, method: str) -> None:
    script = write(
        pythons.node,
        "/databricks/probing/multi.py",
        f"{PROBE}\nimport multiprocessing\nif __name__ == '__main__':\n"
        f"    process = multiprocessing.get_context({method!r}).Process(target=probe)\n"
        "    process.start(); process.join()\n",
    )

    assert run(pythons.node, [pythons[python], script]) == OURS


@pytest.mark.parametrize("python", ALL)
def test_a_subprocess_with_no_variables_at_all_is_ours(pythons: Pythons, python: str) -> None:
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {PROBE + 'probe()'!r}], env={{}})"

    assert run(pythons.node, [pythons[python], "-c", code]) == OURS


# Python looks for no .pth file on PYTHONPATH, and an isolated environment does not read the
# distribution's: where a sitecustomize shadows ours there, nothing of ours runs.
@pytest.mark.parametrize("python", ["base", "cluster", "with_system"])
def test_a_users_sitecustomize_on_pythonpath_runs_and_python_is_ours(pythons: Pythons, python: str) -> None:
    theirs = write(pythons.node, "/databricks/theirs/sitecustomize.py", "import sys; sys.theirs = 'ran'")

    code = PROBE + "assert sys.theirs == 'ran'; probe()"
    answer = run(pythons.node, [pythons[python], "-c", code], PYTHONPATH=str(Path(theirs).parent))

    assert answer[0] == TRACKING_URI


def test_another_version_of_python_is_left_alone(pythons: Pythons) -> None:
    # Given a Python of another version on the node, with IPython's startup folder for all versions
    home = interpreter.find("3.12").parents[1]
    ignored = shutil.ignore_patterns("test", "site-packages", "*.a", "idlelib", "include", "share")
    target = pythons.node.path("/databricks") / "other"
    shutil.copytree(home, target, symlinks=True, ignore=ignored, dirs_exist_ok=True)
    python = pythons.node.inside("/databricks/other/bin/python3.12")
    env = {"LD_LIBRARY_PATH": pythons.node.inside("/databricks/other/lib")}

    # When it starts, and when its IPython runs our startup file
    assert run(pythons.node, [python, "-c", PROBE + "probe()"], **env) == NOT_OURS
    startup = pythons.node.inside("/etc/ipython/startup/00-azureml-databricks.py")
    code = f"{PROBE}\nexec(open({startup!r}).read())\nprobe()"

    # Then nothing of ours happens
    assert run(pythons.node, [python, "-c", code], **env) == NOT_OURS


# The distribution's own sitecustomize --------------------------------------------------------------


@pytest.fixture
def node(bundle: Path) -> Iterator[Node]:
    with cluster_node(bundle, GIVEN) as node:
        yield node


def test_the_distributions_own_sitecustomize_still_runs(node: Node) -> None:
    with node.path("/usr/lib/python3.11/sitecustomize.py").open("a") as file:
        file.write("import sys; sys.theirs = 'ran'")  # with no newline at its end
    start(node)

    for python in (BASE, CLUSTER):
        code = PROBE + "assert sys.theirs == 'ran'; probe()"
        assert run(node, [node.inside(python), "-c", code]) == OURS


@pytest.fixture
def plain(node: Node) -> Node:
    """A node whose distribution has no sitecustomize, as Python's own builds have none."""
    stdlib = "/usr/lib/python3.11"
    node.run(["rm", node.inside(f"{stdlib}/sitecustomize.py"), "-r", node.inside(f"{stdlib}/__pycache__")])
    node.checkpoint()
    return node


def test_a_distribution_without_one_gets_ours(plain: Node) -> None:
    start(plain)

    for python in (BASE, CLUSTER):
        assert run(plain, [plain.inside(python), "-c", PROBE + "probe()"]) == OURS


def test_one_that_ours_shadows_runs_as_it_did(plain: Node) -> None:
    # Given an environment with a sitecustomize of its own, which fails halfway
    theirs = "/databricks/python3/lib/python3.11/site-packages/sitecustomize.py"
    write(plain, theirs, "import sys\nsys.theirs = __name__, __file__\nraise ValueError('theirs')\n")
    command = [plain.inside(CLUSTER), "-c", "import sys; print(sys.theirs, sys.modules.get('sitecustomize'))"]
    before = plain.run(command)
    assert "theirs" in before.stderr

    # When ours comes before it
    plain.run_init_script(SCRIPT)
    after = plain.run(command)

    # Then it ran under its own name, and said what it said
    assert (after.stdout, after.stderr) == (before.stdout, before.stderr)
    assert run(plain, [plain.inside(BASE), "-c", PROBE + "probe()"]) == OURS


# Half of us is gone --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        f"rm -r {HOME}",
        f"rm -r {HOME}/releases",
        f"rm {HOME}/current",
        f"rm -r {HOME}/current/azureml_databricks",
        f"rm {HOME}/current/azureml_databricks/node/_start.pyc",
        f": > {HOME}/current/azureml_databricks/node/_start.pyc",
        f"truncate --size 100 {HOME}/current/azureml_databricks/node/_start.pyc",
        f"rm -r {HOME}/current/azureml",
        f"rm -r {HOME}/current/azureml_databricks/bridge",
    ],
)
def test_with_half_of_us_gone_every_python_starts_in_silence(node: Node, damage: str) -> None:
    start(node)
    theirs = write(node, "/databricks/theirs/sitecustomize.py", "")
    done = node.run(["bash", "-c", damage.replace(HOME, node.inside(HOME))])
    assert done.returncode == 0, done.stderr

    for python in (BASE, CLUSTER):
        for env in ({}, {"PYTHONPATH": str(Path(theirs).parent)}):
            done = node.run([node.inside(python), "-c", "print('hello')"], env=env)
            assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")


def test_ipython_kernels_have_a_way_of_their_own(node: Node) -> None:
    if reason := node.cannot.get("system paths"):
        pytest.skip(reason)
    # Given an installation where, for a reason nobody foresaw, no other hook runs
    start(node)
    for path in (path for path in node.changes() if path.endswith(("sitecustomize.py", ".pth"))):
        node.path(path).write_text("")
    assert run(node, [CLUSTER, "-c", PROBE + "probe()"]) == NOT_OURS

    # When a notebook's kernel starts
    notebook = node.run_notebook([PROBE + "probe()"])

    # Then it is ours
    assert json.loads(notebook.cells[0].outputs[0].text) == OURS


def test_an_unprivileged_user_is_ours_too(pythons: Pythons) -> None:
    if reason := pythons.node.cannot.get("other user"):
        pytest.skip(reason)

    done = pythons.node.run([pythons["cluster"], "-c", PROBE + "probe()"], user="nobody")

    assert (json.loads(done.stdout), done.stderr) == (OURS, "")
