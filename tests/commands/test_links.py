"""Links from one page to another lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import REPOSITORY

PAGES = [page for place in ("*.md", "docs/*.md", "tests/**/*.md") for page in sorted(REPOSITORY.glob(place))]
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_what_a_page_links_to_is_there(page: Path) -> None:
    for path, heading in _LINK.findall(page.read_text()):
        target = page.parent / path if path else page

        assert target.exists(), path
        assert not heading or heading in headings(target), f"{path}#{heading}"


def headings(page: Path) -> set[str]:
    """Return the headings of a page as GitHub names them in links."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    shown = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in shown}
