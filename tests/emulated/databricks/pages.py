"""Lists by the page: as many as are asked for, up to the most that there may be, and a token for the next.

Source: https://docs.databricks.com/api/azure/workspace/clusters/list
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.datastructures import QueryParams

from tests.emulated.databricks.errors import invalid


def page(
    found: Sequence[Any],
    asked: QueryParams,
    *,
    key: str,
    size: str = "page_size",
    usual: int = 20,
    most: int = 100,
) -> dict[str, Any]:
    """Return one page as a list answers it; the key is left out where there is nothing.

    Args:
        found: all that there is.
        asked: what the request says.
        key: what the answer calls them.
        size: what the request calls how many it wants.
        usual: how many there are, where it does not say.
        most: how many there are at most, whatever it says.

    Raises:
        ApiError: the size or the token is none.
    """
    try:
        start, wanted = int(asked.get("page_token") or 0), int(asked.get(size, usual))
    except ValueError:
        raise invalid(f"Invalid {size} or page_token.") from None
    if wanted < 1:
        raise invalid(f"{size} must be positive.")
    end = start + min(wanted, most)
    listed = list(found[start:end])
    more = {"next_page_token": str(end)} if end < len(found) else {}
    return {**({key: listed} if listed else {}), **more}
