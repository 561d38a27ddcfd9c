"""Makes runs with more tags, longer tags and longer names than the service takes of a new run."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mlflow.entities import Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME

from azureml_databricks.bridge import answers, limits
from azureml_databricks.bridge.kept import cut
from azureml_databricks.bridge.known_runs import KnownRuns
from azureml_databricks.bridge.outgoing import Batch, at_creation, is_unasked
from azureml_databricks.bridge.sending import Sender
from azureml_databricks.bridge.service import Service

_logger = logging.getLogger("mlflow.azureml_databricks")


class Creation:
    """Makes runs.

    Args:
        service: where they are made.
        runs: what is known of them.
        sender: what gives them the tags that they cannot be made with.
    """

    def __init__(self, service: Service, runs: KnownRuns, sender: Sender) -> None:
        """Take all three."""
        self._service = service
        self._runs = runs
        self._sender = sender

    def create(
        self, experiment_id: str, user_id: str, start_time: int, tags: Sequence[RunTag], run_name: str | None
    ) -> tuple[Run, bool]:
        """Return a new run, and whether it has been given more than is in there.

        Tags that the service drops of a new run (`mlflow.source.*`) are set in one more request.
        """
        now, later = at_creation(tags)
        if run_name and limits.length(run_name) > limits.RUN_NAME:
            now = [tag for tag in now if tag.key != MLFLOW_RUN_NAME]
            later = [*(tag for tag in later if tag.key != MLFLOW_RUN_NAME), RunTag(MLFLOW_RUN_NAME, run_name)]
            run_name = cut(run_name, limits.RUN_NAME)
        run = self._service.create_run(experiment_id, user_id, start_time, now, run_name)
        self._runs.add_new(run)
        self._give_sources(run, now)
        if later:
            self._give(run.info.run_id, later)
        return run, bool(later)

    def _give_sources(self, run: Run, tags: Sequence[RunTag]) -> None:
        dropped = [
            tag
            for tag in tags
            if tag.key.startswith(answers.SOURCE) and run.data.tags.get(tag.key) != tag.value
        ]
        if not dropped:
            return
        try:
            self._sender.send(run.info.run_id, Batch(tags=dropped))
        except MlflowException as error:  # nobody has asked for them: the run goes on without
            _logger.debug("the source of run %s is not kept: %s", run.info.run_id, error)
        else:
            run.data.tags.update({tag.key: tag.value for tag in dropped})

    def _give(self, run_id: str, later: Sequence[RunTag]) -> None:
        if asked := [tag for tag in later if not is_unasked(tag.key)]:
            self._sender.send(run_id, Batch(tags=asked))
        try:
            if unasked := [tag for tag in later if is_unasked(tag.key)]:
                self._sender.send(run_id, Batch(tags=unasked))
        except MlflowException as error:
            _logger.debug("run %s goes on without some tags that nobody asked for: %s", run_id, error)
