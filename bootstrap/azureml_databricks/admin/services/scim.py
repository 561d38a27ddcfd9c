"""Filters of the SCIM API, by which the workspace tells of users, groups and service principals.

https://docs.databricks.com/api/azure/workspace/users/list
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

# Of how many names one request asks: what a filter may be long is written nowhere.
_NAMES_A_REQUEST = 20


def filters(key: str, names: Iterable[str]) -> Iterator[str]:
    """Yield filters for those whose `key` is one of some names; each is for a request of its own."""
    terms = [f'{key} eq "{escaped(name)}"' for name in names]
    for begin in range(0, len(terms), _NAMES_A_REQUEST):
        yield " or ".join(terms[begin : begin + _NAMES_A_REQUEST])


def escaped(name: str) -> str:
    """Return a name as it stands between the quotation marks of a filter."""
    return name.replace("\\", "\\\\").replace('"', '\\"')
