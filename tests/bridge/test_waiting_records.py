"""Records that wait to be kept: none is lost, whatever stops who keeps them."""

from __future__ import annotations

import pytest

from azureml_databricks.bridge.records import Entry
from azureml_databricks.bridge.waiting_records import WaitingRecords


def test_an_interrupted_cell_loses_no_record() -> None:
    # Given records of three runs, and somebody who stops the cell while those of the second are kept
    kept: list[str] = []
    stops = [KeyboardInterrupt()]

    def keep(run_id: str, entries: list[Entry]) -> None:
        if run_id == "second" and stops:
            raise stops.pop()
        kept.append(run_id)

    waiting = WaitingRecords(keep, lambda *_: False)
    for run_id in ("first", "second", "third"):
        waiting.add(run_id, "models", {})

    with pytest.raises(KeyboardInterrupt):
        waiting.flush("second")
    waiting.flush()

    # Then each is kept, once
    assert sorted(kept) == ["first", "second", "third"]
