"""The executors: the same questions in a Python worker of each, by a Spark job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from azureml_databricks.checkup import on_executor
from azureml_databricks.checkup.bundle import INIT_SCRIPT
from azureml_databricks.checkup.findings import Finding, Part, cause_and_advice
from azureml_databricks.checkup.round_trip import MLFLOW_VARIABLES, RoundTrip
from azureml_databricks.node import hooks, spark_conf, variables
from azureml_databricks.node.paths import Paths

PART = Part("executors")
_RESTART = "restart the cluster, so that all its nodes start alike"


def findings(trip: RoundTrip) -> Iterator[Finding]:
    """Yield a finding for each executor, each of which logs a metric to the round trip's run."""
    session = spark_conf.session()
    if session is None:
        yield PART.not_tried(
            "all of it",
            "there is no Spark session in this process",
            "run it in a notebook cell: from azureml_databricks import doctor; doctor()",
        )
        return
    answers = _answers(session, trip.run_id)
    kept = trip.metrics() if trip.run_id else set()
    if answers and _is_connect(session) and not any(answer["files"] for answer in answers):
        yield _sandboxed(answers)
        return
    for answer in answers:
        yield _of(answer, trip.run_id, kept)
    known = _known(session)
    if known > len(answers):
        yield PART.note(
            "all of them",
            f"{len(answers)} of {known} answered, the others had no free core",
            "run it again when the cluster is idle",
        )


def _answers(session: Any, run_id: str) -> list[Mapping[str, Any]]:
    """Return what the executors answer, by host; one that was asked twice may have answered twice."""
    from pyspark import cloudpickle

    cores = session.range(2**16).selectExpr("spark_partition_id() AS core").distinct().count()
    tasks = 2 * cores
    address = _wanted("MLFLOW_TRACKING_URI")
    # By value: the executors may not have the module.
    cloudpickle.register_pickle_by_value(on_executor)
    try:
        home = str(Paths.of_this_node().home)
        ask = on_executor.question(address, run_id, home, MLFLOW_VARIABLES)
        rows = session.range(0, tasks, 1, tasks).mapInArrow(ask, "answer string").collect()
    finally:
        cloudpickle.unregister_pickle_by_value(on_executor)
    found = [json.loads(row["answer"]) for row in rows]
    by_id = {(answer["host"], answer["executor"]): answer for answer in found}
    return [by_id[key] for key in sorted(by_id)]


def _is_connect(session: Any) -> bool:
    """Return whether it is a session of standard access mode."""
    return ".connect." in type(session).__module__


def _sandboxed(answers: list[Mapping[str, Any]]) -> Finding:
    """Tell of tasks whose file system has nothing of ours, on any executor: a sandbox cannot be mended."""
    return PART.note(
        "all of them",
        f"no task sees our files, on none of {len(answers)} executors: in standard access mode they may run "
        "in sandboxes. There MLflow is as it would be without us",
        "log on the driver what tasks return (docs/executors.md); if the init script failed on the workers, "
        "their logs say so: /databricks/init_scripts/*.stderr.log",
    )


def _wanted(variable: str) -> str:
    wanted = variables.wanted(variables.settings_now(), {})
    return wanted.overrides[variable][0] if wanted else ""


def _of(answer: Mapping[str, Any], run_id: str, kept: set[str]) -> Finding:
    what = f"executor {answer['executor']} on {answer['host']}"
    here = PurePath(hooks.release_in_use()).name
    if not answer["release"]:
        why = f"its {answer['hooks'][0]} hook found no bundle" if answer["hooks"] else "it ran no hook"
        return PART.wrong(what, f"no bundle is in service there: {why}", f"{INIT_SCRIPT}; then {_RESTART}")
    if answer["failure"]:
        return PART.wrong(what, *cause_and_advice(answer["failure"], "see that node's cluster log"))
    for name, variable in (("tracking", "MLFLOW_TRACKING_URI"), ("registry", "MLFLOW_REGISTRY_URI")):
        wanted = _wanted(variable)
        if wanted.startswith("azureml:") and answer[name] != wanted:
            return PART.wrong(
                what,
                f"its {name} URI is {answer[name]} instead of {wanted}",
                f"take {variable} out of the cluster's variables or its init scripts",
            )
    if run_id and answer["metric"] not in kept:
        return PART.wrong(what, f"the metric {answer['metric']} that it logged is not there", "try again")
    if answer["release"] != here:
        return PART.note(
            what, f"it has another bundle, {answer['release']}, than this process, {here}", _RESTART
        )
    did = f", logged {answer['metric']}" if answer["metric"] else ""
    return PART.ok(what, f"Python {answer['python']}, by {answer['hooks'][0]}{did}")


def _known(session: Any) -> int:
    """Return how many executors Spark has, 0 where it does not tell: Spark Connect."""
    try:
        # The driver counts as one.
        return int(session.sparkContext._jsc.sc().getExecutorMemoryStatus().size()) - 1
    except Exception:  # noqa: BLE001  # what a session without a JVM raises differs
        return 0
