"""`make bench`: what we cost, as a ratio against the manual way, or a bare start, in the same run.

With README=1 the ratios go into the README's table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.commands import manual_way, readme_table
from tests.commands.measure import instructions_at_start, seconds_until_done
from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import SCRIPT, build_bundle, cluster_node, service_principal
from tests.emulated.node import Node

_BASE = "/usr/bin/python3.11"
_CLUSTER = "/databricks/python3/bin/python"
_PYTHONPATH = ("/databricks/spark/python", "/databricks/python_shell")
_READY = "import mlflow\nmlflow.get_tracking_uri()"
_LATENCY_SECONDS = 0.04
_TRANSFERS = """
import pathlib, tempfile, time
import mlflow
folder = pathlib.Path(tempfile.mkdtemp())
for number in range(300):
    (folder / str(number)).write_text(str(number))
with mlflow.start_run() as run:
    mlflow.log_text("first", "first.txt")
    started = time.perf_counter()
    mlflow.log_artifacts(str(folder), "many")
    up = time.perf_counter()
    mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="many")
[up - started, time.perf_counter() - up]
"""


@dataclass(frozen=True)
class Row:
    """A figure of ours beside another.

    Attributes:
        what: was measured.
        ours: with azureml-databricks.
        other: the manual way, or a bare start.
        unit: how to print both.
        in_readme: whether the README shows it; it does not where the two should be alike.
    """

    what: str
    ours: float
    other: float
    unit: str
    in_readme: bool = True


def main() -> None:
    """Measure and print; with README=1, write what the README shows of it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bundle = build_bundle(folder / "bundle")
        (folder / "azure").mkdir()
        with EmulatedAzure(folder / "azure") as azure:
            policy = {"AZUREML_TRACKING_URI": azure.workspace.tracking_uri, **service_principal(azure)}
            with (
                cluster_node(bundle, policy, azure=azure) as ours,
                cluster_node(bundle, {}, azure=azure) as plain,
            ):
                starts = _starts(ours)
                _print("beside a bare start", "bare", starts)
                ways = _ways(azure, ours, plain, folder)
                _print("beside the manual way", "manual", ways)
    if os.environ.get("README"):
        _write(starts, ways)


def _starts(node: Node) -> list[Row]:
    """Count starts on the node before and after its init script has run."""
    cases = {
        "start of the base Python": (_BASE, {}),
        "start of the cluster's Python": (_CLUSTER, {}),
        "start of the cluster's Python, with a notebook's PYTHONPATH": (
            _CLUSTER,
            {"PYTHONPATH": ":".join(_PYTHONPATH)},
        ),
    }
    before = [instructions_at_start(node, python, env=env) for python, env in cases.values()]
    assert node.run_init_script(SCRIPT).returncode == 0
    after = [instructions_at_start(node, python, env=env) for python, env in cases.values()]
    return [
        Row(what, ours, bare, "{:,.0f} instructions")
        for what, ours, bare in zip(cases, after, before, strict=True)
    ]


def _ways(azure: EmulatedAzure, ours: Node, plain: Node, scratch: Path) -> list[Row]:
    started = time.perf_counter()
    assert ours.run_init_script(SCRIPT).returncode == 0
    script_seconds = time.perf_counter() - started
    pip_seconds = _seconds_of_pip(plain, scratch / "libraries")
    manual_way.install(plain)
    cell = manual_way.dbutils(azure) + manual_way.CELL
    ready = seconds_until_done(ours, _READY), seconds_until_done(plain, cell)
    azure.journal.clear()
    ours.run_notebook([_READY])
    our_requests = len(azure.journal)
    plain.run_notebook([cell])
    their_requests = len(azure.journal) - our_requests
    imported = seconds_until_done(ours, "import mlflow"), seconds_until_done(plain, "import mlflow")
    return [
        Row(
            "a node made ready: the init script, `pip install` of the libraries",
            script_seconds,
            pip_seconds,
            "{:.2f} s",
        ),
        Row("process start to a ready tracking URI", *ready, "{:.2f} s"),
        Row("requests to Azure until then", our_requests, their_requests, "{:.0f}"),
        Row("process start to `import mlflow` done", *imported, "{:.2f} s", in_readme=False),
        *_transfers(azure, ours, [_TRANSFERS], plain, [cell, _TRANSFERS]),
    ]


def _transfers(
    azure: EmulatedAzure, ours: Node, our_cells: list[str], plain: Node, their_cells: list[str]
) -> list[Row]:
    """Time many small artifacts, each request to Azure later by what a real one's network takes."""
    azure.faults.add(delay=_LATENCY_SECONDS)
    figures = []
    for node, cells in ((ours, our_cells), (plain, their_cells)):
        azure.journal.clear()
        shown = node.run_notebook(cells).cells[-1].outputs[-1].data["text/plain"]
        figures.append([*json.loads(shown), sum(azure.journal.connections().values())])
    azure.faults.clear()
    latency = f"{_LATENCY_SECONDS * 1000:.0f} ms a request"
    units = {
        f"300 small files to a run, at {latency}": "{:.1f} s",
        "and back": "{:.1f} s",
        "connections for both": "{:.0f}",
    }
    return [Row(what, us, them, unit) for (what, unit), us, them in zip(units.items(), *figures, strict=True)]


def _seconds_of_pip(node: Node, target: Path) -> float:
    """Install the manual way's libraries as its users do, with pip and from the index."""
    lock = manual_way.lock(node)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-cache-dir"]
    started = time.perf_counter()
    subprocess.run([*command, "--target", target, "--requirement", lock], check=True, capture_output=True)
    return time.perf_counter() - started


def _write(starts: list[Row], ways: list[Row]) -> None:
    """Write ratios, which hold on other machines too; of the starts, that of the one most slowed down."""
    slowed = max(starts, key=lambda row: row.ours / row.other)
    ratios = [(row.what, _ratio(row)) for row in ways if row.in_readme]
    ratios.append((f"{slowed.what}, in instructions, beside one without us", _ratio(slowed)))
    readme_table.write("cost", ("", "azureml-databricks : the manual way"), ratios)


def _ratio(row: Row) -> str:
    return f"{row.ours / row.other:.2f} : 1" if row.ours else f"0 : {row.other:.0f}"


def _print(title: str, other: str, rows: list[Row]) -> None:
    table = Table("", "ours", other, f"ours / {other}", title=title, title_justify="left")
    for row in rows:
        ratio = f"{row.ours / row.other:.3f}" if row.other else "-"
        table.add_row(row.what, row.unit.format(row.ours), row.unit.format(row.other), ratio)
    Console().print(table)


if __name__ == "__main__":
    main()
