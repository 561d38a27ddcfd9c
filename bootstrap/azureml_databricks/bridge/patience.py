"""Whoever waits for an answer gives up in time, whatever it waits for: the look-up of a name has no limit."""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
from contextvars import copy_context
from threading import Thread
from typing import TypeVar

from azureml_databricks.bridge.parallel import settle

_Result = TypeVar("_Result")


def in_time(seconds: float, work: Callable[[], _Result]) -> _Result:
    """Return what `work` returns, or raise what it raises.

    Raises:
        TimeoutError: that takes longer; what comes of it is for nobody any more.
    """
    future: futures.Future[_Result] = futures.Future()
    thread = Thread(target=copy_context().run, args=(settle, future, work), daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter is ending, and begins no thread
        return work()
    try:
        return future.result(seconds)
    except futures.TimeoutError:  # from Python 3.11 on it is the plain one
        raise TimeoutError(f"no answer within {seconds:.0f} seconds") from None
