"""What a driver tells the tasks that it starts: in which experiment it logs.

The session's conf carries it, since Spark SQL hands that to each task, with Spark Connect too. Tasks of RDDs
have it from the thread that starts them.
"""

from __future__ import annotations

from contextlib import suppress

from azureml_databricks.node import spark_conf
from azureml_databricks.settings import SPARK_PREFIX

_told: dict[str, str] = {}


def tell(name: str, text: str) -> None:
    """Tell the tasks that start from now on, if this process has a Spark session.

    Args:
        name: `spark_conf.DRIVERS_EXPERIMENT` or `DRIVERS_EXPERIMENT_ID`.
        text: the experiment's name or id.
    """
    session = spark_conf.session()
    if session is None or spark_conf.in_task() or _told.get(name) == text:
        return
    _told[name] = text
    # A runtime may forbid it: tasks then log where their own settings say.
    with suppress(Exception):
        session.conf.set(SPARK_PREFIX + name, text)
        if hasattr(session, "_sc"):
            session._sc.setLocalProperty(SPARK_PREFIX + name, text)
