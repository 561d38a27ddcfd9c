"""Whatever is in the record or in a policy's definition: it is taken as it is meant, or refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.objects import definition, record

LOCATION = "/Volumes/main/default/azureml"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
THINGS = st.fixed_dictionaries(
    {"kind": st.sampled_from(sorted(record._FORMS)) | JSON, "name": st.text(max_size=12) | JSON},
    optional={"id": JSON, "files": JSON},
)
RULES = st.fixed_dictionaries(
    {"type": st.sampled_from(["fixed", "allowlist", "regex", "unlimited", "forbidden"]) | JSON},
    optional={"value": JSON, "values": JSON, "pattern": JSON, "hidden": JSON},
)
DEFINITIONS = st.dictionaries(st.sampled_from(["spark_version", "data_security_mode", "x"]), RULES)
OURS = st.dictionaries(
    st.sampled_from(["spark_version", "data_security_mode", "x"]),
    st.text(max_size=5).map(lambda value: {"type": "fixed", "value": value}),
)
many = settings(max_examples=200)


def told(what: Callable[[], object]) -> str:
    """Return why something is refused, empty where it is not."""
    try:
        what()
    except AdminError as error:
        return str(error)
    return ""


@many
@given(st.binary(max_size=40) | JSON.map(json.dumps).map(str.encode))
def test_a_record_of_any_bytes_is_read_or_refused(content: bytes) -> None:
    refused = told(lambda: record._parsed(content, LOCATION))

    assert not refused or refused.startswith(f"{LOCATION}/{record.FILE} ")


@many
@given(st.lists(THINGS, max_size=3))
def test_what_a_record_may_name_lies_in_the_location(things: list[dict[str, Any]]) -> None:
    content = json.dumps({"format": 1, "made": things}).encode()

    if refused := told(lambda: record._parsed(content, LOCATION)):
        assert "\n" not in refused
        return
    made, _, _ = record._parsed(content, LOCATION)
    for (kind, name), details in made.items():
        assert ".." not in name.split("/") or kind in ("policy", "secret", "right")
        assert not kind.startswith("allowlist") or name.startswith(f"{LOCATION}/")
        assert all("/" not in file for file in details.get("files", {}))


@many
@given(DEFINITIONS, OURS)
@example({"x": {"type": "regex", "pattern": "("}}, {"x": {"type": "fixed", "value": "a"}})
@example({"x": {"type": "regex", "pattern": None}}, {"x": {"type": "fixed", "value": "a"}})
@example({"x": {"type": "allowlist", "values": None}}, {"x": {"type": "fixed", "value": "a"}})
def test_nothing_of_theirs_is_lost_where_ours_is_laid_on_top(
    theirs: dict[str, Any], ours: dict[str, Any]
) -> None:
    if refused := told(lambda: definition.composed(theirs, ours, "theirs.json")):
        assert refused.startswith("theirs.json ")
        assert any(theirs[path] != ours[path] for path in theirs.keys() & ours.keys())
        return
    whole = definition.composed(theirs, ours, "theirs.json")
    assert whole.keys() == theirs.keys() | ours.keys()
    assert all(whole[path] == ours.get(path, theirs.get(path)) for path in whole)
