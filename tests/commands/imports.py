"""Who imports whom in the package, read from its source: at the top of a module, later, or for types only."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests import REPOSITORY

BOOTSTRAP = REPOSITORY / "bootstrap"
PACKAGE = "azureml_databricks"


@dataclass(frozen=True)
class Import:
    """An import statement.

    Attributes:
        of: the module that has it, such as `azureml_databricks.node.start`.
        what: the module that it imports.
        line: where it stands.
        later: whether it runs not when the module is imported, but in a function, or never (types).
    """

    of: str
    what: str
    line: int
    later: bool

    def __str__(self) -> str:
        return f"{self.of}, line {self.line}, imports {self.what}"


def all_imports(bootstrap: Path = BOOTSTRAP) -> list[Import]:
    """Return the imports of every module of the package.

    Args:
        bootstrap: the folder that the package lies in.
    """
    modules = {_module(path, bootstrap): path for path in sorted((bootstrap / PACKAGE).rglob("*.py"))}
    return [
        Import(module, target, node.lineno, later)
        for module, path in modules.items()
        for node, later in _statements(ast.parse(path.read_text()))
        for target in _targets(node, modules)
    ]


def circle(imports: list[Import]) -> list[str]:
    """Return modules that import one another in a circle, the first again at the end; else nothing."""
    graph: dict[str, set[str]] = {}
    for each in imports:
        if is_ours(each.what):
            graph.setdefault(each.of, set()).add(each.what)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # Each imports the one before it (graphlib's order).
        return list(reversed(error.args[1]))
    return []


def room(module: str) -> str:
    """Return where in the package a module is: `node`, `admin.objects`, `settings`; "" for its root."""
    names = module.split(".")[1:]
    return ".".join(names[:2] if names[:1] == ["admin"] else names[:1])


def is_ours(module: str) -> bool:
    """Whether a module is of the package."""
    return module.split(".")[0] == PACKAGE


def is_standard(module: str) -> bool:
    """Whether a module is of Python's standard library."""
    return module.split(".")[0] in sys.stdlib_module_names


def _module(path: Path, bootstrap: Path) -> str:
    names = path.relative_to(bootstrap).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def _statements(tree: ast.AST, later: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, later
        else:
            yield from _statements(node, later or _runs_later(node))


def _runs_later(node: ast.AST) -> bool:
    for_types = isinstance(node, ast.If) and ast.unparse(node.test) in (
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
    )
    return for_types or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def _targets(node: ast.Import | ast.ImportFrom, modules: Mapping[str, Path]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert node.module, "the package has no relative imports"
    assert not node.level, "the package has no relative imports"
    named = [f"{node.module}.{alias.name}" for alias in node.names]
    # `from package import module`, or a name of a module.
    return [each if each in modules else node.module for each in named]
