"""What docs/architecture.md says of the tree, and of who may import whom, is so."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from azureml_databricks.admin.bundle.archives import NODE_HALF
from tests import REPOSITORY
from tests.commands import tree
from tests.commands.imports import BOOTSTRAP, PACKAGE, all_imports, circle, is_ours, is_standard, room

# Each may import those before it. The first is the package's own `__init__.py`, which every import runs.
# fmt: off
ROOMS = (
    "", "tracking_uri", "settings", "node", "bridge", "checkup", "node_command",
    "admin", "admin.errors", "admin.printable", "admin.progress", "admin.to_run", "admin.bundle",
    "admin.file", "admin.services", "admin.objects", "admin.commands",
    "admin.command_line", "__main__",
)
# fmt: on
# What a node has; `__main__` is there too, and does without the admin half where that is not.
NODE_ROOMS = {name.removesuffix(".py").removeprefix("__init__") for name in NODE_HALF} - {"__main__"}
STANDARD_LIBRARY_ONLY = ("", "tracking_uri", "settings", "node")

# `azureml_databricks.doctor()` is a name for users. What it needs is imported when it is called, or for its
# type, so that importing the package imports nothing else.
DOCTOR = {(PACKAGE, f"{PACKAGE}.checkup.examination"), (PACKAGE, f"{PACKAGE}.checkup.report")}


# Who imports whom ----------------------------------------------------------------------------------


def upwards(bootstrap: Path = BOOTSTRAP) -> list[str]:
    return [
        str(each)
        for each in all_imports(bootstrap)
        if is_ours(each.what) and ROOMS.index(room(each.of)) < ROOMS.index(room(each.what))
        if not (each.later and (each.of, each.what) in DOCTOR)
    ]


def beyond_the_node(bootstrap: Path = BOOTSTRAP) -> list[str]:
    return [
        str(each)
        for each in all_imports(bootstrap)
        if room(each.of) in NODE_ROOMS and is_ours(each.what) and room(each.what) not in NODE_ROOMS
    ]


def of_other_libraries(bootstrap: Path = BOOTSTRAP) -> list[str]:
    return [
        str(each)
        for each in all_imports(bootstrap)
        if room(each.of) in STANDARD_LIBRARY_ONLY and not is_ours(each.what) and not is_standard(each.what)
    ]


def test_the_page_has_the_rooms_in_their_order() -> None:
    page = (REPOSITORY / "docs/architecture.md").read_text()
    said = page.partition("**Who may import whom.**")[2].partition("No module imports itself")[0]

    assert re.findall(r"`(\w+)`", said) == [name.rpartition(".")[2] for name in ROOMS if name]


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circle(all_imports()) == []


def test_a_room_imports_only_those_below_it() -> None:
    assert upwards() == []


def test_the_node_half_imports_nothing_of_ours_that_a_node_does_not_have() -> None:
    assert beyond_the_node() == []


def test_what_every_python_starts_with_imports_the_standard_library_only() -> None:
    assert of_other_libraries() == []


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package, to be spoilt; returns the folder that it lies in."""
    copied = tmp_path / "bootstrap"
    shutil.copytree(BOOTSTRAP / PACKAGE, copied / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    return copied


def add(package: Path, module: str, code: str) -> None:
    path = package / f"{module}.py"
    path.write_text(f"{path.read_text()}\n\n{code}\n")


@pytest.mark.parametrize(
    "code",
    [
        f"from {PACKAGE}.bridge import plugin",
        f"def later() -> None:\n    from {PACKAGE}.bridge.plugin import tracking_store",
        f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import {PACKAGE}.bridge.plugin",
    ],
    ids=["at the top", "in a function", "for types"],
)
def test_a_circle_and_a_way_up_are_seen_wherever_the_import_stands(package: Path, code: str) -> None:
    add(package, f"{PACKAGE}/node/variables", code)

    assert {f"{PACKAGE}.node.variables", f"{PACKAGE}.bridge.plugin"} <= set(circle(all_imports(package)))
    assert [f"{PACKAGE}.bridge.plugin" in each for each in upwards(package)] == [True]


def test_an_import_of_the_admin_half_is_seen(package: Path) -> None:
    add(package, f"{PACKAGE}/checkup/login", f"def later() -> None:\n    import {PACKAGE}.admin.errors")

    assert [f"{PACKAGE}.checkup.login" in each for each in beyond_the_node(package)] == [True]


def test_another_library_is_seen(package: Path) -> None:
    add(package, f"{PACKAGE}/node/apply", "def later() -> None:\n    import mlflow")

    assert [each.endswith("imports mlflow") for each in of_other_libraries(package)] == [True]


def test_importing_the_package_does_not_import_the_doctor(package: Path) -> None:
    add(package, f"{PACKAGE}/__init__", f"from {PACKAGE}.checkup import examination")

    assert upwards(package) != []


# The tree ------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The tree as Git would have it, to be spoilt: all names, and the page."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    for name in listed.splitlines():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    shutil.copy(REPOSITORY / tree.PAGE, tmp_path / tree.PAGE)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


def test_the_pages_tree_is_the_tree(repository: Path) -> None:
    assert tree.differences() == []
    assert tree.differences(repository) == []


def test_a_file_that_the_page_does_not_tell_of_is_seen(repository: Path) -> None:
    (repository / "tests/node/helper.py").touch()
    (repository / "bootstrap/azureml_databricks/portal").mkdir()
    (repository / "bootstrap/azureml_databricks/portal/page.py").touch()

    assert tree.differences(repository) == [
        f"bootstrap/azureml_databricks/portal/ is not in {tree.PAGE}",
        f"bootstrap/azureml_databricks/portal/page.py is not in {tree.PAGE}",
        f"tests/node/helper.py is not in {tree.PAGE}",
    ]


def test_an_entry_that_is_gone_is_seen(repository: Path) -> None:
    shutil.rmtree(repository / "tests/emulated/azure")
    (repository / "bootstrap/azureml_databricks/node/pip.py").unlink()

    assert tree.differences(repository) == [
        f"{tree.PAGE} has bootstrap/azureml_databricks/node/pip.py, which is not there",
        f"{tree.PAGE} has tests/emulated/azure/, which is not there",
    ]


def test_an_entry_without_words_is_seen(repository: Path) -> None:
    page = repository / tree.PAGE
    lines = page.read_text().splitlines()
    place = next(number for number, line in enumerate(lines) if line.strip().startswith("pip.py "))
    lines[place] = lines[place][: lines[place].index("pip.py") + len("pip.py")]
    page.write_text("\n".join(lines))

    assert tree.differences(repository) == [
        f"{tree.PAGE} says nothing of bootstrap/azureml_databricks/node/pip.py"
    ]
