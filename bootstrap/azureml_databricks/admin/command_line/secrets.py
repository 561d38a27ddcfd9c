"""The service principal's secrets: putting them, replacing them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from azureml_databricks.admin import progress, to_run
from azureml_databricks.admin.command_line import options, steps
from azureml_databricks.admin.command_line.group import Group, tell
from azureml_databricks.admin.commands.output import Output
from azureml_databricks.admin.errors import ElsewhereError
from azureml_databricks.admin.file.deployment import Deployment
from azureml_databricks.admin.objects.changes import Unready

if TYPE_CHECKING:
    from azureml_databricks.admin.commands.given_secret import GivenSecret
    from azureml_databricks.admin.commands.service_principal import ServicePrincipal, Way
    from azureml_databricks.admin.commands.site import Site


class _SecretsGroup(Group):
    """Its commands may have the only copy of a secret: whatever goes wrong, how to go on is told."""

    def invoke(self, context: click.Context) -> Any:
        from azureml_databricks.admin.commands.given_secret import GivenSecret

        context.obj = GivenSecret()
        try:
            return super().invoke(context)
        except KeyboardInterrupt as error:
            tell("interrupted", self.way_out(context, error))
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


def _without_file(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the arguments of a command that is to read another secret from a pipe."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "--from":
            next(rest, None)
        elif not argument.startswith("--from="):
            yield argument


@click.group(cls=_SecretsGroup)
def secrets() -> None:
    """Put the service principal of the clusters into the secret scope."""


def _principal_of(command: str) -> Callable[..., Any]:
    def read_from(context: click.Context, _: click.Parameter, file: BinaryIO | None) -> None:
        context.obj.take(file, command)

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
@options.force
@options.on_a_deployment
def set_secrets(deployment: Deployment, output: Output, *, policy: str | None, force: bool) -> None:
    """Make the scope, put the service principal's keys there, let the policy's users read them."""
    from azureml_databricks.admin.commands import service_principal

    def look(site: Site) -> Way:
        return service_principal.way_to_set(site, service_principal.chosen_scope(site, policy, "set"))

    _put(deployment, output, look, service_principal.without_role, force=force)


@secrets.command()
@_principal_of("az ad app credential reset --append")
@_of_policy
@options.force
@options.on_a_deployment
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
        site = steps.site_of(deployment, force=force)
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
    steps.apply(site, planned, output, lambda change: given.note(change.name in secrets))
    output.document(changes=planned.changes, unready=unready)
    return principal
