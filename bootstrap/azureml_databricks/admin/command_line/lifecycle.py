"""The life of a deployment: plan, deploy, destroy, status, verify."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from azureml_databricks.admin import to_run
from azureml_databricks.admin.command_line import options, steps
from azureml_databricks.admin.commands.output import Output
from azureml_databricks.admin.file.deployment import Deployment
from azureml_databricks.admin.objects.changes import Plan

if TYPE_CHECKING:
    from azureml_databricks.admin.objects.compliance import Governed
    from azureml_databricks.admin.objects.secret_scope import SecretScope

# What `plan` exits with where something differs, `status` where something differs or is behind,
# `deploy --enforce` where something stays behind, and `destroy` where something stays.
_DIFFERS = 2


@click.command()
@options.also
@options.adopt
@options.on_a_deployment
def plan(deployment: Deployment, output: Output, *, also: tuple[str, ...], adopt: bool) -> None:
    """Show what deploy would change. Exits with 2 if anything, with 0 if nothing."""
    site, release, planned = steps.look(deployment, output, also, adopt=adopt, is_shown=True)
    output.document(**steps.about(site, release), **planned.document)
    sys.exit(_DIFFERS if planned.changes else 0)


@click.command()
@click.option(
    "--bundle",
    "built",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Take the archives from this folder, which `bundle` has built elsewhere.",
)
@click.option("--enforce", is_flag=True, help="Bring clusters and jobs of an older version to the policy's.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(["jobs", "clusters", "stopped"]),
    help="With --enforce: these only; stopped are clusters that do not run, so that nobody is interrupted.",
)
@click.option(
    "--name", "names", multiple=True, help="With --enforce: this cluster or job only, by its name or ID."
)
@options.also
@options.adopt
@options.force_and_upload
@options.yes
@options.on_a_deployment
def deploy(
    deployment: Deployment,
    output: Output,
    *,
    built: Path | None,
    enforce: bool,
    only: tuple[str, ...],
    names: tuple[str, ...],
    also: tuple[str, ...],
    adopt: bool,
    force: bool,
    yes: bool,
) -> None:
    """Make the Databricks workspace as the file says. Repeat it if it was interrupted.

    With --enforce it exits with 2 if clusters or jobs stay behind.
    """
    from azureml_databricks.admin.commands import deploy as deploying
    from azureml_databricks.admin.commands import enforce as enforcing
    from azureml_databricks.admin.commands import unready

    if (only or names) and not enforce:
        raise click.UsageError("--only and --name choose whom --enforce is for: give that, too.")
    site, release, planned = steps.look(deployment, output, also, force=force, adopt=adopt, built=built)
    if planned.changes:
        output.confirm("Deploy?", yes=yes)
        steps.apply(site, planned, output)
        output.unready(it for it in unready.refused(site) if it not in planned.unready)
    step = enforcing.Step(only, names)
    enforced, behind = enforcing.enforce(site, step, output, yes=yes) if enforce else ([], [])
    if enforced:
        # They may have been the last that pointed at an old release.
        site = steps.site_of(deployment, also)
        steps.apply(site, deploying.plan(site, release), output)
    output.document(**steps.about(site, release), **planned.document, enforced=enforced, behind=behind)
    sys.exit(_DIFFERS if behind else 0)


@click.command()
@click.option(
    "--detach",
    is_flag=True,
    help="Take clusters and jobs from under the policies first: they go on without us.",
)
@options.also
@options.force
@options.yes
@options.on_a_deployment
def destroy(
    deployment: Deployment, output: Output, *, detach: bool, also: tuple[str, ...], force: bool, yes: bool
) -> None:
    """Remove what `deploy` and `secrets set` have made, and nothing else. Exits with 2 if something stays."""
    from azureml_databricks.admin.commands import deploy as deploying

    if detach:
        _detach(deployment, output, force=force, yes=yes)
    with output.working("looking"):
        site = steps.site_of(deployment, also, force=force and not detach)
        planned = deploying.plan_to_destroy(site)
    steps.show(site, planned, output, "Nothing to remove now.")
    if planned.changes:
        output.confirm("Remove all of this?", yes=yes)
        steps.apply(site, planned, output)
    output.document(**planned.document)
    if planned.kept:
        output.line("What stays goes when nothing needs it any more: run this again then.")
        sys.exit(_DIFFERS)


def _detach(deployment: Deployment, output: Output, *, force: bool, yes: bool) -> None:
    """Take clusters and jobs from under the policies, showing first what that does to whom."""
    from azureml_databricks.admin.objects import detaching

    with output.working("looking"):
        site = steps.site_of(deployment, force=force)
        planned = Plan(list(detaching.changes(site.client, site.policies, site.storage.location)))
    if planned.changes:
        output.plan(planned)
        output.confirm("Detach them? Those that run restart.", yes=yes)
        steps.apply(site, planned, output)
        output.line("")


@click.command()
@click.option(
    "--all", "shows_all", is_flag=True, help="List those clusters and jobs, too, that are not behind."
)
@options.on_a_deployment
def status(deployment: Deployment, output: Output, *, shows_all: bool) -> None:
    """Compare what is deployed with the file, and show who uses it.

    Exits with 2 if they differ, or clusters or jobs are behind their policy, with 0 if not.
    """
    from azureml_databricks.admin.commands import deploy as deploying
    from azureml_databricks.admin.objects import compliance

    site, release, planned = steps.look(
        deployment, output, all_of_it=True, is_shown=True, nothing="All is as the file says."
    )
    with output.working("looking"):
        governed = [it for policy in site.policies for it in compliance.governed(policy, policy.under)]
        users = site.users_of_releases()
    output.table(
        "Releases", ["release", "in use by"], [(name, who or "nobody") for name, who in users.items()]
    )
    behind = [it for it in governed if not it.complies]
    _show_governed(governed, behind, output, shows_all=shows_all)
    scopes = site.scopes if deployment.needs_secrets else []
    if not deploying.is_deployed(site):
        lacking = (it.command("set") for it in scopes if it.lacks(deployment.secrets.keys))
        output.line("")
        output.line(f"Nothing is deployed; next: `{to_run.ours(next(lacking, 'deploy'))}`", "bold")
    secrets = [_show_secret(scope, deployment.secrets.client_secret, output) for scope in scopes]
    output.document(
        **steps.about(site, release), **planned.document, releases=users, governed=governed, secrets=secrets
    )
    sys.exit(_DIFFERS if planned.changes or behind else 0)


def _show_governed(
    governed: Sequence[Governed], behind: Sequence[Governed], output: Output, *, shows_all: bool
) -> None:
    """Print how many clusters and jobs are as their policy says, and which are not."""
    output.line("")
    output.line(
        f"Clusters and jobs under the policy: {len(governed) - len(behind)} as it says, {len(behind)} not",
        "bold",
    )
    output.table(
        "All of them" if shows_all else "Not as the policy says",
        ["kind", "name", "ID", "owner", "state", "as the policy says"],
        [
            (it.kind, it.name, it.id, it.owner or "-", it.state or "-", it.verdict)
            for it in (governed if shows_all else behind)
        ],
    )
    if behind:
        one = len(behind) == 1
        whom, who_restarts = ("it", "whether it restarts") if one else ("them", "which of them restart")
        output.line("")
        output.line(
            f"{len(behind)} behind: `{to_run.ours('deploy --enforce')}` brings {whom} to what the policy "
            f"says, and shows first {who_restarts}"
        )


def _show_secret(scope: SecretScope, key: str, output: Output) -> dict[str, str | None]:
    """Print how old a secret is, and return what `--json` has of it."""
    written, age = scope.written(key), scope.age(key)
    if written and age:
        output.line("")
        output.line(f"Secret {scope.name}/{key}: written {written:%Y-%m-%d}, {age.days} days ago")
    return {"name": f"{scope.name}/{key}", "written": written.isoformat() if written else None}


@click.command()
@click.option("--node-type", help="The cluster's node type. Default: what the policy says, or the smallest.")
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    help="A runtime of the policy, such as 15.4-ml; once for each. Default: the one that the policy presets.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="PATH=VALUE",
    help="What the policy demands, such as custom_tags.team=ml, instance_pool_id=... or num_workers=1.",
)
@click.option(
    "--timeout",
    type=click.IntRange(1, 24 * 60),
    default=30,
    show_default=True,
    help="Minutes after which it is given up.",
)
@options.on_a_deployment
def verify(
    deployment: Deployment,
    output: Output,
    *,
    node_type: str | None,
    runtimes: tuple[str, ...],
    settings: tuple[str, ...],
    timeout: int,
) -> None:
    """Start a small cluster under each policy, and run the doctor there."""
    from azureml_databricks.admin.commands import verify as verifying
    from azureml_databricks.admin.objects import demands
    from azureml_databricks.checkup.findings import Verdict

    chosen = {**({"node_type_id": node_type} if node_type else {}), **demands.parsed(settings)}
    site = steps.site_of(deployment)
    with output.following("submitting a run") as tell:
        proofs = verifying.verify(
            site, runtimes=runtimes, chosen=chosen, timeout_minutes=timeout, on_state=tell
        )
    for proof in proofs:
        on = f" on {proof.runtime}" if proof.runtime else ""
        # Of one policy everybody knows which.
        under = f"policy {proof.policy}" if len({it.policy for it in proofs}) > 1 else "the policy"
        output.table(
            f"On a cluster under {under}{on}",
            ["part", "what", "result", "detail"],
            [(it.part, it.what, it.verdict.value, it.detail) for it in proof.findings],
        )
        wrong = [it for it in proof.findings if it.verdict == Verdict.WRONG]
        output.table(
            "What to do", ["part", "what", "advice"], [(it.part, it.what, it.advice) for it in wrong]
        )
    findings = [it for proof in proofs for it in proof.findings]
    output.document(findings=findings, proofs=proofs)
    sys.exit(1 if any(it.verdict == Verdict.WRONG for it in findings) else 0)
