"""Pages of any size, put together of pages as large as the service gives."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from mlflow.store.entities.paged_list import PagedList
from mlflow.utils.search_utils import SearchUtils

from azureml_databricks.bridge import limits

_Item = TypeVar("_Item")

# How many searches are held at once: a list of runs may be large.
_MOST_BEGUN = 4


def in_pages(
    search: Callable[[int | None, str | None], PagedList[_Item]],
    max_results: int | None,
    token: str | None,
    largest: int = limits.SEARCH_PAGE,
) -> PagedList[_Item]:
    """Return a page of `max_results`, put together of pages as large as the service gives.

    Args:
        search: takes a page's size and token.
        max_results: what was asked for; None for what the service thinks right.
        token: where to begin, None for the beginning.
        largest: the most that the service gives at once.
    """
    if max_results is None:
        return search(None, token)
    found: list[_Item] = []
    while True:
        page = search(min(largest, max_results - len(found)), token)
        found += page
        token = page.token or None
        if not token or len(found) >= max_results:
            return PagedList(found, token)


class Begun(Generic[_Item]):
    """What searches have come to of which a page was given out: the next page would do all of it again.

    Pages of a search that another process has begun are of a search that begins anew.
    """

    def __init__(self) -> None:
        """Hold none."""
        self._begun: dict[Hashable, _Item] = {}

    def take(self, search: Hashable) -> _Item | None:
        """Return what a search has come to, and hold it no more; None if that is not known here."""
        return self._begun.pop(search, None)

    def keep(self, search: Hashable, come_to: _Item) -> None:
        """Hold what a search has come to, for its next page."""
        while len(self._begun) >= _MOST_BEGUN:
            self._begun.pop(next(iter(self._begun)), None)
        self._begun[search] = come_to


def in_pages_of_all(
    begun: Begun[list[_Item]],
    search: Hashable,
    find_all: Callable[[], list[_Item]],
    max_results: int,
    token: str | None,
) -> PagedList[_Item]:
    """Return a page of what is found at once, and the token of the next.

    Args:
        begun: holds it for the pages that follow.
        search: by what it is known there.
        find_all: finds it.
        max_results: the page's size.
        token: where to begin, None for the beginning.

    Raises:
        MlflowException: the token is none.
    """
    found = begun.take(search) if token else None
    if found is None:
        found = find_all()
    page: PagedList[_Item] = PagedList(*SearchUtils.paginate(found, token, max_results))
    if page.token:
        begun.keep(search, found)
    return page
