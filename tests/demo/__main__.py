"""`make demo`: everything real but Azure and the machine, in about a minute."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests import databricks_context, manual_way
from tests.azure import EmulatedAzure
from tests.cluster import RUNTIME, SCRIPT, build_bundle, cluster_node, service_principal
from tests.node import Node, Replica, Runtime

_HERE = Path(__file__).parent
_NOTEBOOK = _HERE / "wine.ipynb"
_READY = "import mlflow, time; mlflow.get_tracking_uri(); print(time.time())"
_TRIES = 3
_console = Console(highlight=False, soft_wrap=True)


def main() -> None:
    """Run the demo; with KEEP=1, leave MLflow's web page open on the results."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _step("builds the bundle, as an admin does")
        bundle = build_bundle(folder / "bundle")
        _step("starts the emulated Azure (the first time fetches Azurite from npm, some 190 MB)")
        azure_folder = folder / "azure"
        azure_folder.mkdir()
        with EmulatedAzure(azure_folder) as azure:
            _step(f"prepares runtime {RUNTIME} (the first time fetches its packages, a minute or two)")
            _ = Replica(Runtime.load(RUNTIME)).layer
            ours = _our_way(bundle, azure)
            manual = _manual_way(bundle, azure)
            _compare(ours, manual)
            if os.environ.get("KEEP"):
                _keep_open(azure)


def _our_way(bundle: Path, azure: EmulatedAzure) -> Mapping[str, float]:
    # What the policy gives the cluster: where the workspace is, and the secret scope's service principal.
    policy = {"AZUREML_TRACKING_URI": azure.workspace.tracking_uri, **service_principal(azure)}
    with cluster_node(bundle, policy, azure=azure) as node:
        _step("boots a node under the policy; its init script says:")
        started = time.perf_counter()
        done = node.run_init_script(SCRIPT)
        _console.print(done.stdout + done.stderr, style="dim", end="")
        _console.print(f"   in {time.perf_counter() - started:.1f} s", style="dim")
        _step(f"runs {_NOTEBOOK.name}, which has no line of Azure in it, in a kernel on the node")
        azure.journal.clear()
        notebook = node.run_notebook(_NOTEBOOK, env=_notebook(node))
        _console.print(f"   predicted: {notebook.cells[-1].outputs[-1].data['text/plain']}", style="dim")
        hosts = dict(azure.journal.hosts())
        tokens = len(azure.journal.of("login.*", "/token"))
        _show(node, azure)
        _console.print(_requests(hosts, tokens, len(azure.journal.refused)))
        return {"ready": _seconds_to_ready(node, _READY), "requests": 0, "extra cells": 0}


def _manual_way(bundle: Path, azure: EmulatedAzure) -> Mapping[str, float]:
    _step("does the same the manual way: a plain node, azure-ai-ml installed, a cell in the notebook")
    with cluster_node(bundle, {}, azure=azure) as node:
        manual_way.install(node)
        cell = manual_way.dbutils(azure) + manual_way.CELL
        azure.journal.clear()
        node.run_notebook([cell + "print(mlflow.get_tracking_uri())"])
        requests = len(azure.journal)
        ready = _seconds_to_ready(node, f"{cell}\nimport time; print(time.time())")
        return {"ready": ready, "requests": requests, "extra cells": 1}


def _notebook(node: Node) -> dict[str, str]:
    return databricks_context.put(
        node, isInNotebook=True, notebookPath=f"/Users/ada@example.com/{_NOTEBOOK.stem}", notebookId="1"
    )


def _seconds_to_ready(node: Node, code: str) -> float:
    """Return the median time from a process's start to the tracking URI, in a notebook's environment."""
    python = f"{node.notebook_environment()}/bin/python"
    times = []
    for _ in range(_TRIES):
        started = time.time()
        done = node.run([node.inside(python), "-c", code])
        assert done.returncode == 0, done.stderr
        times.append(float(done.stdout) - started)
    return statistics.median(times)


def _show(node: Node, azure: EmulatedAzure) -> None:
    node.copy_in(_HERE / "results.py", "/databricks/results.py")
    python, script = node.inside("/databricks/python3/bin/python"), node.inside("/databricks/results.py")
    done = node.run([python, script, _NOTEBOOK.stem, "wine-cultivar"])
    assert done.returncode == 0, done.stderr
    table = Table("what", "in the workspace", title="What the admin sees")
    table.add_row("tracking URI", azure.workspace.tracking_uri)
    for what, shown in json.loads(done.stdout).items():
        table.add_row(what, shown)
    _console.print(table)


def _requests(hosts: Mapping[str, int], tokens: int, refused: int) -> Table:
    table = Table("host", "requests", title="What the notebook asked of Azure")
    for host, count in sorted(hosts.items()):
        table.add_row(host, str(count))
    table.add_row("of these: logins (tokens)", str(tokens))
    table.add_row("of these: refused, not of this Azure", str(refused))
    return table


def _compare(ours: Mapping[str, float], manual: Mapping[str, float]) -> None:
    table = Table("", "azureml-databricks", "the manual way", title="Beside the manual way")
    table.add_row("cells added to a notebook", str(ours["extra cells"]), str(manual["extra cells"]))
    table.add_row("requests before the tracking URI", str(ours["requests"]), str(manual["requests"]))
    table.add_row(
        "from process start to a ready tracking URI", f"{ours['ready']:.2f} s", f"{manual['ready']:.2f} s"
    )
    table.add_row("ratio", "1", f"{manual['ready'] / ours['ready']:.1f}")
    _console.print(table)


def _keep_open(azure: EmulatedAzure) -> None:
    _console.print(f"MLflow's own web page shows the results: {azure.mlflow_url}   (Ctrl-C ends it)")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        _console.print()


def _step(what: str) -> None:
    _console.print(f"[bold]==>[/] {what}")


if __name__ == "__main__":
    main()
