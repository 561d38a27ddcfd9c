"""Whether the groups, users and service principals of the file are in the workspace.

One that is not would be told by the first right that it gets, in the middle of a deployment.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from databricks.sdk import WorkspaceClient
from pydantic.alias_generators import to_camel

from azureml_databricks.admin.errors import AdminError, RefusedError
from azureml_databricks.admin.file import toml_file
from azureml_databricks.admin.file.deployment import Deployment
from azureml_databricks.admin.services.at_once import at_once
from azureml_databricks.admin.services.databricks import telling
from azureml_databricks.admin.services.scim import escaped, filters

_RIGHT = "the admin role of the workspace"
# The groups that every workspace has.
_BUILT_IN = ("users", "admins", "account users")
# https://docs.databricks.com/api/azure/workspace/groups/list: a group of the account is a `Group`
_LOCAL = "WorkspaceGroup"


@dataclass(frozen=True)
class _Kind:
    """A kind of principal: its key in [policy], what it is called, what SCIM knows it by."""

    key: str
    word: str
    attribute: str


_GROUPS = _Kind("groups", "group", "displayName")
_USERS = _Kind("users", "user", "userName")
_SERVICE_PRINCIPALS = _Kind("service_principals", "service principal", "applicationId")
_ADVICE = {
    _GROUPS: "an admin of the account assigns groups to workspaces",
    _USERS: "give the name that they log in with, such as ada@example.com, once they are in it",
    _SERVICE_PRINCIPALS: "give its application ID, once it is in it",
}
_LOCAL_WHY = (
    "it is a group of this workspace only, and Unity Catalog gives rights to groups of the account: name one "
    "of those"
)


def check(client: WorkspaceClient, deployment: Deployment) -> None:
    """Look for all of them.

    Args:
        client: of the workspace.
        deployment: what the file says.

    Raises:
        AdminError: some are not there, or not for Unity Catalog: a line for each, with its line in the file.
    """
    try:
        problems = at_once(partial(_problems, client, deployment, kind) for kind in _kinds(deployment))
    except RefusedError:
        # Who may not ask may deploy all the same, where all of them have their rights.
        return
    if lines := [line for some in problems for line in some]:
        raise AdminError("\n".join(line for _, line in sorted(lines)))


def _kinds(deployment: Deployment) -> list[_Kind]:
    return [kind for kind in (_GROUPS, _USERS, _SERVICE_PRINCIPALS) if _named(deployment, kind)]


def _named(deployment: Deployment, kind: _Kind) -> list[str]:
    names = (name for policy in deployment.policies for name in getattr(policy, kind.key))
    return [name for name in dict.fromkeys(names) if kind is not _GROUPS or name not in _BUILT_IN]


def _problems(client: WorkspaceClient, deployment: Deployment, kind: _Kind) -> list[tuple[int, str]]:
    names = _named(deployment, kind)
    with telling(f"the {kind.word}s of [policy] cannot be looked up", _RIGHT):
        listed = (_list(client, kind, some) for some in filters(kind.attribute, names))
        found = dict(itertools.chain.from_iterable(listed))
    there = found if kind is _GROUPS else {name.casefold() for name in found}
    problems: list[tuple[int, str]] = []
    for name in names:
        if (name if kind is _GROUPS else name.casefold()) not in there:
            problems += _lines(deployment, kind, name, _not_there(client, kind, name))
        elif found.get(name) == _LOCAL and _needs_unity_catalog(deployment):
            problems += _lines(deployment, kind, name, _LOCAL_WHY)
    return problems


def _needs_unity_catalog(deployment: Deployment) -> bool:
    return deployment.clusters.location.startswith("/Volumes/") or bool(deployment.login.service_credential)


def _lines(deployment: Deployment, kind: _Kind, name: str, why: str) -> Iterator[tuple[int, str]]:
    """Yield what is wrong with a name, once for each place in the file where it stands, with the line."""
    source = toml_file.read(deployment.path)
    is_list = isinstance(source.document["policy"], list)
    key = to_camel(kind.key)
    for number, policy in enumerate(deployment.policies):
        for place, named in enumerate(getattr(policy, kind.key)):
            if named == name:
                table = ("policy", number) if is_list else ("policy",)
                line = source.line((*table, key, place))
                yield line, f"{deployment.path}:{line}: policy.{key} has {name!r}: {why}"


def _not_there(client: WorkspaceClient, kind: _Kind, name: str) -> str:
    likely = _likely(client, kind, name)
    near = likely if kind is _SERVICE_PRINCIPALS else difflib.get_close_matches(name, likely, n=3, cutoff=0.6)
    meant = f"did you mean {' or '.join(near)}?" if near else _ADVICE[kind]
    return f"there is no such {kind.word} in this workspace; {meant}"


def _likely(client: WorkspaceClient, kind: _Kind, name: str) -> list[str]:
    """Return names that may have been meant: of thousands of users, those that begin in the same way."""
    with telling(f"the {kind.word}s of the workspace cannot be listed", _RIGHT):
        if kind is _GROUPS:
            return [it for it, _ in _list(client, kind, None)]
        if kind is _USERS:
            return [it for it, _ in _list(client, kind, f'userName sw "{escaped(name[:2])}"')]
        # People know it by its name, and it is meant by its ID.
        called = client.service_principals.list(filter=f'displayName eq "{escaped(name)}"')
        return [it.application_id or "" for it in called]


def _list(client: WorkspaceClient, kind: _Kind, some: str | None) -> Iterator[tuple[str, str]]:
    """Yield names, and for a group which type it is."""
    if kind is _GROUPS:
        for group in client.groups.list(filter=some, attributes="displayName,meta"):
            yield group.display_name or "", (group.meta and group.meta.resource_type) or ""
    elif kind is _USERS:
        for user in client.users.list(filter=some, attributes="userName"):
            yield user.user_name or "", ""
    else:
        for it in client.service_principals.list(filter=some, attributes="applicationId"):
            yield it.application_id or "", ""
