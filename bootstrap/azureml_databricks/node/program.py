"""The program that every Python runs first, put together of the files that have its functions.

One program, since what it imports would cost every start; and without what a start never looks at, since each
constant of it is read from the disk and made anew in every Python of the cluster.
"""

from __future__ import annotations

import ast
import posix
from collections.abc import Iterator
from pathlib import Path

_FILES = ("conf_files.py", "apply.py", "start.py")


def source(call: str) -> str:
    """Return the program that ends with `call`."""
    whole = "\n\n".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in _FILES)
    tree = ast.parse(f"{whole}\n\n{call}\n")
    tree.body = list(_without_repetition(tree.body))
    tree = _Folded().visit(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
    return ast.unparse(tree) + "\n"


class _Folded(ast.NodeTransformer):
    """Puts in the constants of `posix`, whose names would have to be looked up."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Return the constant that is meant, or what is there."""
        if ast.unparse(node.value) == "posix" and node.attr.isupper():
            return ast.Constant(getattr(posix, node.attr))
        return node


def _without_repetition(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield what is to run: each import once, and nothing that is for a type checker."""
    seen = set()
    for statement in statements:
        text = ast.unparse(statement)
        if text in seen or "TYPE_CHECKING" in text:
            continue
        seen.add(text)
        yield statement
