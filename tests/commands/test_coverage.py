"""What tests/emulated/COVERAGE.md says is what the emulators' code says, and all of it has a source."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.coverage import page, sources
from tests.commands.coverage.sources import Text


def test_the_page_is_what_the_command_would_write() -> None:
    written = page.PAGE.read_text()

    assert written == page.text(), "run `python -m tests.commands.coverage`, and look at what it changes"


def test_every_endpoint_rule_and_runtime_names_its_source() -> None:
    assert page.missing() == []


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("At most 100.\n\n    Source: https://a.example\n    ", Text("At most 100.", "https://a.example")),
        ("At most\n100.\n\nMore.\n\nSource: a,\nb", Text("At most 100.", "a, b")),
        ("Only this.", Text("Only this.")),
        ("Source: a", Text("", "a")),
        (None, Text()),
    ],
)
def test_a_docstring_ends_with_its_source(docstring: str | None, expected: Text) -> None:
    assert Text.of(docstring) == expected


def test_a_rule_and_a_module_that_refuses_without_a_source_are_found(tmp_path: Path) -> None:
    module = tmp_path / "limits.py"
    module.write_text(
        "from tests.emulated.azure.errors import mlflow_error\n"
        "def _sourced(fields):\n    '''Small.\n\n    Source: assumed: strictest reading\n    '''\n"
        "RULES = {'runs/create': (_sourced, _said(registry._unsourced))}\n"
    )

    found = list(sources.missing(sources.modules(tmp_path)))

    assert len(found) == 2
    assert found[0].startswith(f"{module}: it refuses requests")
    assert found[1].startswith(f"{module}: _unsourced stands in RULES")


def test_a_constants_docstring_is_the_string_that_follows_it(tmp_path: Path) -> None:
    module = tmp_path / "boot.py"
    module.write_text("_SET = {'A': 1, 'B': 2}\n'''Variables.\n\nSource: a page\n'''\n")

    (found,) = sources.modules(tmp_path)[0].sourced()

    assert (found.name, found.holds, found.text) == ("_SET", ("A", "B"), Text("Variables.", "a page"))
