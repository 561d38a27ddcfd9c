"""The file that describes a deployment: writing the first one, and its schema."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import click

from azureml_databricks.admin.command_line import options
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file import deployment as deployments
from azureml_databricks.admin.file import reading, starter
from azureml_databricks.admin.file.deployment import Databricks, Deployment


@click.command()
@click.option("--host", help="The Databricks workspace, https://adb-....azuredatabricks.net.")
@click.option("--workspace", help="The Azure ML workspace: its resource ID, or its address in the studio.")
@click.option("--location", help="The folder for our files: /Volumes/CATALOG/SCHEMA/VOLUME or /Workspace/...")
@click.option("--group", help="Who may use the policy; users is everybody.")
@options.file
def init(file: Path, **given: str | None) -> None:
    """Write the file that describes a deployment; what no option says is asked."""
    if file.exists():
        raise AdminError(f"{file} is there already: change it, or move it away")
    if not file.parent.is_dir():
        raise AdminError(f"{file} cannot be written: there is no folder {file.parent}")
    answers = {name: _answer(name, given[name], file) for name in starter.QUESTIONS}
    schema_file = file.with_name(starter.SCHEMA_FILE)
    try:
        file.write_bytes(starter.text(**answers, file=file).encode())
        written = reading.read(file)
        _check_alone(written)
        schema_file.write_bytes(f"{deployments.schema()}\n".encode())
    except (OSError, AdminError) as error:
        # None is left that a second try would find.
        file.unlink(missing_ok=True)
        if isinstance(error, AdminError):
            raise
        raise AdminError(f"{error.filename or file} cannot be written: {error.strerror}") from None
    click.echo(f"{file}  what the deployment is to be")
    click.echo(f"{schema_file}  for editors, which complete and check it")
    chosen = f"runtimes {', '.join(written.clusters.runtimes)}, access mode {written.clusters.access_mode}"
    click.echo(f"chosen for you: {chosen}, {written.login.auth}; change them there before you deploy")
    click.echo("next, a service principal for the clusters:")
    click.echo(starter.next_command(written))


def _check_alone(written: Deployment) -> None:
    """Look whether a file beside it describes a deployment in the same location."""
    beside = (path for path in sorted(written.path.parent.glob("*.toml")) if path != written.path)
    if path := next((path for path in beside if _place(path) == _place(written.path)), None):
        raise AdminError(
            f"{written.clusters.location} is the location of {path}: one location has one deployment; give "
            f"another --location ({written.path} is not written)"
        )


def _place(path: Path) -> tuple[Databricks, str] | None:
    """Return in which workspace and location a file has its deployment, None if it describes none."""
    with contextlib.suppress(AdminError):
        deployment = reading.read(path)
        return deployment.databricks, deployment.clusters.location
    return None


def _answer(name: str, given: str | None, file: Path) -> str:
    """Return an answer, which an option has or a person gives, as often as it takes."""
    question = starter.QUESTIONS[name]
    if given is None:
        if not sys.stdin.isatty():
            raise click.UsageError(f"Missing option '--{name}', and nobody is there to ask.")
        # With a default, click hands over who gives none, too.
        answer = click.prompt(question.text, default="", show_default=False, value_proc=_checked(question))
        return str(answer)
    try:
        return question.answer(given)
    except ValueError as error:
        raise AdminError(f"--{name} is {given!r}: {error}; {file} is not written") from None


def _checked(question: starter.Question) -> Callable[[str], str]:
    def answer(given: str) -> str:
        try:
            return question.answer(given)
        except ValueError as error:
            # So click asks again.
            raise click.UsageError(f"{repr(given) if given else 'nothing was given'}: {error}") from None

    return answer


@click.command()
def schema() -> None:
    """Print the JSON Schema of the file."""
    click.echo(deployments.schema())
