"""Options that several commands have."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from azureml_databricks.admin import to_run
from azureml_databricks.admin.command_line.debug import show_requests
from azureml_databricks.admin.commands.output import Output
from azureml_databricks.admin.file import reading

file = click.option(
    "--file",
    type=click.Path(path_type=Path),
    default=to_run.FILE,
    show_default=True,
    help="The file that describes the deployment.",
)
yes = click.option("--yes", is_flag=True, help="Do not ask.")
force = click.option(
    "--force",
    is_flag=True,
    help="Take the lock of the location from an admin whose command was killed and has left it there.",
)
force_and_upload = click.option(
    "--force",
    is_flag=True,
    help="Upload all files of the release again; and take the lock of the location from an admin whose "
    "command was killed and has left it there.",
)
also = click.option(
    "--also",
    multiple=True,
    metavar="NAME",
    help="Remove our secrets and rights from this secret scope or service credential, too, which the file "
    "named before and does not name any more; once for each.",
)
adopt = click.option(
    "--adopt",
    is_flag=True,
    help="Take for ours what points at the location: its record is lost, or was made for another workspace.",
)


def on_a_deployment(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options --file and --json; it gets what the file says, and where to print."""

    @file
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @click.option("--debug", is_flag=True, help="Show the requests on standard error; no secret is in them.")
    @functools.wraps(command)
    def wrapped(*, file: Path, as_json: bool, debug: bool, **options: Any) -> None:
        if debug:
            show_requests()
        command(reading.read(file), Output(as_json=as_json), **options)

    return wrapped


def file_in(arguments: Sequence[str]) -> Path:
    """Return what `--file` says: what is wrong with other options tells of commands, too."""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument == "--file" and following:
            return Path(following)
        if argument.startswith("--file="):
            return Path(argument.partition("=")[2])
    return Path(to_run.FILE)
