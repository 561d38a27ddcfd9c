"""Other hooks on a node beside ours: theirs work, ours work, and no start has anything to say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.emulated.cluster import cluster_node, start
from tests.emulated.node import Node
from tests.emulated.workspace import GIVEN, TRACKING_URI
from tests.matrices.faults.table import Became, Outcome, each

PYTHON = "/databricks/python3/bin/python"
FOLDER = "/databricks/others"

# Watches each import, as wrapt's and those of tracers do, and finds nothing itself.
FINDER = """
import sys
class Watching:
    seen = []
    def find_spec(self, name, path=None, target=None):
        self.seen.append(name)
        return None
"""
# What `ddtrace-run` puts first on PYTHONPATH: it runs the sitecustomize that it has taken the place of.
# Source: https://github.com/DataDog/dd-trace-py, ddtrace/bootstrap/sitecustomize.py
DDTRACE = """
import importlib.util, os, sys
sys.theirs = "ran"
here = os.path.dirname(os.path.abspath(__file__))
path = list(sys.path)
while here in sys.path:
    sys.path.remove(here)
ours = sys.modules.pop("sitecustomize", None)
try:
    import sitecustomize
except ImportError:
    sys.modules["sitecustomize"] = ours
finally:
    sys.path[:] = path
"""
# What `opentelemetry-instrument` puts first on PYTHONPATH: it leaves the other sitecustomize alone, and takes
# itself off PYTHONPATH. Source: https://github.com/open-telemetry/opentelemetry-python-contrib,
# opentelemetry-instrumentation/src/opentelemetry/instrumentation/auto_instrumentation/
OPENTELEMETRY = """
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
kept = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each and each != here]
os.environ["PYTHONPATH"] = os.pathsep.join(kept)
sys.theirs = "ran"
"""
LOOK = """
import json, mlflow
print(json.dumps([mlflow.get_tracking_uri(), type(mlflow.MlflowClient()._tracking_client.store).__module__]))
"""
OURS = [TRACKING_URI, "azureml_databricks.bridge.tracking"]


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    Attributes:
        name: of what is beside ours.
        code: that a program runs, ending with what `LOOK` prints, or with JSON of its own.
        prints: what is promised.
        becomes: likewise.
        sitecustomize: of a folder on PYTHONPATH.
        module: a package `mlflow` in that folder.
        python: that runs the program.
    """

    name: str
    code: str
    prints: object
    becomes: Outcome = "kept working"
    sitecustomize: str = ""
    module: str | None = None
    python: str = PYTHON


THEIRS = "import sys; assert sys.theirs == 'ran'\n" + LOOK
CAUGHT = (
    "import json\ntry:\n    import mlflow\nexcept Exception as error:\n    print(json.dumps(str(error)))\n"
)
TABLE = [
    Fault("a finder that is first", f"{FINDER}sys.meta_path.insert(0, Watching())\n{LOOK}", OURS),
    Fault("a finder that is last", f"{FINDER}sys.meta_path.append(Watching())\n{LOOK}", OURS),
    Fault(
        "a finder in sitecustomize", LOOK, OURS, sitecustomize=f"{FINDER}sys.meta_path[:0] = [Watching()]\n"
    ),
    Fault("the hook of ddtrace-run", THEIRS, OURS, sitecustomize=DDTRACE),
    Fault("the hook of opentelemetry-instrument", THEIRS, OURS, sitecustomize=OPENTELEMETRY),
    Fault("no MLflow", CAUGHT, "No module named 'mlflow'", "plain MLflow", python="/usr/bin/python3.11"),
    Fault("mlflow reloaded", f"import importlib, mlflow\nimportlib.reload(mlflow)\n{LOOK}", OURS),
    Fault("mlflow reloaded after its use", f"{LOOK}import importlib\nimportlib.reload(mlflow)\n{LOOK}", OURS),
    Fault(
        "mlflow imported anew",
        f"{LOOK}import sys\nfor name in [_ for _ in sys.modules if _.partition('.')[0] == 'mlflow']:\n"
        f"    del sys.modules[name]\n{LOOK}",
        OURS,
    ),
    Fault("mlflow broken", CAUGHT, "broken", "plain MLflow", module="raise ValueError('broken')\n"),
    Fault(
        "mlflow with nothing in it",
        "import json, mlflow\nprint(json.dumps(mlflow.theirs))",
        1,
        "plain MLflow",
        module="theirs = 1\n",
    ),
    Fault("mlflow cannot be imported", CAUGHT, "gone", "plain MLflow", module="raise ImportError('gone')\n"),
]


@pytest.fixture(scope="module")
def node(bundle: Path) -> Iterator[Node]:
    principal = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s3cr3t"}
    with cluster_node(bundle, {**GIVEN, **principal}) as node:
        start(node)
        yield node


@pytest.fixture
def on_path(node: Node, fault: Fault) -> str:
    """What others have put on PYTHONPATH: a folder for the fault."""
    folder = f"{FOLDER}/{TABLE.index(fault)}"
    node.path("/databricks").joinpath(folder.removeprefix("/databricks/")).mkdir(parents=True)
    return folder


@each(TABLE, sample=2)
def test_a_program_beside(node: Node, fault: Fault, on_path: str, became: Became) -> None:
    # Given what others have put before the program
    for name, text in (("sitecustomize", fault.sitecustomize), ("mlflow", fault.module)):
        if text:
            node.path(f"{on_path}/{name}.py").write_text(text)

    # When it starts
    program = [node.inside(fault.python), "-W", "ignore", "-c", fault.code]
    done = node.run(program, env={"PYTHONPATH": node.inside(on_path)})

    # Then both work, and neither says a word
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[-1]) == fault.prints
    became(fault.becomes)
