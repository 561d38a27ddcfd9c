"""What the code itself says of its sources: the last paragraph of a docstring, which begins with `Source:`.

Modules are read and not imported, since some of them run on a node only.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

_SOURCE = re.compile(r"^Source: ", re.MULTILINE)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Text:
    """A docstring: its first paragraph, and the source that it ends with (both may be empty)."""

    what: str = ""
    source: str = ""

    @classmethod
    def of(cls, docstring: str | None) -> Text:
        said, *source = _SOURCE.split(inspect.cleandoc(docstring or ""), maxsplit=1)
        return cls(_one_line(said.split("\n\n")[0]), _one_line("".join(source)))


@dataclass(frozen=True)
class Sourced:
    """A module, class, function or constant that names its source.

    Attributes:
        file: where it is.
        name: as in `__qualname__`; the module's is empty.
        text: its docstring.
        holds: of a constant, its keys or items.
    """

    file: Path
    name: str
    text: Text
    holds: tuple[str, ...] = ()


class Module:
    """A module's source code."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._tree = ast.parse(file.read_text())
        self.text = Text.of(ast.get_docstring(self._tree))

    def sourced(self) -> Iterator[Sourced]:
        """Yield all that names its source, the module first."""
        if self.text.source:
            yield Sourced(self.file, "", self.text)
        yield from self._within(self._tree, "")

    @property
    def refuses(self) -> bool:
        """Whether it answers with errors: it imports from the emulator's `errors`."""
        imports = (node.module or "" for node in ast.walk(self._tree) if isinstance(node, ast.ImportFrom))
        return any(module.endswith(".errors") and "emulated" in module for module in imports)

    def rules(self) -> dict[str, list[str]]:
        """Return the functions that stand in its table `RULES`, other modules' too, and at which keys."""
        found: dict[str, list[str]] = {}
        for name, value, _ in _constants(self._tree):
            if name == "RULES" and isinstance(value, ast.Dict):
                for key, rules in zip(value.keys, value.values, strict=True):
                    for rule in _named(rules):
                        if key:
                            found.setdefault(rule, []).append(ast.unparse(key).strip("'"))
        return found

    def _within(self, holder: ast.Module | ast.ClassDef | Function, prefix: str) -> Iterator[Sourced]:
        for name, value, docstring in _constants(holder):
            if (text := Text.of(docstring)).source:
                yield Sourced(self.file, f"{prefix}{name}", text, tuple(_holds(value)))
        for node in holder.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{prefix}{node.name}"
                if (text := Text.of(ast.get_docstring(node))).source:
                    yield Sourced(self.file, name, text)
                inner = f"{name}." if isinstance(node, ast.ClassDef) else f"{name}.<locals>."
                yield from self._within(node, inner)


def modules(folder: Path) -> list[Module]:
    """Return the modules of a package, those of the packages in it too."""
    return [Module(file) for file in sorted(folder.rglob("*.py"))]


def missing(of: Sequence[Module]) -> Iterator[str]:
    """Yield what names no source and should: each rule of a table `RULES`, each module that refuses."""
    named = {each.name for module in of for each in module.sourced()}
    for module in of:
        if module.refuses and not module.text.source:
            yield f"{module.file}: it refuses requests, and its docstring has no line `Source: ...`"
        for rule in module.rules():
            if rule not in named:
                yield f"{module.file}: {rule} stands in RULES, and its docstring has no line `Source: ...`"


def _constants(
    holder: ast.Module | ast.ClassDef | Function,
) -> Iterator[tuple[str, ast.expr | None, str | None]]:
    """Yield name, value and docstring of each assignment; the docstring is the string that follows it."""
    for node, following in zip_longest(holder.body, holder.body[1:]):
        if isinstance(node, ast.Assign):
            target = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        else:
            continue
        if isinstance(target, ast.Name):
            yield target.id, node.value, _string(following)


def _named(rules: ast.expr) -> Iterator[str]:
    """Yield the names of functions in a collection; of a call (`said(rule)`), its arguments'."""
    if isinstance(rules, ast.Name):
        yield rules.id
    elif isinstance(rules, ast.Attribute):
        yield rules.attr
    else:
        inner = rules.args if isinstance(rules, ast.Call) else getattr(rules, "elts", [])
        for each in inner:
            yield from _named(each)


def _string(node: ast.stmt | None) -> str | None:
    if (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ):
        return node.value.value
    return None


def _holds(value: ast.expr | None) -> Iterator[str]:
    """Yield a mapping's keys, or a collection's items."""
    if isinstance(value, ast.Dict):
        yield from (str(key.value) for key in value.keys if isinstance(key, ast.Constant))
    elif isinstance(value, ast.Tuple | ast.List | ast.Set):
        yield from (str(item.value) for item in value.elts if isinstance(item, ast.Constant))


def _one_line(text: str) -> str:
    return " ".join(text.split())
