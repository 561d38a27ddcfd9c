"""What several commands do, one after the other: look, show, change."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_databricks.admin.commands.output import Output, plain
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file.deployment import Deployment
from azureml_databricks.admin.objects.changes import Change, Plan

if TYPE_CHECKING:
    from azureml_databricks.admin.commands.site import Site
    from azureml_databricks.admin.objects.release import Release


def look(
    deployment: Deployment,
    output: Output,
    also: tuple[str, ...] = (),
    *,
    force: bool = False,
    adopt: bool = False,
    built: Path | None = None,
    all_of_it: bool = False,
    is_shown: bool = False,
    nothing: str = "Nothing to change.",
) -> tuple[Site, Release, Plan]:
    """Look at the workspace, and show what a deployment changes there.

    Args:
        deployment: what the file says.
        output: where it is shown.
        also: names that the file had before.
        force: whether an admin's lock is taken away, and all files are uploaded again.
        adopt: whether what points at the location is taken for ours.
        built: the folder with archives that were built elsewhere.
        all_of_it: as `plan` in `commands.deploy` has it.
        is_shown: likewise.
        nothing: what is said where nothing differs.

    Raises:
        AdminError: something is wrong, in one line.
    """
    from azureml_databricks.admin.commands import deploy as deploying

    with output.working("looking"):
        site = site_of(deployment, also, force=force, adopt=adopt)
        release = replace(deploying.release_for(site), built=built)
        planned = deploying.plan(site, release, all_of_it=all_of_it, is_shown=is_shown)
    show(site, planned, output, nothing)
    return site, release, planned


def site_of(
    deployment: Deployment, also: Sequence[str] = (), *, force: bool = False, adopt: bool = False
) -> Site:
    """Log in to the workspace, and read what we have made there; arguments as of `Site`.

    Raises:
        AdminError: something is wrong, in one line.
    """
    from azureml_databricks.admin.commands.site import Site

    return Site(deployment, also, force=force, adopt=adopt)


def about(site: Site, release: Release) -> dict[str, Any]:
    """Return what `--json` has of where this is, for other tools to go on with."""
    policies = [{"name": it.name, "id": it.id} for it in site.policies]
    return {
        "host": site.client.config.host,
        "release": release.name,
        "script": release.script,
        "policies": policies,
    }


def show(site: Site, planned: Plan, output: Output, nothing: str) -> None:
    """Show where this is, and what would change there."""
    _, resource_group, name = site.deployment.workspace.parts
    output.line(f"Databricks {site.client.config.host} as {site.user}", "dim")
    output.line(f"Azure ML workspace {name}, resource group {resource_group}", "dim")
    output.line("")
    output.plan(planned, nothing)


def apply(
    site: Site, planned: Plan, output: Output, on_made: Callable[[Change], None] = lambda _: None
) -> None:
    """Make the changes, and show each when it is made.

    Args:
        site: where.
        planned: which.
        output: where they are shown.
        on_made: is told of each.

    Raises:
        AdminError: one is refused, or somebody interrupts it.
    """
    from azureml_databricks.admin.commands import deploy as deploying

    try:
        with output.working("working") as status:
            made = deploying.apply(site, planned, lambda it: status.update(plain(f"{it.kind} {it.name}")))
            with contextlib.closing(made):
                for change in made:
                    on_made(change)
                    output.done(change)
    except KeyboardInterrupt:
        raise AdminError("interrupted: run it again, and it goes on where it stopped") from None
