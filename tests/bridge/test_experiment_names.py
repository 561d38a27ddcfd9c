"""Names of experiments that Azure ML does not allow: what it knows them by."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azureml_databricks.bridge import experiment_names

LEGAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}")
NAMES = st.text(st.characters(exclude_characters="/"), min_size=1, max_size=300)


@given(NAMES, NAMES)
def test_names_that_differ_stay_apart_and_are_legal(one: str, other: str) -> None:
    both = experiment_names.legal(one), experiment_names.legal(other)

    assert all(map(LEGAL.fullmatch, both))
    assert (one == other) == (both[0] == both[1])
    assert experiment_names.legal(both[0]) == both[0]


@pytest.mark.parametrize(
    ("name", "begins"),
    [("Kündigung 1", "Kundigung-1-"), ("名前1", "1-"), ("日本語", "experiment-"), ("_hidden", "hidden-")],
)
def test_the_readable_part_comes_first(name: str, begins: str) -> None:
    assert re.fullmatch(re.escape(begins) + "[0-9a-f]{8}", experiment_names.legal(name))


def test_a_legal_name_is_kept_and_of_a_path_the_last_part() -> None:
    assert [*map(experiment_names.legal, ("churn_2-b", "/Users/ada@example.com/churn", "/a/b/"))] == [
        "churn_2-b",
        "churn",
        "b",
    ]
