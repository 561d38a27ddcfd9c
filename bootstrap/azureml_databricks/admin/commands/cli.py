"""`azureml-databricks`, as an admin runs it.

What takes seconds to import (databricks-sdk, azure-ai-ml) is imported where a command is sure to need it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from azureml_databricks.admin import progress, to_run
from azureml_databricks.admin.bundle import archives as bundles
from azureml_databricks.admin.bundle.interpreter import InterpreterError
from azureml_databricks.admin.commands import help_texts
from azureml_databricks.admin.commands.debug import show_requests
from azureml_databricks.admin.commands.output import Output, plain
from azureml_databricks.admin.errors import AdminError, ElsewhereError
from azureml_databricks.admin.file import deployment as deployments
from azureml_databricks.admin.file import reading as deployment_file
from azureml_databricks.admin.file import settings_file, starter
from azureml_databricks.admin.file.deployment import Databricks, Deployment
from azureml_databricks.admin.objects.changes import Change, Plan, Unready
from azureml_databricks.admin.printable import printable
from azureml_databricks.settings import BY_NAME, SettingError, Settings

if TYPE_CHECKING:
    from azureml_databricks.admin.commands.given_secret import GivenSecret
    from azureml_databricks.admin.commands.service_principal import ServicePrincipal, Way
    from azureml_databricks.admin.commands.site import Site
    from azureml_databricks.admin.objects.compliance import Governed
    from azureml_databricks.admin.objects.release import Release
    from azureml_databricks.admin.objects.secret_scope import SecretScope

# What `plan` exits with where something differs, `status` where something differs or is behind,
# `deploy --enforce` where something stays behind, and `destroy` where something stays.
_DIFFERS = 2


class _Group(click.Group):
    """Tells what an admin did wrong in lines, and exits with 1, since 2 says that something differs."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(self.commands, key=help_texts.ORDER.index) if self.name == "main" else [*self.commands]

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the first sentence of each, all of it."""
        rows = [(name, self.commands[name].get_short_help_str(1000)) for name in self.list_commands(context)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def add_command(self, command: click.Command, name: str | None = None) -> None:
        command.epilog = command.epilog or help_texts.examples(name or command.name or "")
        super().add_command(command, name)

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        try:
            return super().make_context(*arguments, **options)
        except click.UsageError as error:
            error.exit_code = 1  # type: ignore[misc]
            if _is_help(error):
                raise
            _tell(_usage(error))
            raise click.exceptions.Exit(1) from None

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except click.UsageError as error:
            error.exit_code = 1  # type: ignore[misc]
            if _is_help(error):
                raise
            _tell(_usage(error), self.way_out(context, error))
        except (AdminError, InterpreterError, SettingError, bundles.BundleError) as error:
            _tell(str(error), self.way_out(context, error))
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


def _tell(problems: str, way_out: str = "") -> None:
    head = "Error: " if os.environ.get("NO_COLOR") else click.style("Error: ", fg="red")
    for line in "; ".join(filter(None, [problems, way_out])).splitlines():
        # What is indented belongs to the error above it.
        click.echo(("" if line.startswith(" ") else head) + printable(line), err=True)


@click.group(
    cls=_Group,
    epilog=help_texts.EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="azureml-databricks")
def main() -> None:
    """Point MLflow on Databricks clusters at an Azure Machine Learning workspace."""
    to_run.is_about(_file_in(sys.argv[1:]))
    # A job of CI that is cancelled gets it, and gives its lock back as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


_file = click.option(
    "--file",
    type=click.Path(path_type=Path),
    default=to_run.FILE,
    show_default=True,
    help="The file that describes the deployment.",
)
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


_force = click.option(
    "--force",
    is_flag=True,
    help="Take the lock of the location from an admin whose command was killed and has left it there.",
)
_force_and_upload = click.option(
    "--force",
    is_flag=True,
    help="Upload all files of the release again; and take the lock of the location from an admin whose "
    "command was killed and has left it there.",
)
_also = click.option(
    "--also",
    multiple=True,
    metavar="NAME",
    help="Remove our secrets and rights from this secret scope or service credential, too, which the file "
    "named before and does not name any more; once for each.",
)


_adopt = click.option(
    "--adopt",
    is_flag=True,
    help="Take for ours what points at the location: its record is lost, or was made for another workspace.",
)


def _on_a_deployment(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options --file and --json; it gets what the file says, and where to print."""

    @_file
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @click.option("--debug", is_flag=True, help="Show the requests on standard error; no secret is in them.")
    @functools.wraps(command)
    def wrapped(*, file: Path, as_json: bool, debug: bool, **options: Any) -> None:
        if debug:
            show_requests()
        command(deployment_file.read(file), Output(as_json=as_json), **options)

    return wrapped


@main.command()
@click.option("--host", help="The Databricks workspace, https://adb-....azuredatabricks.net.")
@click.option("--workspace", help="The Azure ML workspace: its resource ID, or its address in the studio.")
@click.option("--location", help="The folder for our files: /Volumes/CATALOG/SCHEMA/VOLUME or /Workspace/...")
@click.option("--group", help="Who may use the policy; users is everybody.")
@_file
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
        written = deployment_file.read(file)
        _check_alone(written)
        schema_file.write_bytes(f"{deployments.schema()}\n".encode())
    except (OSError, AdminError) as error:
        # None is left that a second try would find.
        file.unlink(missing_ok=True)
        if isinstance(error, AdminError):
            raise
        raise AdminError(f"{error.filename} cannot be written: {error.strerror}") from None
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
        deployment = deployment_file.read(path)
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


@main.command()
def schema() -> None:
    """Print the JSON Schema of the file."""
    click.echo(deployments.schema())


@main.command()
@_also
@_adopt
@_on_a_deployment
def plan(deployment: Deployment, output: Output, *, also: tuple[str, ...], adopt: bool) -> None:
    """Show what deploy would change. Exits with 2 if anything, with 0 if nothing."""
    site, release, planned = _planned(deployment, output, also, adopt=adopt, is_shown=True)
    output.document(**_about(site, release), **planned.document)
    sys.exit(_DIFFERS if planned.changes else 0)


@main.command()
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
@_also
@_adopt
@_force_and_upload
@_yes
@_on_a_deployment
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
    site, release, planned = _planned(deployment, output, also, force=force, adopt=adopt, built=built)
    if planned.changes:
        output.confirm("Deploy?", yes=yes)
        _apply(site, planned, output)
        output.unready(it for it in unready.refused(site) if it not in planned.unready)
    step = enforcing.Step(only, names)
    enforced, behind = enforcing.enforce(site, step, output, yes=yes) if enforce else ([], [])
    if enforced:
        # They may have been the last that pointed at an old release.
        site = _site(deployment, also)
        _apply(site, deploying.plan(site, release), output)
    output.document(**_about(site, release), **planned.document, enforced=enforced, behind=behind)
    sys.exit(_DIFFERS if behind else 0)


@main.command()
@click.option(
    "--detach",
    is_flag=True,
    help="Take clusters and jobs from under the policies first: they go on without us.",
)
@_also
@_force
@_yes
@_on_a_deployment
def destroy(
    deployment: Deployment, output: Output, *, detach: bool, also: tuple[str, ...], force: bool, yes: bool
) -> None:
    """Remove what `deploy` and `secrets set` have made, and nothing else. Exits with 2 if something stays."""
    from azureml_databricks.admin.commands import deploy as deploying

    if detach:
        _detach(deployment, output, force=force, yes=yes)
    with output.working("looking"):
        site = _site(deployment, also, force=force and not detach)
        planned = deploying.plan_to_destroy(site)
    _show(site, planned, output, "Nothing to remove now.")
    if planned.changes:
        output.confirm("Remove all of this?", yes=yes)
        _apply(site, planned, output)
    output.document(**planned.document)
    if planned.kept:
        output.line("What stays goes when nothing needs it any more: run this again then.")
        sys.exit(_DIFFERS)


def _detach(deployment: Deployment, output: Output, *, force: bool, yes: bool) -> None:
    """Take clusters and jobs from under the policies, showing first what that does to whom."""
    from azureml_databricks.admin.objects import detaching

    with output.working("looking"):
        site = _site(deployment, force=force)
        planned = Plan(list(detaching.changes(site.client, site.policies, site.storage.location)))
    if planned.changes:
        output.plan(planned)
        output.confirm("Detach them? Those that run restart.", yes=yes)
        _apply(site, planned, output)
        output.line("")


@main.command()
@click.option(
    "--all", "shows_all", is_flag=True, help="List those clusters and jobs, too, that are not behind."
)
@_on_a_deployment
def status(deployment: Deployment, output: Output, *, shows_all: bool) -> None:
    """Compare what is deployed with the file, and show who uses it.

    Exits with 2 if they differ, or clusters or jobs are behind their policy, with 0 if not.
    """
    from azureml_databricks.admin.commands import deploy as deploying
    from azureml_databricks.admin.objects import compliance

    site, release, planned = _planned(
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
        **_about(site, release), **planned.document, releases=users, governed=governed, secrets=secrets
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


@main.command()
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
@click.option("--timeout", default=30, show_default=True, help="Minutes after which it is given up.")
@_on_a_deployment
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
    site = _site(deployment)
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


class _SecretsGroup(_Group):
    """Its commands may have the only copy of a secret: whatever goes wrong, how to go on is told."""

    def invoke(self, context: click.Context) -> Any:
        from azureml_databricks.admin.commands.given_secret import GivenSecret

        context.obj = GivenSecret()
        try:
            return super().invoke(context)
        except KeyboardInterrupt as error:
            _tell("interrupted", self.way_out(context, error))
        raise click.exceptions.Exit(1)

    def way_out(self, context: click.Context, error: BaseException) -> str:
        """Return how one gets another secret, and which command takes it."""
        command = shlex.join(["azureml-databricks", *_without_file(sys.argv[1:])])
        if isinstance(error, click.UsageError):
            command = to_run.ours(f"secrets {context.invoked_subcommand or 'set'}")
        if isinstance(error, ElsewhereError):
            if error.command is None:
                return ""
            command = to_run.ours(error.command) if error.command else ""
        return str(context.obj.way_out(command))


def _file_in(arguments: Sequence[str]) -> Path:
    """Return what `--file` says: what is wrong with other options tells of commands, too."""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument == "--file" and following:
            return Path(following)
        if argument.startswith("--file="):
            return Path(argument.partition("=")[2])
    return Path(to_run.FILE)


def _without_file(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the arguments of a command that is to read another secret from a pipe."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "--from":
            next(rest, None)
        elif not argument.startswith("--from="):
            yield argument


@main.group(cls=_SecretsGroup)
def secrets() -> None:
    """Put the service principal of the clusters into the secret scope."""


def _principal_of(command: str) -> Callable[..., Any]:
    def read_from(context: click.Context, _: click.Parameter, file: BinaryIO | None) -> None:
        context.obj.file, context.obj.made_by = file, command

    return click.option(
        "--from",
        type=click.File("rb"),
        expose_value=False,
        callback=read_from,
        help=f"What `{command}` prints: a file, or - for standard input. Else it is asked.",
    )


_of_policy = click.option(
    "--policy",
    metavar="NAME",
    help="A policy whose secret scope is meant, where the file has several scopes.",
)


@secrets.command(name="set")
@_principal_of("az ad sp create-for-rbac")
@_of_policy
@_force
@_on_a_deployment
def set_secrets(deployment: Deployment, output: Output, *, policy: str | None, force: bool) -> None:
    """Make the scope, put the service principal's keys there, let the policy's users read them."""
    from azureml_databricks.admin.commands import service_principal

    def look(site: Site) -> Way:
        return service_principal.way_to_set(site, service_principal.chosen_scope(site, policy, "set"))

    _put(deployment, output, look, service_principal.without_role, force=force)


@secrets.command()
@_principal_of("az ad app credential reset --append")
@_of_policy
@_force
@_on_a_deployment
def rotate(deployment: Deployment, output: Output, *, policy: str | None, force: bool) -> None:
    """Replace the secret by a new one, once that is seen to log in to Azure."""
    from azureml_databricks.admin.commands import service_principal

    def look(site: Site) -> Way:
        return service_principal.way_to_rotate(site, service_principal.chosen_scope(site, policy, "rotate"))

    def prove(principal: ServicePrincipal, deployment: Deployment) -> Iterator[Unready]:
        service_principal.prove_role(principal, deployment)
        return iter(())

    principal = _put(deployment, output, look, prove, force=force)
    output.line(
        f"The secret of service principal {principal.client_id} is replaced. Clusters that run keep the old "
        "one until they restart: delete it in Entra ID after that."
    )


def _put(
    deployment: Deployment,
    output: Output,
    look: Callable[[Site], Way],
    prove: Callable[[ServicePrincipal, Deployment], Iterator[Unready]],
    *,
    force: bool,
) -> ServicePrincipal:
    """Put a service principal into the scope: first all that can be looked at without it, then its login."""
    from azureml_databricks.admin.commands import service_principal

    given: GivenSecret = click.get_current_context().obj
    service_principal.check_used(deployment)
    with output.working("looking"):
        site = _site(deployment, force=force)
        way = look(site)
    principal = given.read()
    planned = way(principal)
    with output.working("logging in as the service principal"):
        for number, refusal in enumerate(service_principal.refusals(principal, deployment)):
            if given.is_typed:
                raise refusal
            if not number:
                progress.tell(
                    f"Azure does not know {principal.client_id} or its secret ({refusal.code}), as it is for "
                    "a minute after they were made: trying again, two minutes at most; Ctrl-C ends that, and "
                    "nothing is changed"
                )
        unready = list(prove(principal, deployment))
    output.unready(unready)
    secrets = {f"{scope.name}/{deployment.secrets.client_secret}" for scope in site.scopes}
    _apply(site, planned, output, lambda change: given.note(change.name in secrets))
    output.document(changes=planned.changes, unready=unready)
    return principal


@main.group(cls=_Group)
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
@_file
def render(file: Path, form: str, out: Path | None) -> None:
    """Print the policy as `deploy` would make it, for Terraform, Declarative Automation Bundles or Git."""
    from azureml_databricks.admin.commands import render as rendering

    deployment = deployment_file.read(file)
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


@main.command()
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
        raise click.ClickException(f"{error.filename or out} cannot be written: {error.strerror}") from None
    for archive in built.archives:
        click.echo(f"{archive.path}  {archive.path.stat().st_size:,} bytes, SHA-256 {archive.sha256}")
    click.echo(f"{built.script}  the init script; it looks for the archives in {location}")
    if built.settings:
        click.echo(f"{built.settings}  the settings")
    if missing := _unnamed(settings or {}):
        click.echo(f"the policy's variables have to name the workspace: {', '.join(missing)}")


_ON_A_NODE: dict[str, Any] = {
    "add_help_option": False,
    "context_settings": {"ignore_unknown_options": True, "allow_extra_args": True},
}


@main.command(**_ON_A_NODE)
@click.pass_context
def doctor(context: click.Context) -> None:
    """On a cluster: look at everything between it and Azure ML."""
    from azureml_databricks.checkup import cli as doctor

    context.exit(doctor.main(context.args))


@main.command(**_ON_A_NODE)
@click.pass_context
def node(context: click.Context) -> None:
    """On a cluster: what is in service there, and taking it out."""
    from azureml_databricks import node_command

    context.exit(node_command.main(context.args))


def _unnamed(settings: dict[str, str]) -> list[str]:
    """Return the variables that are needed besides the settings."""
    if settings.get("trackingUri"):
        return []
    parts = [name for name in Settings.WORKSPACE_PARTS if not settings.get(name)]
    names = ["trackingUri"] if len(parts) == len(Settings.WORKSPACE_PARTS) else parts
    return [BY_NAME[name].variable for name in names]


def _planned(
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
    from azureml_databricks.admin.commands import deploy as deploying

    with output.working("looking"):
        site = _site(deployment, also, force=force, adopt=adopt)
        release = replace(deploying.release_for(site), built=built)
        planned = deploying.plan(site, release, all_of_it=all_of_it, is_shown=is_shown)
    _show(site, planned, output, nothing)
    return site, release, planned


def _site(
    deployment: Deployment, also: Sequence[str] = (), *, force: bool = False, adopt: bool = False
) -> Site:
    from azureml_databricks.admin.commands.site import Site

    return Site(deployment, also, force=force, adopt=adopt)


def _about(site: Site, release: Release) -> dict[str, Any]:
    """Return what `--json` has of where this is, for other tools to go on with."""
    policies = [{"name": it.name, "id": it.id} for it in site.policies]
    return {
        "host": site.client.config.host,
        "release": release.name,
        "script": release.script,
        "policies": policies,
    }


def _show(site: Site, planned: Plan, output: Output, nothing: str) -> None:
    _, resource_group, name = site.deployment.workspace.parts
    output.line(f"Databricks {site.client.config.host} as {site.user}", "dim")
    output.line(f"Azure ML workspace {name}, resource group {resource_group}", "dim")
    output.line("")
    output.plan(planned, nothing)


def _apply(
    site: Site, planned: Plan, output: Output, on_made: Callable[[Change], None] = lambda _: None
) -> None:
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
