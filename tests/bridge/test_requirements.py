"""The requirements that MLflow infers for a model are those that it would infer without us."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import node_in_service
from tests.emulated.node import Node

SAVE = """
    import json, mlflow, tempfile
    from pathlib import Path
    from sklearn.linear_model import LogisticRegression

    class ReadsBlobs(mlflow.pyfunc.PythonModel):
        def load_context(self, context):
            import azure.storage.blob

    class AsksMlflow(mlflow.pyfunc.PythonModel):
        def load_context(self, context):
            try:
                mlflow.MlflowClient().search_experiments(max_results=1)
            except Exception:
                pass  # without us

    saved = {}
    with tempfile.TemporaryDirectory() as scratch:
        for model in (ReadsBlobs(), AsksMlflow()):
            name = type(model).__name__
            mlflow.pyfunc.save_model(f"{scratch}/{name}", python_model=model)
            saved[name] = Path(scratch, name, "requirements.txt").read_text().split()
        model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        mlflow.sklearn.save_model(model, f"{scratch}/sklearn")
        saved["sklearn"] = Path(scratch, "sklearn", "requirements.txt").read_text().split()
    print(json.dumps(saved))
    """


@pytest.fixture(scope="module")
def node(bundle: Path, _azure: EmulatedAzure) -> Iterator[Node]:
    with node_in_service(bundle, _azure) as node:
        yield node


def requirements(node: Node, **env: str) -> dict[str, list[str]]:
    python = node.inside("/databricks/python3/bin/python")
    done = node.run([python, "-c", textwrap.dedent(SAVE)], env=env, cwd="/tmp", timeout=600)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_models_requirements_name_nothing_that_only_we_bring(node: Node) -> None:
    with_us = requirements(node)
    without_us = requirements(node, AZUREML_ENABLED="false")

    assert with_us["sklearn"] == without_us["sklearn"]
    assert with_us["ReadsBlobs"] == without_us["ReadsBlobs"]
    names = {each.partition("==")[0] for each in with_us["AsksMlflow"]}
    assert not names & {"azureml-databricks", "azureml-mlflow", "azure-identity", "msal", "msrest"}
