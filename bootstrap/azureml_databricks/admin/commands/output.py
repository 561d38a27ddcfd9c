"""What an admin sees: on a terminal with colours, in a pipe as plain lines, or as JSON."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.padding import Padding
from rich.status import Status
from rich.table import Table
from rich.text import Text

from azureml_databricks.admin import progress
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.objects.changes import Change, Difference, Plan, Unready, shown
from azureml_databricks.admin.printable import is_unicode, printable, printable_json

_WIDE = 10_000
_STYLES = {"create": "green", "update": "yellow", "delete": "red"}
_MARKS = {"create": "+", "update": "~", "delete": "-"}
_TO_DO = {"create": "to make", "update": "to update", "delete": "to remove"}
_DONE = {"create": "made", "update": "updated", "delete": "removed"}


def plain(text: str) -> Text:
    """Return a text that nothing in it formats."""
    return Text(printable(text))


class Output:
    """Prints to standard output.

    Args:
        as_json: print nothing but one document.
    """

    def __init__(self, *, as_json: bool) -> None:
        """Look what standard output is."""
        self._as_json = as_json
        # In a pipe one line is one line, and nothing is cut off.
        width = None if sys.stdout.isatty() else _WIDE
        self._console = Console(highlight=False, emoji=False, markup=False, width=width)

    def line(self, text: str, style: str = "") -> None:
        """Print a line."""
        if not self._as_json:
            self._console.print(Text(printable(text), style), soft_wrap=True)

    def plan(self, plan: Plan, nothing: str = "Nothing to change.") -> None:
        """Print what is to be done, or a line that nothing is."""
        for change in plan.changes:
            self.line(f"{_MARKS[change.action]} {change.kind} {change.name}", _STYLES[change.action])
            # Of what is new, nothing is there yet.
            is_new = change.action == "create" and all(it.found is None for it in change.differences)
            for difference in change.differences:
                self.difference(difference, is_new=is_new)
        for kept in plan.kept:
            self._pair(f"  {kept.kind} {kept.name} stays", [kept.why], "dim")
        self.unready(plan.unready)
        actions = [change.action for change in plan.changes]
        counted = [f"{actions.count(it)} {words}" for it, words in _TO_DO.items() if it in actions]
        self.line(", ".join(counted) or nothing, "bold")

    def unready(self, found: Iterable[Unready]) -> None:
        """Print what does not work, and what to do."""
        for it in found:
            self._pair(f"! {it.kind} {it.name}", [f"{it.why}; {it.advice}"], "yellow")

    def difference(self, difference: Difference, *, is_new: bool = False) -> None:
        """Print a field that differs: what it is, and what it is to be; of a new thing the second only."""
        sides = [difference.wanted] if is_new else [difference.found, difference.wanted]
        self._pair(f"    {difference.field}", ["(none)" if it is None else shown(it) for it in sides])

    def _pair(self, head: str, texts: list[str], style: str = "") -> None:
        """Print a head and a text, or one that becomes another; where they do not fit, below one another."""
        head, texts = printable(head), [printable(text) for text in texts]
        together = f"{head}: {' -> '.join(texts)}"
        if len(together) <= self._console.width:
            self.line(together, style)
            return
        self.line(f"{head}:", style)
        for number, text in enumerate(texts):
            if not self._as_json:
                indented = Padding(Text(f"-> {text}" if number else text, style), (0, 0, 0, 6))
                self._console.print(indented)

    def done(self, change: Change) -> None:
        """Print that a change is made."""
        self.line(f"{_DONE[change.action]} {change.kind} {change.name}")

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table, if it has rows; one that is too wide as a list, of which each line can be copied."""
        rows = list(rows)
        table = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for row in rows:
            table.add_row(*(plain(cell) for cell in row))
        if self._as_json or not rows:
            return
        self.line("")
        self.line(title, "bold")
        if (
            self._console.measure(table, options=self._console.options.update(width=_WIDE)).maximum
            > self._console.width
        ):
            self._list(columns, rows)
            return
        with self._console.capture() as captured:
            self._console.print(table)
        click.echo(re.sub(r" +$", "", captured.get(), flags=re.MULTILINE), nl=False)

    def _list(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a row as lines: what it is about, and below that what else there is."""
        for row in rows:
            self.line(" ".join(row[:2]))
            for column, cell in zip(columns[2:], row[2:], strict=True):
                if cell:
                    self.line(f"  {column}: {cell}")

    @contextmanager
    def working(self, what: str) -> Iterator[Status]:
        """Show that something takes its time: on a terminal a sign of life, in a log what is told of it."""
        # On standard output, if that is one: lines that are printed meanwhile go above it.
        beside = self._as_json or not self._console.is_terminal
        console = Console(stderr=True) if beside else self._console
        status = console.status(plain(what), spinner="dots" if is_unicode() else "line")

        def show(text: str) -> None:
            if console.is_terminal:
                status.update(plain(text))
            else:
                click.echo(f"... {printable(text)}", err=True)

        with status, progress.shown_by(show):
            yield status

    @contextmanager
    def following(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show how far something is that takes minutes: on a terminal in one line, in a log a line a step.

        Args:
            what: it begins with.

        Yields:
            what takes each step; one that was told is not told again.
        """
        told: set[str] = set()

        def tell(step: str) -> None:
            if step not in told:
                told.add(step)
                progress.tell(step)

        with self.working(what):
            yield tell

    def document(self, **fields: Any) -> None:
        """Print the document, if that is asked for."""
        if self._as_json:
            document = json.dumps(fields, indent=2, ensure_ascii=False, default=_as_object)
            click.echo(printable_json(document))

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before going on.

        Raises:
            AdminError: nobody is there to answer.
            click.Abort: the answer is no.
        """
        if yes:
            return
        if self._as_json or not sys.stdin.isatty():
            raise AdminError(
                "this asks before it changes anything, and nobody is there to answer: give --yes"
            )
        click.confirm(question, abort=True)


def _as_object(it: Any) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(it)]
    return {name: getattr(it, name) for name in names if name not in ("act", "prepare", "is_ours")}
