"""Who has which permission on an object.

Not minilake's, which knows no principal from another, nor an object that there is from one that is not.

Source: https://docs.databricks.com/api/azure/workspace/permissions
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from tests.emulated.databricks.callers import Caller, Callers
from tests.emulated.databricks.errors import invalid, not_there

_PRINCIPALS = {
    "user_name": "UserName",
    "group_name": "GroupName",
    "service_principal_name": "ServicePrincipalName",
}

# (field, name) of a principal -> permission.
Entries = dict[tuple[str, str], str]


class PermissionLists:
    """The lists of all objects of a type.

    Args:
        callers: who there is.
        type: in the API's paths, such as `cluster-policies`.
        levels: the permissions, the highest last: that one admins inherit.
    """

    def __init__(self, callers: Callers, type: str, levels: Sequence[str]) -> None:
        self._callers = callers
        self._type = type
        self._levels = levels
        self._lists: dict[str, Entries] = {}

    def of(self, who: Caller, object_id: str) -> set[str]:
        """Return the permissions that somebody or a group of theirs was given."""
        entries = self._lists.get(object_id, {})
        return {level for (_, name), level in entries.items() if name in who.names}

    def give(self, object_id: str, group: str, level: str) -> None:
        """Give a group a permission, as Databricks does when it makes an object."""
        self._lists.setdefault(object_id, {})["group_name", group] = level

    async def answer(self, request: Request, object_id: str, above: Sequence[str] = ()) -> JSONResponse:
        """Answer a request for the list of an object: GET, PUT (replaces it) or PATCH (adds to it).

        What was given on the objects `above` is in it, as inherited.

        Source: https://docs.databricks.com/api/azure/workspace/permissions
        """
        if request.method != "GET":
            sent = (await request.json()).get("access_control_list") or []
            given = dict(self._read(entry) for entry in sent)
            kept = {} if request.method == "PUT" else self._lists.get(object_id, {})
            self._lists[object_id] = {**kept, **given}
        singular = self._type.removesuffix("ies") + "y" if self._type.endswith("ies") else self._type[:-1]
        return JSONResponse(
            {
                "object_id": f"/{self._type}/{object_id}",
                "object_type": singular,
                "access_control_list": [
                    *(
                        _shown({field: name}, level)
                        for (field, name), level in self._lists.get(object_id, {}).items()
                    ),
                    *(
                        _shown({field: name}, level, inherited_from=f"/{self._type}/{each}")
                        for each in above
                        for (field, name), level in self._lists.get(each, {}).items()
                    ),
                    _shown({"group_name": "admins"}, self._levels[-1], inherited_from=f"/{self._type}/"),
                ],
            }
        )

    def _read(self, entry: Mapping[str, str]) -> tuple[tuple[str, str], str]:
        """Refuse a permission that the object does not have, and a principal that does not exist.

        Source: https://docs.databricks.com/api/azure/workspace/permissions/set; the words are assumed
        """
        level = entry.get("permission_level", "")
        if level not in self._levels:
            raise invalid(f"Permission level {level} is none of {', '.join(self._levels)}")
        for field, kind in _PRINCIPALS.items():
            if name := entry.get(field):
                if not self._callers.knows(name):
                    raise not_there(f"Principal: {kind}({name}) does not exist")
                return (field, name), level
        raise invalid("An entry of the access control list needs a principal")


def _shown(principal: Mapping[str, str], level: str, inherited_from: str = "") -> dict[str, Any]:
    permission: dict[str, Any] = {"permission_level": level, "inherited": bool(inherited_from)}
    if inherited_from:
        permission["inherited_from_object"] = [inherited_from]
    return {**principal, "all_permissions": [permission]}
