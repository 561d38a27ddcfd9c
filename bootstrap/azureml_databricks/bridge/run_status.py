"""A run's status is for its own code to set."""

from __future__ import annotations

from typing import Any

from mlflow.entities import RunInfo
from mlflow.store.tracking.rest_store import RestStore


class SetsEveryStatus:
    """A tracking store that sets the status of any run.

    The plugin leaves that of the run in `AZUREML_RUN_ID` to Azure ML, whose job it takes this process for. No
    job of Azure ML's runs on a cluster, and who sets that variable would have a run that never ends.
    """

    def update_run_info(self, *args: Any, **kwargs: Any) -> RunInfo:
        """Set a run's status, end and name."""
        own: Any = RestStore.update_run_info
        info: RunInfo = own(self, *args, **kwargs)
        return info
