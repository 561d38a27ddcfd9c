"""Asks the workspace, from a process on the node, what the notebook left there; prints JSON.

Runs on the node, with the runtime's own MLflow.
"""

from __future__ import annotations

import json
import sys

import mlflow


def main(experiment_name: str, model_name: str) -> None:
    """Print what a run's page and a model's page would show."""
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(experiment_name)
    assert experiment, f"there is no experiment {experiment_name}"
    run = client.search_runs([experiment.experiment_id])[0]
    version = client.get_latest_versions(model_name)[0]
    shown = {
        "experiment": experiment.name,
        "run": f"{run.info.run_name}, {run.info.run_id}, {run.info.status}",
        "params": ", ".join(f"{name}={value}" for name, value in sorted(run.data.params.items())),
        "metrics": ", ".join(f"{name}={value:.3f}" for name, value in sorted(run.data.metrics.items())),
        "artifacts": _artifacts(client, run.info.run_id),
        "registered model": f"{version.name}, version {version.version}, from run {version.run_id}",
    }
    print(json.dumps(shown))


def _artifacts(client: mlflow.MlflowClient, run_id: str) -> str:
    """Return the names at the top, and how many files are below each folder."""
    return ", ".join(
        f"{item.path}/ ({_files(client, run_id, item.path)} files)" if item.is_dir else item.path
        for item in client.list_artifacts(run_id)
    )


def _files(client: mlflow.MlflowClient, run_id: str, folder: str) -> int:
    found = client.list_artifacts(run_id, folder)
    return sum(_files(client, run_id, item.path) if item.is_dir else 1 for item in found)


if __name__ == "__main__":
    main(*sys.argv[1:])
