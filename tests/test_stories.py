"""The stories hold on the emulated Azure, with a new MLflow; `make features` runs all of them for all."""

from __future__ import annotations

import re
from pathlib import Path

from tests.azure import EmulatedAzure
from tests.mlflow_versions import suite

DOCS = Path(__file__).parents[1] / "docs/mlflow.md"
SLOW = ("test_autologging.py", "test_spark.py")


def test_what_works_with_plain_mlflow_works_with_azure_ml(azure: EmulatedAzure, tmp_path: Path) -> None:
    without = [f"--ignore={suite.STORIES / file}" for file in SLOW]

    done = suite.run("3.12.0", suite.workspace(azure), f"--basetemp={tmp_path / 'run'}", *without)

    assert done.returncode == 0, done.stdout


def test_the_docs_list_the_differences_that_the_stories_mark() -> None:
    listed = re.findall(r"^- `(\w+)`: ", DOCS.read_text(), re.MULTILINE)
    marked = {
        difference
        for story in suite.STORIES.glob("test_*.py")
        for difference in re.findall(r"differs_on_azure\(\s*\"(\w+)\"", story.read_text())
    }

    assert listed == sorted(marked)
