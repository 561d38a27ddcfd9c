"""Pages of any size, put together of pages as large as the service gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mlflow.store.entities.paged_list import PagedList

from azureml_databricks.bridge import limits

_Item = TypeVar("_Item")


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
