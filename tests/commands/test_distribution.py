"""What a clone has on any system, and what is made of it: wheel, sdist, releases."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from azureml_databricks.admin.command_line.main import main
from tests import REPOSITORY
from tests.commands import dist


def of_git(*arguments: str) -> list[str]:
    done = subprocess.run(
        ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.splitlines()


def test_a_clone_has_no_link_that_git_for_windows_makes_a_text_of() -> None:
    assert [line for line in of_git("ls-files", "--stage") if line.startswith("120000")] == []


def test_a_clone_has_the_same_bytes_on_every_system() -> None:
    # Columns: line ends in the index, in the work tree, what .gitattributes says, the file.
    lines = [line.split(None, 3) for line in of_git("ls-files", "--eol")]

    assert {it[0] for it in lines} <= {"i/lf", "i/none", "i/"}
    assert {it[2] for it in lines} == {"attr/text=auto"}


def workflows() -> dict[str, dict[str, Any]]:
    """Each workflow that this repository has or that the docs give to an admin."""
    files = {path.name: path.read_text() for path in (REPOSITORY / ".github/workflows").glob("*.yml")}
    docs = (REPOSITORY / "docs/ci.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```$", docs, re.MULTILINE | re.DOTALL)
    found = {**files, **{f"docs/ci.md {number}": text for number, text in enumerate(blocks, start=1)}}
    return {name: yaml.safe_load(text) for name, text in found.items()}


def texts(node: Any, key: str) -> list[str]:
    """All texts under a key, wherever it is."""
    if isinstance(node, dict):
        own = [node[key]] if isinstance(node.get(key), str) else []
        return own + [text for value in node.values() for text in texts(value, key)]
    return [text for value in node for text in texts(value, key)] if isinstance(node, list) else []


def test_workflows_are_yaml_name_a_version_of_each_action_and_hold_no_secret() -> None:
    found = workflows()

    assert len(found) == 3
    for document in found.values():
        assert all(re.search(r"@(v\d|release/v1)", uses) for uses in texts(document, "uses"))
        assert "secrets." not in str(document)


def test_the_commands_of_workflows_are_right() -> None:
    scripts = [
        text for it in workflows().values() for key in ("run", "inlineScript") for text in texts(it, key)
    ]
    lines = [line for script in scripts for line in script.splitlines() if "azureml-databricks " in line]

    for line in lines:
        words = shlex.split(line.rpartition("azureml-databricks ")[2].partition(" >")[0].partition(" ||")[0])
        main.commands[words[0]].make_context(words[0], words[1:])
    assert len(lines) == 4


def test_a_version_grows_with_each_commit_until_a_tag_makes_it(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, timeout=60)

    def commit() -> str:
        git("commit", "--quiet", "--allow-empty", "--message", "x")
        return dist.version_of(tmp_path)

    git("init", "--quiet")
    (tmp_path / "setup.cfg").write_text("[metadata]\nversion = 1.2.0\n")
    git("add", ".")

    assert [commit(), commit()] == ["1.2.0.dev1", "1.2.0.dev2"]
    git("tag", "v1.2.0")
    assert dist.version_of(tmp_path) == "1.2.0"
    (tmp_path / "new").touch()
    with pytest.raises(dist.DistError, match=r"commit first: \?\? new"):
        dist.version_of(tmp_path)


@pytest.mark.thorough
def test_wheel_and_sdist_work_outside_of_the_repository(tmp_path: Path) -> None:
    wheel = dist.build(REPOSITORY, "9.9.9", tmp_path / "dist")

    bill = json.loads(dist.tried(wheel, tmp_path))

    assert wheel.name == "azureml_databricks-9.9.9-py3-none-any.whl"
    assert bill["metadata"]["component"]["version"] == "9.9.9"
    assert {"click", "databricks-sdk", "pydantic"} <= {it["name"] for it in bill["components"]}
