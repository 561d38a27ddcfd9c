"""What waits for many answers asks for them at once, also when the interpreter is ending."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_AT_ONCE = 8


def in_parallel(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Return what `work` makes of each item, in order.

    Python starts no threads once its main thread has ended: what `atexit` runs then, MLflow's end of a run
    among it, has the work done one by one.

    Raises:
        Exception: what `work` raises first, in the order of the items; what has not begun by then never does.
    """
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        begun = [_begun(pool, work, item) for item in items]
        try:
            return [result() for result in begun]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begun(pool: ThreadPoolExecutor, work: Callable[[_Item], _Result], item: _Item) -> Callable[[], _Result]:
    try:
        return pool.submit(work, item).result
    except RuntimeError:
        return partial(work, item)
