"""What to do when this process's Spark session is there, and with it the Spark conf."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from azureml_databricks.node import children, spark_conf, variables
from azureml_databricks.node.apply import apply
from azureml_databricks.settings import Value

_RELEASE = str(Path(__file__).parents[2])


# Of a task's process: the Spark conf that its variables are by, and each of them as it was and as we made it.
_counted: dict[str, Value] = {}
_changed: dict[str, tuple[str | None, str]] = {}


def complete() -> None:
    """Give this process the variables that follow from all that is known by now; harmless to repeat.

    A worker of Spark's may have run another session's task before: what it had by that is taken back first.
    """
    if spark_conf.in_task():
        _take_back_of_another_session()
    wanted = variables.wanted_now()
    if wanted:
        before = dict(os.environ)
        apply(_RELEASE, wanted.encoded())
        _remember(before, [*wanted.exports, *wanted.overrides, *wanted.given])
        _hand_on(variables.given(variables.settings_now()))


def _remember(before: dict[str, str], names: list[str]) -> None:
    for name in names:
        now = os.environ.get(name)
        if now is not None and now != before.get(name):
            was, _ = _changed.get(name, (before.get(name), ""))
            _changed[name] = was, now


def _take_back_of_another_session() -> None:
    global _counted
    now = spark_conf.settings()
    if now == _counted:
        return
    _counted = now
    for name, (was, ours) in _changed.items():
        if os.environ.get(name) != ours:
            continue  # the task's own code has set it since
        if was is None:
            del os.environ[name]
        else:
            os.environ[name] = was
    _changed.clear()
    variables.forget_given()


def _hand_on(given: dict[str, str]) -> None:
    """Let the Python workers on executors start with what the Spark conf gives.

    Spark Connect has no such way; there a task finds it in its local properties.
    """
    module: Any = sys.modules.get("pyspark.context")
    context = module.SparkContext._active_spark_context if module else None
    if context:
        context.environment.update(given)


def watch_notebook() -> None:
    """Complete this notebook's variables before the first cell, and before the first that finds a session."""
    shell: Any = sys.modules["IPython"].get_ipython()

    def before_first_cell(*_: object) -> None:
        shell.events.unregister("pre_run_cell", before_first_cell)
        # `%sh python` may be the only one that uses MLflow.
        with suppress(Exception):
            children.tell_place()

    def before_cell(*_: object) -> None:
        if spark_conf.session() is not None:
            shell.events.unregister("pre_run_cell", before_cell)
            # ML runtimes have imported MLflow by now, and with it what else there is to do.
            late_session: Any = sys.modules.get("azureml_databricks.bridge.late_session")
            # What goes wrong is told by MLflow's first use.
            with suppress(Exception):
                late_session.complete() if late_session else complete()

    shell.events.register("pre_run_cell", before_first_cell)
    shell.events.register("pre_run_cell", before_cell)
