"""The examination: each part in its turn, and what depends on a part that failed is not tried."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import replace

from azureml_databricks.checkup import (
    bundle,
    executors,
    hooks,
    installed_mlflow,
    login,
    packages,
    round_trip,
    settings,
    uris,
    workspace,
)
from azureml_databricks.checkup.findings import Finding, Part, Verdict
from azureml_databricks.checkup.report import Report
from azureml_databricks.node import variables
from azureml_databricks.node.paths import Paths
from azureml_databricks.settings import TABLE


class _Examination:
    """The findings so far."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def broken(self, part: Part) -> Finding | None:
        """Return the first finding of a part on which nothing can be built."""
        bad = (Verdict.WRONG, Verdict.NOT_TRIED)
        return next((it for it in self.findings if it.part == part.name and it.verdict in bad), None)

    def look(self, part: Part, findings: Iterable[Finding], *needs: Part) -> bool:
        """Add what a part finds, and return whether others can be built on it."""
        if blocked := next(filter(None, map(self.broken, needs)), None):
            self.findings.append(part.not_tried("all of it", f"it needs {blocked.part}: {blocked.what}"))
            return False
        try:
            # One by one: what was found before an error stays.
            for finding in findings:
                self.findings.append(finding)
        except Exception as error:  # noqa: BLE001  # a doctor that fails says so, and goes on
            self.findings.append(
                part.wrong(
                    "doctor", f"failed itself ({type(error).__name__}: {error})", "report this, please"
                )
            )
        return not self.broken(part)


def of_the_node() -> Report:
    """Look at what is on this node; nothing is asked of Azure, and MLflow is not imported."""
    examination = _of_the_node()
    examination.look(login.PART, login.missing(), settings.PART)
    return _report(examination)


def whole() -> Report:
    """Look at all there is to look at."""
    examination = _of_the_node()
    look, mlflow = examination.look, installed_mlflow.PART
    look(mlflow, installed_mlflow.findings(), settings.PART)
    look(uris.PART, uris.findings(), mlflow)
    look(packages.PART, packages.findings(Paths.of_this_node()), mlflow)
    look(login.PART, login.findings(), packages.PART)
    look(workspace.PART, workspace.findings(), login.PART)
    trip = round_trip.RoundTrip()
    try:
        look(round_trip.PART, trip.findings(), workspace.PART)
        look(executors.PART, executors.findings(trip), mlflow)
    finally:
        look(round_trip.CLEAN_UP, trip.clean_up())
    return _report(examination)


def _of_the_node() -> _Examination:
    examination, paths = _Examination(), Paths.of_this_node()
    examination.look(bundle.PART, bundle.findings(paths))
    examination.look(hooks.PART, hooks.findings(paths))
    examination.look(settings.PART, settings.findings())
    return examination


def _report(examination: _Examination) -> Report:
    about = {
        "runtime": os.environ.get("DATABRICKS_RUNTIME_VERSION", "unknown"),
        "Python": f"{platform.python_version()} ({sys.executable})",
    }
    return Report(about, tuple(map(_without_secrets, examination.findings)))


def _without_secrets(finding: Finding) -> Finding:
    """Mask what an error of somebody else's may have let slip."""
    settings = variables.settings_now()
    secrets = [settings[setting.name] for setting in TABLE if setting.secret and settings[setting.name]]
    detail, advice = finding.detail, finding.advice
    for secret in secrets:
        detail, advice = detail.replace(secret, "***"), advice.replace(secret, "***")
    return replace(finding, detail=detail, advice=advice)
