"""What is made for other tools, and changes no workspace: the policy, the bundle."""

from __future__ import annotations

import re
from pathlib import Path

import click

from azureml_databricks.admin.bundle import archives as bundles
from azureml_databricks.admin.command_line import options
from azureml_databricks.admin.command_line.group import Group
from azureml_databricks.admin.commands.output import Output
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file import deployment as deployments
from azureml_databricks.admin.file import reading, settings_file
from azureml_databricks.settings import BY_NAME, Settings


@click.group(cls=Group)
def policy() -> None:
    """The cluster policy, for other tools."""


@policy.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["definition", "terraform", "bundle"]),
    default="definition",
    show_default=True,
    help="The definition alone; resources of Terraform (*.tf.json); or resources of a Declarative "
    "Automation Bundle (*.yml). The last two say who may use it, too.",
)
@click.option(
    "--all",
    "out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write all objects of the deployment there, with their files, as a module of Terraform.",
)
@options.file
def render(file: Path, form: str, out: Path | None) -> None:
    """Print the policy as `deploy` would make it, for Terraform, Declarative Automation Bundles or Git."""
    from azureml_databricks.admin.commands import render as rendering

    deployment = reading.read(file)
    if not out:
        click.echo(rendering.rendered(deployment, form))
        return
    if form != "terraform":
        raise click.UsageError("--all is a module of Terraform: give --format terraform, too.")
    try:
        for path in rendering.write_module(deployment, out):
            click.echo(str(path))
    except OSError as error:
        raise AdminError(f"{error.filename or out} cannot be written: {error.strerror}") from None


def _runtime(given: str) -> str:
    """Return a runtime, which may be named by its ML variant: 15.4-ml, 15.4 ML."""
    runtime = re.sub(r"[- ]?ml$", "", given, flags=re.IGNORECASE)
    if runtime not in bundles.RUNTIMES:
        known = ", ".join(map(repr, bundles.RUNTIMES))
        raise click.BadParameter(f"{given!r} is not one of {known}.", param_hint="'--runtime'")
    return runtime


@click.command()
@click.option(
    "--runtime",
    "runtimes",
    required=True,
    multiple=True,
    type=_runtime,
    metavar=f"[{'|'.join(bundles.RUNTIMES)}]",
    help="The clusters' Databricks runtime, which serves its ML variant, too; once for each of several.",
)
@click.option(
    "--with",
    "extras",
    multiple=True,
    type=click.Choice(bundles.EXTRAS),
    help="A package for users to import, besides what MLflow needs.",
)
@click.option(
    "--location",
    required=True,
    help="The folder where the clusters will find the files: /Volumes/... or /Workspace/...",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write to, here.",
)
@click.option(
    "--settings",
    "settings_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings for the clusters (TOML, no secrets).",
)
def bundle(
    runtimes: tuple[str, ...],
    extras: tuple[str, ...],
    location: str,
    out: Path,
    settings_path: Path | None,
) -> None:
    """Write an archive for each runtime, the init script made for them and the settings."""
    try:
        deployments.check_location(location)
    except ValueError as error:
        raise AdminError(f"--location is {location!r}: {error}") from None
    try:
        settings = settings_file.read(settings_path) if settings_path else None
        asked = [bundles.RUNTIMES[runtime] for runtime in runtimes]
        with Output(as_json=False).working("building"):
            built = bundles.build(asked, location, out, settings, extras)
    except OSError as error:
        raise AdminError(f"{error.filename or out} cannot be written: {error.strerror}") from None
    for archive in built.archives:
        click.echo(f"{archive.path}  {archive.path.stat().st_size:,} bytes, SHA-256 {archive.sha256}")
    click.echo(f"{built.script}  the init script; it looks for the archives in {location}")
    if built.settings:
        click.echo(f"{built.settings}  the settings")
    if missing := _unnamed(settings or {}):
        click.echo(f"the policy's variables have to name the workspace: {', '.join(missing)}")


def _unnamed(settings: dict[str, str]) -> list[str]:
    """Return the variables that are needed besides the settings."""
    if settings.get("trackingUri"):
        return []
    parts = [name for name in Settings.WORKSPACE_PARTS if not settings.get(name)]
    names = ["trackingUri"] if len(parts) == len(Settings.WORKSPACE_PARTS) else parts
    return [BY_NAME[name].variable for name in names]
