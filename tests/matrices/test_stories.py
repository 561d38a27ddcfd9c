"""The stories, which `make stories` runs, and the docs say the same."""

from __future__ import annotations

import re

from tests import REPOSITORY
from tests.matrices.mlflow_versions import suite

DOCS = REPOSITORY / "docs/mlflow.md"


def test_the_docs_list_the_differences_that_the_stories_mark() -> None:
    listed = re.findall(r"^- `(\w+)`: ", DOCS.read_text(), re.MULTILINE)
    marked = {
        difference
        for story in suite.STORIES.glob("test_*.py")
        for difference in re.findall(r"differs_on_azure\(\s*\"(\w+)\"", story.read_text())
    }

    assert listed == sorted(marked)
