"""`azureml-databricks`, as an admin runs it."""

from __future__ import annotations

from pathlib import Path

import click

from azureml_databricks.admin import bundle as bundles
from azureml_databricks.admin import settings_file
from azureml_databricks.admin.interpreter import InterpreterError
from azureml_databricks.settings import BY_NAME, SettingError, Settings


@click.group(epilog="`azureml-databricks node --help` tells of the commands for a cluster's node.")
@click.version_option(package_name="azureml-databricks")
def main() -> None:
    """Point MLflow on Databricks clusters at an Azure Machine Learning workspace."""


@main.command()
@click.option(
    "--runtime",
    "runtimes",
    required=True,
    multiple=True,
    type=click.Choice(list(bundles.RUNTIMES)),
    help="The clusters' Databricks runtime; once for each, if they have several.",
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
        settings = settings_file.read(settings_path) if settings_path else None
        asked = [bundles.RUNTIMES[runtime] for runtime in runtimes]
        built = bundles.build(asked, location, out, settings, extras)
    except (SettingError, InterpreterError, bundles.BundleError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or out} cannot be written: {error.strerror}") from None
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
