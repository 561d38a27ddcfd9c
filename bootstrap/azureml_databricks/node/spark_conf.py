"""What the Spark conf says of us: `spark.azureml.NAME`, and `spark.azureml.env.NAME` for further variables.

It is known for certain where a session is: in a notebook, before the first cell. A task on an executor has it
among its local properties, since Spark SQL sends the session's conf along. Before that, the cluster's may
lie in one of a few files, none of which is promised (`conf_files.spark_confs`).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from azureml_databricks.node import conf_files
from azureml_databricks.settings import BY_NAME, SPARK_PREFIX, SettingError, Value, check_name

# A line of Java's properties (`key value`, `key=value`), or of HOCON (`"key" = "value"`).
_LINE = re.compile(
    rf'^[ \t]*"?({re.escape(SPARK_PREFIX)}[\w.]+)"?[ \t]*[ \t:=][ \t]*(.+?)[ \t]*$', re.MULTILINE
)
_HOCON = re.compile(r'^"(.*)",?$')
_OF_SESSION = "in the Spark conf"
# Not settings: what a driver tells its tasks.
DRIVERS_EXPERIMENT = "driver.experiment"
DRIVERS_EXPERIMENT_ID = "driver.experimentId"
_TOLD_TO_TASKS = (DRIVERS_EXPERIMENT, DRIVERS_EXPERIMENT_ID)

_read_before: tuple[Any, dict[str, Value]] = (None, {})


def settings() -> dict[str, Value]:
    """Return what it says now, by setting name or `env.NAME`, without names that are nobody's."""
    return {name: value for name, value in _entries().items() if not _complaint(name, value)}


def complaints() -> list[str]:
    """Return a line for each key that is nobody's."""
    return [line for name, value in _entries().items() if (line := _complaint(name, value))]


def told_by_driver(name: str) -> str:
    """Return what the driver tells this task, empty for nothing.

    Args:
        name: `DRIVERS_EXPERIMENT` or `DRIVERS_EXPERIMENT_ID`.
    """
    return _of_task().get(SPARK_PREFIX + name, "")


def in_task() -> bool:
    """Return whether this process runs a task of Spark's at the moment."""
    return _task_context() is not None


def _entries() -> dict[str, Value]:
    return {**_on_disk(), **_of_session(), **_named(_of_task(), _OF_SESSION)}


@cache
def _complaint(name: str, value: Value) -> str:
    try:
        check_name(name, value.origin, SPARK_PREFIX)
    except SettingError as wrong:
        return str(wrong)
    return ""


def _named(conf: Mapping[str, str], origin: str) -> dict[str, Value]:
    found = ((key.removeprefix(SPARK_PREFIX), key, text) for key, text in conf.items())
    return {
        name: Value(text, key, origin)
        for name, key, text in found
        if name != key and text and name not in _TOLD_TO_TASKS
    }


@cache
def _on_disk() -> dict[str, Value]:
    """Return what the files say; where two say something, the first does."""
    found: dict[str, Value] = {}
    for name, content in reversed(conf_files.spark_confs()):
        found |= _named(dict(_lines(content.decode(errors="replace"))), f"in {os.fsdecode(name)}")
    return found


def _lines(content: str) -> Iterator[tuple[str, str]]:
    for key, text in _LINE.findall(content):
        quoted = _HOCON.match(text)
        yield key, quoted[1] if quoted else re.sub(r"\\(.)", r"\1", text)


def _task_context() -> Any:
    module: Any = sys.modules.get("pyspark.taskcontext")
    return module.TaskContext.get() if module else None


def _of_task() -> dict[str, str]:
    properties = getattr(_task_context(), "_localProperties", None) or {}
    return {key: text for key, text in properties.items() if key.startswith(SPARK_PREFIX)}


def _of_session() -> dict[str, Value]:
    """Return what the session says; asked once, since a cluster's conf does not change."""
    global _read_before
    found = session()
    if found is not _read_before[0]:
        # First: asking it may lead back here.
        _read_before = (found, {})
        _read_before = (found, _named(_conf(found), _OF_SESSION) if found else {})
    return _read_before[1]


def session() -> Any:
    """Return this process's Spark session, classic or Spark Connect's, None where there is none yet."""
    classic: Any = sys.modules.get("pyspark.sql.session")
    if classic and classic.SparkSession._instantiatedSession:
        return classic.SparkSession._instantiatedSession
    connect: Any = sys.modules.get("pyspark.sql.connect.session")
    if connect:
        sessions = connect.SparkSession
        found = getattr(sessions._active_session, "session", None) or sessions._default_session
        if found:
            return found
    return _of_notebook()


def _of_notebook() -> Any:
    """Return what Databricks names `spark` in a notebook."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    named = shell.user_ns.get("spark") if shell else None
    return named if type(named).__module__.startswith("pyspark.sql.") else None


def _conf(found: Any) -> Mapping[str, str]:
    try:
        return _whole_conf(found)
    except Exception:  # noqa: BLE001  # a runtime may forbid what Spark allows
        return _conf_by_key(found)


def _whole_conf(found: Any) -> Mapping[str, str]:
    if hasattr(type(found.conf), "getAll"):  # Spark 4
        return dict(found.conf.getAll)
    if hasattr(found, "_jsparkSession"):
        converters = found._jvm.scala.collection.JavaConverters
        return dict(converters.mapAsJavaMap(found._jsparkSession.conf().getAll()))
    proto: Any = import_module("pyspark.sql.connect.proto")
    asked = proto.ConfigRequest.Operation(get_all=proto.ConfigRequest.GetAll())
    return dict(found.conf._client.config(asked).pairs)


def _conf_by_key(found: Any) -> Mapping[str, str]:
    keys = [SPARK_PREFIX + name for name in BY_NAME]
    try:
        return {key: text for key in keys if (text := found.conf.get(key, ""))}
    except Exception:  # noqa: BLE001  # a session that has ended
        return {}
