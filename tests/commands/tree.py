"""The tree in docs/architecture.md, and the one that it is to show."""

from __future__ import annotations

import re
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

from tests import REPOSITORY

PAGE = "docs/architecture.md"
ROOTS = ("bootstrap/azureml_databricks/", "tests/")
_BLOCK = re.compile(r"<!-- tree: [^\n]*-->\n```\n(.*?)```\n<!-- end of tree -->", re.DOTALL)
_LINE = re.compile(r"(?P<indent> *)(?P<names>\S+(?:, \S+)*)(?:  +(?P<words>\S.*))?$")
_INDENT = 2


def differences(root: Path = REPOSITORY) -> list[str]:
    """Return how the tree of the page differs from the files that Git has or would add, a line each.

    A name of the page may be a pattern, such as `test_*.py`. No `__init__.py` is told of: folders have one.

    Args:
        root: of the repository.
    """
    shown, real = _shown(root), _real(root)
    absent = [f"{PAGE} has {pattern}, which is not there" for pattern in shown if not _matches(pattern, real)]
    untold = [
        f"{path} is not in {PAGE}" for path in real if not any(_same(path, pattern) for pattern in shown)
    ]
    wordless = [f"{PAGE} says nothing of {pattern}" for pattern, words in shown.items() if not words]
    return [*absent, *untold, *wordless]


def _shown(root: Path) -> dict[str, str]:
    """Return the page's paths, and the words beside each; folders end with a slash."""
    found = _BLOCK.search((root / PAGE).read_text())
    assert found, f"{PAGE} has no tree"
    shown: dict[str, str] = {}
    folders: list[str] = []
    for line in found[1].splitlines():
        parts = _LINE.match(line)
        assert parts, f"{PAGE} has a line that is no entry: {line}"
        names, depth = parts["names"].split(", "), len(parts["indent"]) // _INDENT
        del folders[depth:]
        for name in names:
            shown["".join(folders) + name] = parts["words"] or ""
        folders.append(names[-1])
    return shown


def _real(root: Path) -> list[str]:
    """Return the roots, and what lies in them two levels deep; folders end with a slash."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *ROOTS]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    real: set[str] = set(ROOTS)
    for file in listed.splitlines():
        place = next(place for place in ROOTS if file.startswith(place))
        names = file.removeprefix(place).split("/")
        if (root / file).exists() and names[-1] != "__init__.py":
            real |= {
                place + "/".join(names[:depth]) + "/" * (depth < len(names)) for depth in (1, 2)[: len(names)]
            }
    return sorted(real)


def _matches(pattern: str, real: list[str]) -> bool:
    return any(_same(path, pattern) for path in real)


def _same(path: str, pattern: str) -> bool:
    """Whether a pattern means a path: name by name, so that a `*` stays in its folder."""
    names, patterns = path.split("/"), pattern.split("/")
    return len(names) == len(patterns) and all(map(fnmatchcase, names, patterns))
