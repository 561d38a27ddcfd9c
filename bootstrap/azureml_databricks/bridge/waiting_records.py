"""Records that wait for others, to be kept together: a training loop makes thousands."""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import deepcopy
from threading import Event, Lock, RLock

from azureml_databricks.bridge.background import Background
from azureml_databricks.bridge.records import Entry, Record

# How long the first of a batch waits for others, and how many are enough.
_SECONDS = 2.0
_MANY = 1000


class WaitingRecords:
    """Keeps records of runs, soon: at the latest when somebody reads, or as the program ends.

    Args:
        keep: keeps records of a run, by its id.
        join: adds what a record tells to an earlier one of the same folder, if it can.
    """

    def __init__(
        self, keep: Callable[[str, list[Entry]], None], join: Callable[[Record, Record], bool]
    ) -> None:
        """Have none."""
        self._keep = keep
        self._join = join
        self._background = Background()
        self._lock = Lock()
        # Who has to wait until all is kept waits for others that keep some of it, too.
        self._keeping = RLock()
        self._waiting: dict[str, list[Entry]] = {}
        self._last: dict[tuple[str, str], Record] = {}
        self._count = 0
        self._is_under_way = False
        self._hurry = Event()
        self._is_ending = False
        try:
            threading._register_atexit(self._end)  # type: ignore[attr-defined]  # before thread pools are waited for
        except RuntimeError:  # it is over already
            self._end()

    def add(self, run_id: str, folder: str, record: Record) -> None:
        """Keep a record, with those that come within seconds."""
        with self._lock:
            earlier = self._last.get((run_id, folder))
            if not (earlier and self._join(earlier, record)):
                self._waiting.setdefault(run_id, []).append(Entry(folder, record))
                self._last[run_id, folder] = record
            self._count += 1
            if self._count >= _MANY:
                self._hurry.set()
            begins, self._is_under_way = not self._is_under_way, True
        if begins:
            self._background.begin("what was logged of models and data sets", self._keep_soon)

    def of(self, run_id: str) -> list[Entry]:
        """Return those of a run, when those are kept that are on their way."""
        with self._keeping, self._lock:
            return deepcopy(self._waiting.get(run_id, []))

    def flush(self, run_id: str = "") -> None:
        """Wait until all are kept, or those of one run.

        Raises:
            MlflowException: Azure refuses; they stay to be kept by the next call.
        """
        if run_id:
            self._keep_waiting(run_id)
            return
        with self._lock:
            if self._is_under_way:
                self._hurry.set()
        self._background.wait()
        self._keep_waiting()

    def _keep_soon(self) -> None:
        self._hurry.wait(_SECONDS)
        with self._lock:
            self._is_under_way = False
            if not self._is_ending:
                self._hurry.clear()
        self._keep_waiting()

    def _keep_waiting(self, run_id: str = "") -> None:
        with self._keeping:
            waiting = self._taken(run_id)
            refusals = []
            try:
                for each in list(waiting):
                    refusal = self._refusal(each, waiting[each])
                    if refusal:
                        refusals.append(refusal)
                    # What is of a run that is gone is told, and waits no longer.
                    if not refusal or getattr(refusal, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                        del waiting[each]
            finally:  # somebody may stop a notebook's cell here
                self._wait_on(waiting)
            if refusals:
                raise refusals[0]

    def _refusal(self, run_id: str, entries: list[Entry]) -> Exception | None:
        """Keep records of a run; return why not."""
        try:
            self._keep(run_id, entries)
        except Exception as error:  # noqa: BLE001  # other runs' are kept all the same
            return error
        return None

    def _wait_on(self, waiting: dict[str, list[Entry]]) -> None:
        """Have what was not kept wait for the next call."""
        with self._lock:
            for run_id, entries in waiting.items():
                self._waiting[run_id] = entries + self._waiting.get(run_id, [])

    def _taken(self, run_id: str) -> dict[str, list[Entry]]:
        with self._lock:
            taken = {each: self._waiting.pop(each) for each in list(self._waiting) if run_id in ("", each)}
            self._last = {place: record for place, record in self._last.items() if place[0] not in taken}
            if not self._waiting:
                self._count = 0
            return taken

    def _end(self) -> None:
        self._is_ending = True
        self._hurry.set()
