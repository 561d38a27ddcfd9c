"""The service's own experiments and runs: the plugin's store, with ids and answers as MLflow has them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from azureml.mlflow._store.tracking.store import AzureMLRestStore
from mlflow.entities import Metric, Run
from mlflow.store.entities.paged_list import PagedList

from azureml_databricks.bridge import answers, experiment_names, limits
from azureml_databricks.bridge.pages import in_pages
from azureml_databricks.bridge.run_status import SetsEveryStatus
from azureml_databricks.bridge.unavailable import SaysWhatIsLacking

# MLflow's default experiment; the service has a GUID for it.
_DEFAULT_ID, _DEFAULT_NAME = "0", "Default"


class Service(SaysWhatIsLacking, SetsEveryStatus, AzureMLRestStore):  # type: ignore[misc]  # no types
    """What the service has and takes, with its limits."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the store as the plugin does."""
        super().__init__(*args, **kwargs)
        self._default_experiment = ""

    def create_run(self, experiment_id: str, *args: Any, **kwargs: Any) -> Run:
        """Create a run."""
        run: Run = super().create_run(experiment_id, *args, **kwargs)
        if experiment_id == _DEFAULT_ID:
            self._default_experiment = run.info.experiment_id
        return run

    def real_id(self, experiment_id: str) -> str:
        """Return an experiment's id; the service knows `0`, MLflow's default, only for a new run."""
        if experiment_id != _DEFAULT_ID:
            return experiment_id
        if not self._default_experiment:
            found = self.get_experiment_by_name(_DEFAULT_NAME)
            self._default_experiment = found.experiment_id if found else experiment_id
        return self._default_experiment

    def found_runs(
        self,
        experiment_ids: list[str],
        filter_string: str,
        run_view_type: int,
        max_results: int,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> PagedList[Run]:
        """Return a page of runs, of any size, as the service finds and has them."""

        def search(size: int | None, token: str | None) -> PagedList[Run]:
            page = self._search_runs(experiment_ids, filter_string, run_view_type, size, order_by, token)
            return PagedList(*page)

        return in_pages(search, max_results, page_token)

    def history(
        self, run_id: str, metric_key: str, max_results: int, page_token: str | None = None
    ) -> PagedList[Metric]:
        """Return a page of a metric's history, of any size."""

        def search(size: int | None, token: str | None) -> PagedList[Metric]:
            page = self.get_metric_history(run_id, metric_key, size, token)
            return PagedList(page, page.token)

        return in_pages(search, max_results, page_token, limits.HISTORY_PAGE)

    def _call_endpoint(self, api: Any, json_body: str | None = None, *args: Any, **kwargs: Any) -> Any:
        if f'"{_DEFAULT_ID}"' in (json_body or "") and api.DESCRIPTOR.name != "CreateRun":
            json_body = self._with_real_ids(str(json_body))
        answer = answers.with_its_user(super()._call_endpoint(api, json_body, *args, **kwargs))
        experiment_names.give_back(answer)
        return answer

    def _with_real_ids(self, json_body: str) -> str:
        fields = json.loads(json_body)
        if "experiment_id" in fields:
            fields["experiment_id"] = self.real_id(fields["experiment_id"])
        if "experiment_ids" in fields:
            fields["experiment_ids"] = [self.real_id(each) for each in fields["experiment_ids"]]
        return json.dumps(fields)
