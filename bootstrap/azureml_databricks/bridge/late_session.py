"""A Spark session may appear after MLflow was imported, and each task on an executor has one of its own.

MLflow has no extension point that is asked for its URIs. It reads them from two objects that stand for
variables: what those read is completed first.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import Any

from mlflow.environment_variables import MLFLOW_REGISTRY_URI, MLFLOW_TRACKING_URI

from azureml_databricks.bridge import experiment, workers
from azureml_databricks.node import children, session, spark_conf, variables
from azureml_databricks.settings import Value

_logger = logging.getLogger("mlflow.azureml_databricks")
_completed: dict[str, Value] | None = None
_told: set[str] = set()


def keep_up() -> None:
    """Have the Spark conf counted whenever MLflow reads one of its URIs."""
    both: tuple[Any, ...] = (MLFLOW_TRACKING_URI, MLFLOW_REGISTRY_URI)
    for variable in both:
        variable.get_raw = partial(_read, variable)


def complete() -> None:
    """Count the Spark conf of now, and tell of keys in it that are nobody's."""
    global _completed
    _completed = spark_conf.settings()
    session.complete()
    if variables.settings_now().asked:
        # Its id follows when a run needs it.
        workers.tell(spark_conf.DRIVERS_EXPERIMENT, experiment.default_name())
        with suppress(Exception):  # no Databricks
            children.tell_place()
    for complaint in spark_conf.complaints():
        if complaint not in _told:
            _told.add(complaint)
            _logger.warning("%s", complaint)


def _read(variable: Any) -> Any:
    try:
        if spark_conf.settings() != _completed:
            complete()
    except Exception as error:  # noqa: BLE001  # MLflow must not fail because of us
        _logger.debug("the Spark conf could not be counted: %r", error)
    return type(variable).get_raw(variable)
