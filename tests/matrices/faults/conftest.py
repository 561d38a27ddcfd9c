"""What becomes of each fault goes into pytest's report, which `make faults` counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.matrices.faults.table import Became, Outcome


@pytest.fixture
def became(record_property: Callable[[str, object], None]) -> Became:
    """Notes what became of a fault that the test has tried."""

    def note(outcome: Outcome) -> None:
        record_property("became", outcome)

    return note
