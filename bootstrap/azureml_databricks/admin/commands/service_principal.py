"""The service principal that clusters log in as: from what `az` prints of it into the secret scope."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from azureml_databricks.admin import to_run
from azureml_databricks.admin.commands.site import Site
from azureml_databricks.admin.errors import AdminError, ElsewhereError
from azureml_databricks.admin.file.any_text import decoded
from azureml_databricks.admin.file.deployment import USUAL_KEYS, Deployment, Secrets
from azureml_databricks.admin.objects import neighbours, principals
from azureml_databricks.admin.objects.access import SecretReaders
from azureml_databricks.admin.objects.changes import Change, Plan, Unready
from azureml_databricks.admin.objects.neighbours import Neighbour
from azureml_databricks.admin.objects.secret_scope import SecretScope
from azureml_databricks.admin.services import workspace

# The names in what `az ad sp create-for-rbac` prints, now and with --sdk-auth.
_NAMES = {
    "tenant_id": ("tenant", "tenantId"),
    "client_id": ("appId", "clientId"),
    "client_secret": ("password", "clientSecret"),
}
# Seconds between two tries to log in: two minutes in all.
PAUSES = [1, 2, 3, 4, *[10] * 11]


@dataclass(frozen=True)
class ServicePrincipal:
    """A service principal and its secret, which is in no representation of it."""

    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)


# What plans to put a service principal into the scope.
Way = Callable[[ServicePrincipal], Plan]


def parse(content: bytes, origin: str, made_by: str) -> ServicePrincipal:
    """Return the service principal in what `az` prints.

    Args:
        content: the JSON, perhaps below lines in which `az` warns of something, in any encoding of Unicode.
        origin: where it came from, in words that an error can use.
        made_by: the command that prints it.

    Raises:
        AdminError: it is not that; nothing of it is shown.
    """
    what = f"what `{made_by}` prints"
    if not content.strip():
        raise AdminError(f"{origin} is empty: give {what}, if that failed see what it said")
    document = _object_in(content)
    if document is None:
        raise AdminError(f"{origin} is not JSON: give {what} (with --output json)")
    found = {field: _first(document, names) for field, names in _NAMES.items()}
    if "fileWithCertAndPrivateKey" in document:
        raise AdminError(
            f"{origin} is a service principal with a certificate: clusters need one with a password"
        )
    if missing := [" or ".join(_NAMES[field]) for field, value in found.items() if not value]:
        raise AdminError(f"{origin} has no {missing[0]}: give {what}")
    return ServicePrincipal(**found)


def _object_in(content: bytes) -> dict[str, Any] | None:
    try:
        text = decoded(content)
    except UnicodeDecodeError:
        return None
    for begin in re.finditer(r"^\s*(?=\{)", text, re.MULTILINE):
        with suppress(ValueError, RecursionError):
            document, _ = json.JSONDecoder().raw_decode(text, begin.end())
            return document if isinstance(document, dict) else None
    return None


def another(client_id: str, command: str) -> str:
    """Return the command that makes another secret, and gives it to a command of ours; empty for none."""
    made = f"az ad app credential reset --id {client_id} --append"
    return f"`{made} | {command}`" if command else f"`{made}`"


def check_used(deployment: Deployment) -> None:
    """Look whether a deployment has a service principal at all.

    Raises:
        AdminError: its clusters log in without one.
    """
    if not deployment.needs_secrets:
        raise AdminError(f'clusters need no secret with auth = "{deployment.login.auth}" ([login])')


def refusals(principal: ServicePrincipal, deployment: Deployment) -> Iterator[workspace.NotYetKnownError]:
    """Log in to Azure as a service principal, which Azure may know a minute after it has made it.

    Yields:
        Why Azure does not know it yet, each time before a wait.

    Raises:
        AdminError: Azure refuses it, or does not know it for two minutes.
    """
    for pause in PAUSES:
        try:
            return _log_in(principal, deployment)
        except workspace.NotYetKnownError as error:
            yield error
        time.sleep(pause)
    return _log_in(principal, deployment)


def _log_in(principal: ServicePrincipal, deployment: Deployment) -> None:
    workspace.prove_login(
        principal.tenant_id, principal.client_id, principal.client_secret, deployment.workspace.cloud
    )


def chosen_scope(site: Site, policy: str | None, verb: str) -> SecretScope:
    """Return the secret scope that a command is for.

    Args:
        site: what is deployed.
        policy: the name of one that has it, None for the only scope that there is.
        verb: the command, `set` or `rotate`.

    Raises:
        AdminError: there is no such policy, or there are several scopes and none is named.
    """
    file, there = site.deployment.path, site.deployment.policies
    if policy is None:
        if len(site.scopes) == 1:
            return site.scopes[0]
        choices = [f"--policy {shlex.quote(it.name)} (scope {site.deployment.scope_of(it)})" for it in there]
        raise ElsewhereError(
            f"{file} has several secret scopes: give {' or '.join(choices)}", f"secrets {verb} --policy NAME"
        )
    named = [site.deployment.scope_of(it) for it in there if it.name == policy]
    if not named:
        known = ", ".join(shlex.quote(it.name) for it in there)
        raise ElsewhereError(f"--policy is {policy!r}: {file} has {known}", f"secrets {verb} --policy NAME")
    return next(it for it in site.scopes if it.name == named[0])


def way_to_set(site: Site, scope: SecretScope) -> Way:
    """Look at all that can be seen without a secret; return what plans to put it into a scope that has none.

    Raises:
        AdminError: the scope cannot be written, or somebody else's secret is in it.
    """
    keys, users = site.deployment.secrets, site.deployment.scopes[scope.name]
    scope.check_writable(keys.keys)
    principals.check(site.client, site.deployment)
    scope.check_shared(keys.readable, [it.name for it in users])
    if not _neighbours(site, scope):
        _check_ours(scope, keys)
    readers = list(SecretReaders(site.client, scope.name).changes(users))
    return partial(_plan_to_set, site, scope, readers)


def _plan_to_set(
    site: Site, scope: SecretScope, readers: Sequence[Change], principal: ServicePrincipal
) -> Plan:
    keys = site.deployment.secrets
    _check_alone(site, scope, principal)
    _check_ours(scope, keys)
    # The keys of the usual manual way; what is there already, somebody's notebooks read.
    usual = dict(zip(USUAL_KEYS, site.deployment.workspace.parts, strict=True))
    besides = {key: value for key, value in usual.items() if key not in scope.keys}
    _check_same(scope, keys, principal)
    values = {**besides, **_secrets(principal, site.deployment)}
    return Plan([*scope.changes(values, ids=(keys.tenant_id, keys.client_id)), *readers])


def way_to_rotate(site: Site, scope: SecretScope) -> Way:
    """Look at the same; return what plans to put a new secret in the place of the one in the scope.

    Raises:
        AdminError: the scope cannot be written, or there is none of ours in it.
    """
    keys = site.deployment.secrets
    scope.check_writable(keys.keys)
    scope.check(keys.keys)
    if not _neighbours(site, scope):
        _check_known(scope, keys)
    return partial(_plan_to_rotate, site, scope)


def _plan_to_rotate(site: Site, scope: SecretScope, principal: ServicePrincipal) -> Plan:
    keys = site.deployment.secrets
    _check_alone(site, scope, principal)
    _check_known(scope, keys)
    _check_rotated(scope, keys, principal)
    return Plan(list(scope.changes({keys.client_secret: principal.client_secret})))


def prove_role(principal: ServicePrincipal, deployment: Deployment) -> None:
    """Ask the Azure ML workspace something as a service principal.

    Raises:
        AdminError: it has no role there.
    """
    workspace.prove_role(
        deployment.workspace, principal.tenant_id, principal.client_id, principal.client_secret
    )


def without_role(principal: ServicePrincipal, deployment: Deployment) -> Iterator[Unready]:
    """Yield why clusters could not use the Azure ML workspace as a service principal, if they could not."""
    try:
        prove_role(principal, deployment)
    except AdminError as error:
        yield Unready(
            "service principal",
            principal.client_id,
            str(error),
            "it is put into the scope all the same; a role that was given a moment ago counts in some "
            "minutes, and if there is none, `az role assignment create "
            f'--assignee {principal.client_id} --role "{workspace.RUNTIME_ROLE}" --scope '
            f"{deployment.workspace.resource_id}` gives it",
        )


def _check_alone(site: Site, scope: SecretScope, principal: ServicePrincipal) -> None:
    """Refuse to put a service principal in the place of another deployment's."""
    keys = site.deployment.secrets
    for it in _neighbours(site, scope):
        theirs = it.known_id(site.client, scope.name, keys.client_id)
        if theirs != principal.client_id:
            raise ElsewhereError(
                f"secret scope {scope.name} has {_called(theirs)} of {it}, and {principal.client_id} would "
                "take its place: give this deployment a scope of its own, "
                f'scope = "azureml-{site.deployment.workspace.parts[2]}" under [secrets], then '
                f"`{to_run.ours(scope.command('set'))}`, and `{to_run.ours('deploy')}`",
                scope.command("set"),
            )


def _neighbours(site: Site, scope: SecretScope) -> list[Neighbour]:
    """Return the policies of other deployments whose clusters log in with the secret that is there."""
    key = site.deployment.secrets.client_secret
    if key not in scope.keys:
        return []
    return list(neighbours.with_secret(site.listed, scope.name, key, site.storage.location))


def _check_ours(scope: SecretScope, keys: Secrets) -> None:
    """Refuse to put keys in the place of somebody's."""
    for key in keys.keys:
        if key in scope.keys and not scope.is_ours(key):
            raise AdminError(
                f"secret scope {scope.name} has {key} already, which we have not put there: use it as it is, "
                "or name other keys in [secrets]"
            )


def _check_known(scope: SecretScope, keys: Secrets) -> None:
    """Refuse to put a secret in the place of one of which we do not know whose it is."""
    if not (scope.known(keys.tenant_id) and scope.known(keys.client_id)):
        given = to_run.ours(scope.command("set"))
        raise ElsewhereError(
            f"whose secret is in secret scope {scope.name} is not known here, since `{given}` has not put it "
            f"there: name other keys in [secrets], then `{given}`, and `{to_run.ours('deploy')}`",
            scope.command("set"),
        )


def _called(client_id: str) -> str:
    return f"service principal {client_id}" if client_id else "the service principal"


def _check_same(scope: SecretScope, keys: Secrets, principal: ServicePrincipal) -> None:
    """Refuse to put one service principal in the place of another, key by key, while clusters may start."""
    given = to_run.ours(scope.command("set"))
    if there := _other(scope, keys, principal):
        raise AdminError(
            f"secret scope {scope.name} has service principal {there}, and {principal.client_id} is another: "
            "a cluster that starts in between would get the ID of one and the secret of the other; name "
            f"other keys in [secrets], then `{given}`, and `{to_run.ours('deploy')}`"
        )


def _check_rotated(scope: SecretScope, keys: Secrets, principal: ServicePrincipal) -> None:
    """Refuse a secret of another service principal than the one whose secret it would replace."""
    given, rotated = (to_run.ours(scope.command(verb)) for verb in ("set", "rotate"))
    if there := _other(scope, keys, principal):
        raise ElsewhereError(
            f"secret scope {scope.name} has service principal {there}, and this secret is of "
            f"{principal.client_id}: {another(there, rotated)} replaces the secret "
            f"that is there; to log in as {principal.client_id} instead, name other keys in [secrets], then "
            f"{another(principal.client_id, given)}, and `{to_run.ours('deploy')}`",
            None,
        )


def _other(scope: SecretScope, keys: Secrets, principal: ServicePrincipal) -> str:
    """Return the client ID in a scope that has another service principal, empty where it has not."""
    there = (scope.known(keys.tenant_id), scope.known(keys.client_id))
    is_other = all(there) and there != (principal.tenant_id, principal.client_id)
    return there[1] if is_other and set(keys.keys) <= scope.keys else ""


def _secrets(principal: ServicePrincipal, deployment: Deployment) -> dict[str, str]:
    keys = deployment.secrets
    return {
        keys.tenant_id: principal.tenant_id,
        keys.client_id: principal.client_id,
        keys.client_secret: principal.client_secret,
    }


def _first(document: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((str(document[name]).strip() for name in names if document.get(name)), "")
