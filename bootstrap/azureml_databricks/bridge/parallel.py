"""What waits for many answers asks for them at once, also when the interpreter is ending."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_AT_ONCE = 32
# Of one large file; each holds a block of it in memory.
_AT_ONCE_OF_ONE = 8


def in_parallel(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Return what `work` makes of each item, in order.

    Raises:
        Exception: what `work` raises first, in the order of the items; what has not begun by then never does.
    """
    items = list(items)
    if len(items) == 1:
        return [work(items[0])]
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        begun = [begin(pool, partial(work, item)) for item in items]
        try:
            return [each.result() for each in begun]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def threads_for_each(items: int) -> int:
    """Return how many threads each of so many items may have for its parts: few items more than many."""
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(int)
    except RuntimeError:  # Python is ending
        return 1
    return max(1, _AT_ONCE_OF_ONE // max(1, items))


def begin(pool: ThreadPoolExecutor, work: Callable[[], _Result]) -> Future[_Result]:
    """Have the pool do `work`, or do it here and now where it cannot.

    Python starts no threads once its main thread has ended: what `atexit` runs then, MLflow's end of a run
    among it, does its own work.
    """
    future: Future[_Result] = Future()
    unclaimed = Lock()

    def once() -> None:
        if unclaimed.acquire(blocking=False):
            settle(future, work)

    try:
        pool.submit(once)
    except RuntimeError:
        # From Python 3.12 on the pool has taken it nevertheless, and a thread of it may come.
        once()
    return future


def settle(future: Future[_Result], work: Callable[[], _Result]) -> None:
    """Give a future what `work` returns or raises."""
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001  # it is raised where the result is asked for
        future.set_exception(error)
    else:
        future.set_result(result)
