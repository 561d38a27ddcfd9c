"""The service principal that clusters log in as: from what `az` prints of it into the secret scope."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from azureml_databricks.admin.commands.deploy import Site
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file.deployment import USUAL_KEYS, Deployment, Secrets
from azureml_databricks.admin.objects.access import SecretReaders
from azureml_databricks.admin.objects.changes import Plan
from azureml_databricks.admin.objects.secret_scope import SecretScope
from azureml_databricks.admin.services import workspace

# The names in what `az ad sp create-for-rbac` prints, now and with --sdk-auth.
_NAMES = {
    "tenant_id": ("tenant", "tenantId"),
    "client_id": ("appId", "clientId"),
    "client_secret": ("password", "clientSecret"),
}
_WHAT = "what `az ad sp create-for-rbac` prints"


@dataclass(frozen=True)
class ServicePrincipal:
    """A service principal and its secret, which is in no representation of it."""

    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)


def parse(text: str, origin: str) -> ServicePrincipal:
    """Return the service principal in what `az` prints.

    Args:
        text: the JSON.
        origin: where it came from, in words that an error can use.

    Raises:
        AdminError: it is not that; nothing of it is shown.
    """
    if not text.strip():
        raise AdminError(f"{origin} is empty: give {_WHAT}, if that failed see what it said")
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise AdminError(f"{origin} is not JSON: give {_WHAT}")
    found = {field: _first(document, names) for field, names in _NAMES.items()}
    if "fileWithCertAndPrivateKey" in document:
        raise AdminError(
            f"{origin} is a service principal with a certificate: clusters need one with a password"
        )
    if missing := [" or ".join(_NAMES[field]) for field, value in found.items() if not value]:
        raise AdminError(f"{origin} has no {missing[0]}: give {_WHAT}")
    return ServicePrincipal(**found)


def check_used(deployment: Deployment) -> None:
    """Look whether a deployment has a service principal at all.

    Raises:
        AdminError: its clusters log in without one.
    """
    if not deployment.needs_secrets:
        raise AdminError(f'clusters need no secret with auth = "{deployment.login.auth}" ([login])')


def prove(principal: ServicePrincipal, deployment: Deployment) -> None:
    """Log in to Azure as a service principal.

    Raises:
        AdminError: Azure refuses it.
    """
    workspace.prove_login(
        principal.tenant_id, principal.client_id, principal.client_secret, deployment.workspace.cloud
    )


def plan_to_set(site: Site, principal: ServicePrincipal) -> Plan:
    """Return what puts a service principal into a scope that has none yet, or one of ours.

    Raises:
        AdminError: the scope cannot be written, or somebody else's secret is in it.
    """
    keys, scope = site.deployment.secrets, site.scope
    scope.check_writable(keys.keys)
    scope.check_shared(keys.readable, [it.name for it in site.deployment.principals])
    for key in keys.keys:
        if key in scope.keys and not scope.is_ours(key):
            raise AdminError(
                f"secret scope {scope.name} has {key} already, which we have not put there: use it as it is, "
                "or name other keys in [secrets]"
            )
    # The keys of the usual manual way; what is there already, somebody's notebooks read.
    usual = dict(zip(USUAL_KEYS, site.deployment.workspace.parts, strict=True))
    besides = {key: value for key, value in usual.items() if key not in scope.keys}
    _check_same(scope, keys, principal)
    values = {**besides, **_secrets(principal, site.deployment)}
    changes = scope.changes(values, ids=(keys.tenant_id, keys.client_id))
    readers = SecretReaders(site.client, scope.name).changes(site.deployment.principals)
    return Plan([*changes, *readers])


def plan_to_rotate(site: Site, principal: ServicePrincipal) -> Plan:
    """Return what puts a new secret of the service principal in the place of the one in the scope.

    Raises:
        AdminError: the scope cannot be written, there is none in it or another one; or it has no role on the
            workspace.
    """
    keys, scope = site.deployment.secrets, site.scope
    scope.check_writable(keys.keys)
    scope.check(keys.keys)
    if not (scope.known(keys.tenant_id) and scope.known(keys.client_id)):
        raise AdminError(
            f"whose secret is in secret scope {scope.name} is not known here, since `azureml-databricks "
            "secrets set` has not put it there: name other keys in [secrets], `azureml-databricks secrets "
            "set`, and deploy"
        )
    _check_same(scope, keys, principal)
    workspace.prove_role(
        site.deployment.workspace, principal.tenant_id, principal.client_id, principal.client_secret
    )
    return Plan(list(scope.changes({keys.client_secret: principal.client_secret})))


def _check_same(scope: SecretScope, keys: Secrets, principal: ServicePrincipal) -> None:
    """Refuse to put one service principal in the place of another, key by key, while clusters may start."""
    there = (scope.known(keys.tenant_id), scope.known(keys.client_id))
    if all(there) and there != (principal.tenant_id, principal.client_id) and set(keys.keys) <= scope.keys:
        raise AdminError(
            f"secret scope {scope.name} has another service principal than {principal.client_id}: a cluster "
            "that starts in between would get the ID of one and the secret of the other; name other keys in "
            "[secrets], `azureml-databricks secrets set`, and deploy"
        )


def _secrets(principal: ServicePrincipal, deployment: Deployment) -> dict[str, str]:
    keys = deployment.secrets
    return {
        keys.tenant_id: principal.tenant_id,
        keys.client_id: principal.client_id,
        keys.client_secret: principal.client_secret,
    }


def _first(document: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((str(document[name]).strip() for name in names if document.get(name)), "")
