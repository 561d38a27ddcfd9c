"""Groups of commands: their help, and what becomes of an error."""

from __future__ import annotations

import os
from typing import Any

import click

from azureml_databricks.admin.bundle.archives import BundleError
from azureml_databricks.admin.bundle.interpreter import InterpreterError
from azureml_databricks.admin.command_line import help_texts
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.printable import printable
from azureml_databricks.settings import SettingError


class Group(click.Group):
    """Tells what an admin did wrong in lines, and exits with 1, since 2 says that something differs."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return their names, in the order of work."""
        return sorted(self.commands, key=help_texts.ORDER.index) if self.name == "main" else [*self.commands]

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the first sentence of each, all of it."""
        rows = [(name, self.commands[name].get_short_help_str(1000)) for name in self.list_commands(context)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def add_command(self, command: click.Command, name: str | None = None) -> None:
        """Add one, with examples below its help."""
        command.epilog = command.epilog or help_texts.examples(name or command.name or "")
        super().add_command(command, name)

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Read the arguments; exits with 1 if they are wrong."""
        try:
            return super().make_context(*arguments, **options)
        except click.UsageError as error:
            error.exit_code = 1  # type: ignore[misc]
            if _is_help(error):
                raise
            tell(_usage(error))
            raise click.exceptions.Exit(1) from None

    def invoke(self, context: click.Context) -> Any:
        """Run the command; exits with 1 if it cannot be done."""
        try:
            return super().invoke(context)
        except click.UsageError as error:
            error.exit_code = 1  # type: ignore[misc]
            if _is_help(error):
                raise
            tell(_usage(error), self.way_out(context, error))
        except (AdminError, InterpreterError, SettingError, BundleError) as error:
            tell(str(error), self.way_out(context, error))
        raise click.exceptions.Exit(1)

    def way_out(self, context: click.Context, error: BaseException) -> str:
        """Return how to go on after an error, if there is more to say than it says."""
        return ""


def _is_help(error: click.UsageError) -> bool:
    """Whether it is no error: a group that was given no command shows its help, with click 8.2 so."""
    return type(error).__name__ == "NoArgsIsHelpError"


def _usage(error: click.UsageError) -> str:
    """Return what is wrong with arguments, in one line."""
    shows = f" (`{error.ctx.command_path} --help` shows what there is)" if error.ctx else ""
    return " ".join(error.format_message().split()).rstrip(".") + shows


def tell(problems: str, way_out: str = "") -> None:
    """Say on standard error what is wrong, and how to go on."""
    head = "Error: " if os.environ.get("NO_COLOR") else click.style("Error: ", fg="red")
    for line in "; ".join(filter(None, [problems, way_out])).splitlines():
        # What is indented belongs to the error above it.
        click.echo(("" if line.startswith(" ") else head) + printable(line), err=True)
