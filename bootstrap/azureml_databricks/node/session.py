"""What to do when this process's Spark session is there, and with it the Spark conf."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from azureml_databricks.node import children, spark_conf, variables
from azureml_databricks.node.apply import apply

_RELEASE = str(Path(__file__).parents[2])


def complete() -> None:
    """Give this process the variables that follow from all that is known by now; harmless to repeat."""
    wanted = variables.wanted_now()
    if wanted:
        apply(_RELEASE, wanted)
        _hand_on(variables.given(variables.settings_now()))


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
