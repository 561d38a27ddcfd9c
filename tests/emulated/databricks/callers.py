"""Who calls the workspace's API: tokens, and the rights that a call needs.

Source: https://learn.microsoft.com/azure/databricks/dev-tools/auth/pat
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.emulated.databricks.errors import ApiError, denied

Right = Literal[
    "admin of the workspace",
    "admin of the metastore",
    "manage allowlist",
    "create credentials",
]
ALL_RIGHTS: frozenset[Right] = frozenset(get_args(Right))


@dataclass(frozen=True)
class Caller:
    """Somebody with a token.

    What an admin may do follows from ``rights``; what anybody else may do, from what they were
    granted: on a policy, a volume, a secret scope.
    """

    user_name: str
    rights: frozenset[Right] = frozenset()
    groups: tuple[str, ...] = ("users",)
    token: str = field(default_factory=lambda: f"dapi{secrets.token_hex(16)}", repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """All principals whose rights are theirs."""
        return (self.user_name, *self.groups, "account users")


@dataclass(frozen=True)
class Guarded:
    """Calls that need a right, and how they are refused: ``{user}`` is who asked."""

    right: Right
    method: str
    path: str
    refusal: str


# The allowlist's refusal is worded as Unity Catalog words what was reported of other privileges
# ("User does not have MANAGE on Catalog 'system'"); the others' words nobody reports, and are ours.
_METASTORE = "User does not have {privilege} on Metastore 'metastore'."
GUARDED = (
    Guarded(
        "admin of the workspace",
        "POST",
        r"/api/2\.0/policies/clusters/(create|edit|delete)",
        "{user} is not authorized to change cluster policies. Only workspace admins are.",
    ),
    Guarded(
        "admin of the workspace",
        "PUT|PATCH",
        r"/api/2\.0/permissions/cluster-policies/\w+",
        "{user} does not have permission to change the permissions of cluster policies.",
    ),
    Guarded(
        "admin of the workspace",
        "GET|POST",
        r"/api/2\.0/policies/(clusters|jobs)/(list|get|enforce)-compliance",
        "{user} is not authorized to see or enforce policy compliance.",
    ),
    Guarded(
        "manage allowlist",
        "GET|PUT",
        r"/api/2\.1/unity-catalog/artifact-allowlists/\w+",
        _METASTORE.format(privilege="MANAGE ALLOWLIST"),
    ),
    Guarded(
        "create credentials",
        "POST",
        r"/api/2\.1/unity-catalog/credentials",
        _METASTORE.format(privilege="CREATE SERVICE CREDENTIAL"),
    ),
)
"""Calls for which an admin needs:

Source: https://learn.microsoft.com/azure/databricks/admin/clusters/policies,
https://learn.microsoft.com/azure/databricks/data-governance/unity-catalog/manage-privileges/privileges;
the words of the refusals are assumed
"""


class Callers:
    """All who have a token, and the groups that there are.

    Attributes:
        groups: all, by name.
        local_groups: those of the workspace, which the account and Unity Catalog do not know.
    """

    def __init__(self) -> None:
        self.groups = {"users", "admins", "account users"}
        self.local_groups = {"users", "admins"}
        self._by_token: dict[str, Caller] = {}

    def add(self, caller: Caller) -> Caller:
        self._by_token[caller.token] = caller
        self.groups.update(caller.groups)
        return caller

    def all(self) -> list[Caller]:
        """Return all who have a token."""
        return list(self._by_token.values())

    def named(self, principal: str) -> Caller:
        """Return a user or service principal, or a group as somebody who is nobody but its member.

        A cluster that is assigned to a group runs with the group's rights, and nobody's own.

        Source: https://learn.microsoft.com/azure/databricks/compute/group-access
        """
        for who in self.all():
            if who.user_name == principal:
                return who
        return self.add(Caller(principal, frozenset(), ("users", principal)))

    def knows(self, principal: str) -> bool:
        """Whether there is such a user, service principal or group."""
        return principal in self.groups or any(c.user_name == principal for c in self._by_token.values())

    def of(self, authorization: str) -> Caller:
        """Return whose request this is, by its header.

        Raises:
            ApiError: 401 without a token, 403 with a wrong one.

        Source: facts: seen, the 401 in https://github.com/PipedreamHQ/pipedream/issues/20701;
        the words of the 403 are assumed
        """
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer" or not token:
            message = "Credential was not sent or was of an unsupported type for this API."
            raise ApiError(401, "401", message)
        if token not in self._by_token:
            raise ApiError(403, "403", "Invalid access token.")
        return self._by_token[token]


@dataclass(frozen=True)
class Authenticated:
    """Lets those through to ``app`` who have a token and the right that the call needs."""

    app: ASGIApp
    callers: Callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            who = self.callers.of(request.headers.get("authorization", ""))
            _check(who, request)
        except ApiError as error:
            await error.answer()(scope, receive, send)
            return
        scope["state"]["caller"] = who
        await self.app(scope, receive, send)


def caller(request: Request) -> Caller:
    """Return who sent a request."""
    who = request.state.caller
    assert isinstance(who, Caller)
    return who


def without(rights: Iterable[Right]) -> frozenset[Right]:
    """Return an admin's rights but these."""
    return ALL_RIGHTS - frozenset(rights)


def _check(who: Caller, request: Request) -> None:
    for guarded in GUARDED:
        asked = re.fullmatch(guarded.method, request.method) and re.fullmatch(guarded.path, request.url.path)
        if asked and guarded.right not in who.rights:
            raise denied(guarded.refusal.format(user=who.user_name))
