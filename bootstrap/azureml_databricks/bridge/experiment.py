"""Which experiment runs go to."""

from __future__ import annotations

import logging
import sys
from types import FrameType

import mlflow
from mlflow.entities import Experiment, LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.tracking.default_experiment.abstract_context import DefaultExperimentProvider

from azureml_databricks.bridge import experiment_names, provenance, workers
from azureml_databricks.node import children, spark_conf, variables

_logger = logging.getLogger("mlflow.azureml_databricks")

_ELSEWHERE = "databricks"
_SETS = "mlflow.tracking.fluent", "set_experiment"


class WorkspaceExperimentProvider(DefaultExperimentProvider):
    """Gives code that sets no experiment one by name, made on first use."""

    def __init__(self) -> None:
        """Know no experiment yet."""
        self._known: dict[tuple[str, str], str] = {}

    def in_context(self) -> bool:
        """Whether runs go to Azure ML."""
        return mlflow.get_tracking_uri().startswith("azureml:")

    def get_experiment_id(self) -> str:
        """Return the experiment's id: on an executor, that of the driver; else what this process was told."""
        if told := spark_conf.told_by_driver(spark_conf.DRIVERS_EXPERIMENT_ID):
            return told
        name = default_name()
        place = mlflow.get_tracking_uri(), name
        known = children.told("experiment")
        if (known.get("tracking_uri"), known.get("default")) == place:
            return known["id"]
        if place not in self._known:  # MLflow asks at every run and every trace
            client = mlflow.MlflowClient()
            try:
                found = client.get_experiment_by_name(name) or _created(client, name)
            except MlflowException as error:
                # MLflow would take experiment 0 then. With no such id the next call fails, and a failed login
                # is told by that one alone.
                if error.error_code != "UNAUTHENTICATED":
                    _logger.warning("experiment %r can be neither found nor made: %s", name, error)
                return name
            self._known[place] = str(found.experiment_id)
        tell(self._known[place])
        return self._known[place]


def default_name() -> str:
    """Return the name of the experiment of code that sets none, which Azure ML may know by another."""
    if told := spark_conf.told_by_driver(spark_conf.DRIVERS_EXPERIMENT):
        return told
    name = _filled(variables.settings_now()["experiment"]) or _place()
    return name if experiment_names.legal(name) else _ELSEWHERE


def _filled(template: str) -> str:
    """Return the setting `experiment` with what its `{user}` and `{notebook}` stand for here."""
    if "{" not in template:
        return template
    user = {**children.told("place"), **provenance.place()}.get("user", "")
    known = {"{user}": experiment_names.part(user), "{notebook}": experiment_names.last(_place())}
    for name, text in known.items():
        template = template.replace(name, text or _ELSEWHERE)
    return template


class TellsWhichIsSet:
    """A tracking store that tells tasks and processes of the experiment that `mlflow.set_experiment` sets.

    It has no extension point; before 2.18 MLflow keeps to itself what is set, and afterwards tells processes.
    """

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return the experiment of an id."""
        found: Experiment = super().get_experiment(experiment_id)  # type: ignore[misc]  # MLflow's store has it
        _tell_if_it_is_set(found)
        return found

    def get_experiment_by_name(self, experiment_name: str) -> Experiment | None:
        """Return the experiment of a name, None if there is none."""
        found: Experiment | None = super().get_experiment_by_name(experiment_name)  # type: ignore[misc]
        if found:
            _tell_if_it_is_set(found)
        return found


def tell(experiment_id: str) -> None:
    """Have the tasks and processes that start from now on log to an experiment, unless they set one."""
    workers.tell(spark_conf.DRIVERS_EXPERIMENT_ID, experiment_id)
    if not spark_conf.in_task():
        place = {"tracking_uri": mlflow.get_tracking_uri(), "default": default_name()}
        children.tell("experiment", {"id": experiment_id, **place})


def _tell_if_it_is_set(found: Experiment) -> None:
    frame: FrameType | None = sys._getframe()
    while frame and (frame.f_globals.get("__name__"), frame.f_code.co_name) != _SETS:
        frame = frame.f_back
    if frame and found.lifecycle_stage == LifecycleStage.ACTIVE:
        tell(str(found.experiment_id))


def _created(client: mlflow.MlflowClient, name: str) -> Experiment:
    try:
        experiment_id = client.create_experiment(name)
    except MlflowException as error:
        found = client.get_experiment_by_name(name)
        if error.error_code == "RESOURCE_ALREADY_EXISTS" and found:  # another process was faster
            return found
        raise
    return client.get_experiment(experiment_id)


def put_first() -> DefaultExperimentProvider:
    """Put our provider before MLflow's own, which would give Azure ML a Databricks notebook's id.

    MLflow asks providers in the order of registration and has no way to come before a built-in one. It
    appends what is returned here, too.
    """
    from mlflow.tracking.default_experiment import registry

    provider = WorkspaceExperimentProvider()
    registry._default_experiment_provider_registry._registry.insert(0, provider)
    return provider


def _place() -> str:
    """Return the name of the notebook or job that runs, or whose process started this one; empty for none."""
    from mlflow.utils import databricks_utils

    if databricks_utils.is_in_databricks_notebook():
        return databricks_utils.get_notebook_path() or ""
    if databricks_utils.is_in_databricks_job():
        return f"job-{databricks_utils.get_job_id()}"
    told = children.told("place")
    return told.get("notebook_path") or (f"job-{told['job_id']}" if "job_id" in told else "")
