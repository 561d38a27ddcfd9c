"""Azure ML's ids, and those of the MLflow server behind: mapped here, both ways, and nowhere else.

The server behind has experiments 0, 1, 2, ... and runs of 32 hexadecimal digits. Azure ML has GUIDs for both;
a job's run has a name.

Source: facts: seen, src/promptflow-evals/tests/recordings/azure in https://github.com/microsoft/promptflow
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from tests.emulated.azure.identities import Workspace

DEFAULT = "0"

_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_OF_A_RUN = {"run_id", "run_uuid", "source_run_id"}
_OF_AN_EXPERIMENT = {"experiment_id", "experiment_ids"}
_ADDRESSES = {"artifact_uri", "artifact_location"}
# In a filter a run's id is compared with one text or with several in parentheses.
_IN_A_FILTER = re.compile(r"(?i)\brun_id\W?\s*(?:!?=|(?:NOT\s+)?IN)\s*(?:\([^)]*\)|'[^']*'|\"[^\"]*\")")
_PLACE = re.compile(r"(azureml://.+/experiments)/(\d+)(?![^/])(?:/([0-9a-f]{32})(/artifacts.*)?)?")
_HEXADECIMAL = re.compile(r"\b[0-9a-f]{32}\b")


class UnknownIdError(Exception):
    """No experiment or run can have this id; the message is the service's."""


class Ids:
    """The ids of one workspace.

    Args:
        workspace: whose they are.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._experiments = workspace.workspace_id[: -len("000000000000")]
        self._asked: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def know_as_job(self, run_id: str, name: str, experiment: str) -> None:
        """Know a run as that of a job is known: by a name, its artifacts under its experiment's name."""
        self._names[name] = _plain(run_id)
        self._asked[name] = experiment

    def asked(self, run_id: str, experiment: str) -> None:
        """Remember how the experiment was called when the run was made: its artifacts' address has that."""
        self._asked[run_id] = experiment

    # To the server behind ----------------------------------------------------------------------------

    def experiment_behind(self, experiment_id: str) -> str:
        if _GUID.fullmatch(experiment_id) and experiment_id.startswith(self._experiments):
            return str(int(experiment_id[len(self._experiments) :]))
        raise UnknownIdError(f"Could not find experiment with id {experiment_id}.")

    def run_behind(self, run_id: str) -> str:
        if _GUID.fullmatch(run_id):
            return _plain(run_id)
        if run_id in self._names:
            return self._names[run_id]
        raise UnknownIdError(f"Run with id {run_id} was not found.")

    def behind(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request's fields as the server behind knows them."""
        return {name: self._field_behind(name, value) for name, value in fields.items()}

    def _field_behind(self, name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [
                self.behind(item) if isinstance(item, dict) else self._field_behind(name, item)
                for item in value
            ]
        if value and name in _OF_A_RUN:
            return self.run_behind(str(value))
        if value and name in _OF_AN_EXPERIMENT:
            return self.experiment_behind(str(value))
        if name == "filter":
            return _IN_A_FILTER.sub(lambda found: _GUID.sub(lambda guid: _plain(guid[0]), found[0]), value)
        return value

    # And back ----------------------------------------------------------------------------------------

    def experiment(self, behind: str) -> str:
        return f"{self._experiments}{int(behind):012d}"

    def run(self, behind: str) -> str:
        names = (name for name, run in self._names.items() if run == behind)
        return next(names, None) or str(UUID(behind))

    def answer(self, document: Any, name: str = "") -> Any:
        """Return what the server behind has answered, with Azure ML's ids."""
        if isinstance(document, dict):
            return {key: self.answer(value, key) for key, value in document.items()}
        if isinstance(document, list):
            return [self.answer(item, name) for item in document]
        if document and name in _OF_A_RUN:
            return self.run(document)
        if document and name in _OF_AN_EXPERIMENT:
            return self.experiment(document)
        if name in _ADDRESSES:
            return _PLACE.sub(self._place, document)
        return document

    def text(self, message: str) -> str:
        """Return an error's message with Azure ML's ids of runs."""
        return _HEXADECIMAL.sub(lambda found: self.run(found[0]), message)

    def _place(self, found: re.Match[str]) -> str:
        root, experiment, run, rest = found.groups()
        if not run:
            return f"{root}/{self.experiment(experiment)}"
        run_id = self.run(run)
        return f"{root}/{self._asked.get(run_id) or self.experiment(experiment)}/runs/{run_id}{rest}"


def _plain(guid: str) -> str:
    return guid.replace("-", "")
