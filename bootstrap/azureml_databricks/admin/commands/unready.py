"""What will not work as it is, and what a deployment does not mend: told in a plan, with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from azureml_databricks.admin import to_run
from azureml_databricks.admin.commands.site import Site
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.objects import neighbours, runners
from azureml_databricks.admin.objects import policy as policies
from azureml_databricks.admin.objects.changes import Unready
from azureml_databricks.admin.objects.release import KIND as RELEASE
from azureml_databricks.admin.objects.release import SCRIPT, Release
from azureml_databricks.admin.objects.secret_scope import SCOPE, SECRET, SecretScope

# A month before a year is over: https://learn.microsoft.com/cli/azure/ad/sp#az-ad-sp-create-for-rbac
_OLD = timedelta(days=365 - 31)


def found(site: Site, release: Release) -> Iterator[Unready]:
    """Yield all of it.

    Raises:
        AdminError: Databricks refuses to tell.
    """
    yield from _renamed(site)
    yield from _strangers(site, release)
    yield from site.releases.broken(release)
    yield from _kept_elsewhere(site, release)
    yield from _cannot_read(site)
    yield from refused(site)
    yield from _under_deleted(site)
    for scope in site.scopes if site.deployment.needs_secrets else ():
        yield from _of_secrets(site, scope)


def _renamed(site: Site) -> Iterator[Unready]:
    """Tell of policies that are called otherwise from now on: another one may be meant."""
    file, there = site.deployment.path, site.record.names(policies.KIND)
    is_one_of_several = any(it.name in there for it in site.deployment.policies)
    for policy in site.policies:
        if not policy.asked or not policy.former_name:
            continue
        name = policy.asked.name
        yield Unready(
            policies.KIND,
            policy.former_name,
            f"{file} calls it {name} from now on: it keeps its ID, and what is under it",
            f"if {name} is to be another policy, let the file have both when that is made"
            if is_one_of_several
            else f"if that is to be another deployment beside it, give {file} another location "
            "(clusters.location) before you deploy",
        )


def _strangers(site: Site, release: Release) -> Iterator[Unready]:
    if others := site.releases.strangers(release.name):
        folder = release.script.removesuffix(f"/{SCRIPT}")
        yield Unready(
            RELEASE, release.name, f"{others} in it, which we have not put there", f"take it out of {folder}"
        )


def _kept_elsewhere(site: Site, release: Release) -> Iterator[Unready]:
    """Yield the policies that Terraform or the like keeps, and that are not as they are to be there."""
    for policy in site.policies:
        if not policy.asked or policy.is_deployed:
            continue
        to_do = f"apply what `{to_run.ours('policy render')}` prints"
        if not policy.found:
            why = f"it is kept elsewhere, and no policy points at {site.storage.location} yet"
            yield Unready("policy", policy.asked.name, why, to_do)
        elif missing := policy.missing(
            policies.wanted(site.deployment, policy.asked, release.script, site.client)
        ):
            paths = ", ".join(it.field for it in missing)
            yield Unready(
                "policy", policy.name, f"it is kept elsewhere, and not as it is to be: {paths}", to_do
            )


def _cannot_read(site: Site) -> Iterator[Unready]:
    """Yield who runs our init script and cannot read it."""
    principals = site.deployment.principals
    for policy in site.policies:
        try:
            yield from runners.unready(site.client, policy.under, site.file_readers(), principals)
        except AdminError as error:
            # It is for people's information, and nothing that a deployment needs.
            yield Unready(
                "policy",
                policy.name,
                f"who runs its init script, and cannot read it, is not known: {error}",
                "a deployment does not need it",
            )


def _under_deleted(site: Site) -> Iterator[Unready]:
    for policy, former in ((it, former) for it in site.policies for former in it.former):
        if users := site.references.to(former):
            name = policy.asked.name if policy.asked else policy.name
            yield Unready(
                "policy",
                name,
                f"somebody has deleted the one that it takes the place of ({former}), and under that there "
                f"is {users}",
                f"they get no later release: choose {name} for them",
            )


def _of_secrets(site: Site, scope: SecretScope) -> Iterator[Unready]:
    keys = site.deployment.secrets
    for it in neighbours.with_secret(site.listed, scope.name, keys.client_secret, site.storage.location):
        theirs = it.known_id(site.client, scope.name, keys.client_id)
        yield Unready(
            SCOPE,
            scope.name,
            f"{it} has its secret there, too: clusters of both log in as one service principal"
            + (f", {theirs}" if theirs else ""),
            "if that is not meant, name a scope of its own (secrets.scope), "
            f"`{to_run.ours(scope.command('set'))}`, and `{to_run.ours('deploy')}`",
        )
    if (age := scope.age(keys.client_secret)) and age > _OLD:
        yield Unready(
            SECRET,
            f"{scope.name}/{keys.client_secret}",
            f"it was written {age.days} days ago, and what `az` makes is valid for a year",
            f"`az ad app credential reset --id {scope.known(keys.client_id) or 'CLIENT_ID'} --append | "
            f"{to_run.ours(scope.command('rotate'))}`",
        )
    for key in (keys.tenant_id, keys.client_id):
        if scope.is_overwritten(key):
            yield Unready(
                SECRET,
                f"{scope.name}/{key}",
                f"somebody has written it since ({scope.written(key):%Y-%m-%d %H:%M} UTC): clusters may log "
                f"in as another service principal than {scope.known(keys.client_id)}",
                f"`{to_run.ours(scope.command('set'))}` with that service principal puts it back",
            )


def refused(site: Site) -> Iterator[Unready]:
    """Yield what policies do not say, since the workspace refuses it."""
    for policy, path in ((it, path) for it in site.policies for path in it.refused):
        yield Unready(
            "policy",
            policy.name,
            f"it does not fix {path}, since this workspace refuses that in a policy",
            f"whoever makes a cluster on runtime 19 has to leave {path} at Auto or Cluster libraries",
        )
