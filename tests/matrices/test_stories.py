"""The stories, which `make stories` runs, the calls, which `make parity` makes, and the docs say the same."""

from __future__ import annotations

import re

from tests import REPOSITORY
from tests.matrices.mlflow_versions import suite

DOCS = REPOSITORY / "docs/mlflow.md"


CALLS = REPOSITORY / "tests/matrices/parity/calls"


def test_the_docs_list_the_differences_that_stories_and_calls_mark() -> None:
    listed = re.findall(r"^- `(\w+)`: ", DOCS.read_text(), re.MULTILINE)
    marked = {
        difference
        for story in suite.STORIES.glob("test_*.py")
        for difference in re.findall(r"differs_on_azure\(\s*\"(\w+)\"", story.read_text())
    }

    for program in CALLS.glob("*.py"):
        marked.update(re.findall(r"# differs(?: in 2)?: (\w+)", program.read_text()))

    assert listed == sorted(marked)
