"""The program that every Python runs first, put together of the files that have its functions.

One program, since what it imports would cost every start; and without what a start never looks at, since each
constant and each function of it is read from the disk and made anew in every Python of the cluster.
"""

from __future__ import annotations

import ast
import posix
from collections.abc import Iterator, Mapping
from pathlib import Path

_FILES = ("conf_files.py", "apply.py", "start.py")


def source(call: str) -> str:
    """Return the program that ends with `call`."""
    whole = "\n\n".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in _FILES)
    tree = ast.parse(f"{whole}\n\n{call}\n")
    tree.body = list(_without_repetition(tree.body))
    tree = _Folded(_constants(tree.body)).visit(tree)
    tree = _Inlined(_steps(tree)).visit(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
    return ast.unparse(tree) + "\n"


def _constants(statements: list[ast.stmt]) -> dict[str, ast.Constant]:
    """Take the assignments of literals out of the statements, and return them."""
    found = {}
    for statement in statements.copy():
        match statement:
            case ast.Assign(targets=[ast.Name(name)], value=ast.Constant() as constant):
                found[name] = constant
                statements.remove(statement)
    return found


class _Folded(ast.NodeTransformer):
    """Puts in constants, those of `posix` too, whose names would have to be looked up."""

    def __init__(self, constants: Mapping[str, ast.Constant]) -> None:
        """Take those of the program."""
        self._constants = constants

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Return the constant that is meant, or what is there."""
        return self._constants.get(node.id, node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Return the constant of `posix` that is meant, or what is there."""
        if ast.unparse(node.value) == "posix" and node.attr.isupper():
            return ast.Constant(getattr(posix, node.attr))
        return node


def _steps(tree: ast.Module) -> dict[str, list[ast.stmt]]:
    """Take the functions out that can as well stand where they are called, and return what they do.

    They return nowhere and are called once, by the names that their parameters have; their variables are the
    caller's then, who needs none of the same name any more.
    """
    calls = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    found = {}
    for statement in tree.body.copy():
        if isinstance(statement, ast.FunctionDef):
            call = f"{statement.name}({', '.join(argument.arg for argument in statement.args.args)})"
            own = [
                node
                for step in statement.body
                if not isinstance(step, ast.FunctionDef)
                for node in ast.walk(step)
            ]
            if calls.count(call) == 1 and not any(isinstance(node, ast.Return) for node in own):
                found[call] = statement.body
                tree.body.remove(statement)
    return found


class _Inlined(ast.NodeTransformer):
    """Puts what functions do in place of their calls."""

    def __init__(self, steps: Mapping[str, list[ast.stmt]]) -> None:
        """Take them, by their calls."""
        self._steps = steps

    def visit_Expr(self, node: ast.Expr) -> ast.stmt | list[ast.stmt]:
        """Return what is done there."""
        return self._steps.get(ast.unparse(node), node)


def _without_repetition(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield what is to run: each import once, and nothing that is for a type checker."""
    seen = set()
    for statement in statements:
        text = ast.unparse(statement)
        if text in seen or text.startswith(("TYPE_CHECKING", "if TYPE_CHECKING")):
            continue
        seen.add(text)
        yield statement
