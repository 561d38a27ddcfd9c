"""What a clone has on any system."""

from __future__ import annotations

import subprocess

from tests import REPOSITORY


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
