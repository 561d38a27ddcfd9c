"""The examination: each part in its turn, and what depends on a part that failed is not tried."""

from __future__ import annotations

import os
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
    platform,
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
        self._causes: dict[str, Finding] = {}

    def look(self, part: Part, findings: Iterable[Finding], *needs: Part) -> None:
        """Add what a part finds, unless something that it needs is not as it should be."""
        for need in needs:
            if cause := self._causes.get(need.name):
                self._causes[part.name] = cause
                self.findings.append(part.not_tried("all of it", f"it needs {cause.part}: {cause.what}"))
                return
        try:
            # One by one: what was found before an error stays.
            for finding in findings:
                self._add(finding)
        except Exception as error:  # noqa: BLE001  # a doctor that fails says so, and goes on
            said = f"failed itself ({type(error).__name__}: {error})"
            self._add(part.wrong("doctor", said, "report this, please"))

    def _add(self, finding: Finding) -> None:
        self.findings.append(finding)
        if finding.verdict in (Verdict.WRONG, Verdict.NOT_TRIED):
            self._causes.setdefault(finding.part, finding)


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
    look(platform.PART, platform.findings())
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
        "Python": f"{sys.version.split()[0]} ({sys.executable})",
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
