"""What the service's answers about runs have in other ways than MLflow's own server's."""

from __future__ import annotations

from typing import Any

from mlflow.utils.mlflow_tags import MLFLOW_USER

# What `runs/create` does not keep: https://github.com/Azure/azure-sdk-for-python/issues/45207
SOURCE = "mlflow.source."


def with_its_user(answer: Any) -> Any:
    """Return the answer with one `mlflow.user` a run: whom the run was made for.

    The service adds the login's display name, and in MLflow the last of two wins. Source:
    src/promptflow-evals/tests/recordings/azure in https://github.com/microsoft/promptflow.
    """
    for run in (*getattr(answer, "runs", ()), *([answer.run] if hasattr(answer, "run") else ())):
        users = [index for index, tag in enumerate(run.data.tags) if tag.key == MLFLOW_USER]
        for index in reversed(users[1:]):
            del run.data.tags[index]
    return answer
