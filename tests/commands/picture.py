"""The README's picture: what an admin and a data scientist see, in words of a real run of the commands.

`python -m tests.commands.picture` deploys to the emulated workspace, boots a cluster with Spark, runs a cell
that logs and registers a model, and then the doctor. What is long is cut; only the titles are worded here.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Column, Table
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests import REPOSITORY
from tests.commands.demo import notebook
from tests.commands.demo.admin import deploy
from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import RUNTIME, build_bundle
from tests.emulated.databricks import EmulatedDatabricks, started_spark_cluster
from tests.emulated.spark import SparkCluster

PICTURE = REPOSITORY / "docs/pictures/what-they-see.svg"

# As many as are legible at the width that GitHub gives a README.
_COLUMNS = 92
# What the cell below needs and does not show: any model will do.
_BEFORE = """\
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
wine = load_wine()
model = LogisticRegression(C=0.5, max_iter=5000).fit(wine.data, wine.target)
accuracy = model.score(wine.data, wine.target)"""
_CELL = """\
import mlflow

with mlflow.start_run(run_name="first"):
    mlflow.log_param("C", 0.5)
    mlflow.log_metric("accuracy", accuracy)
    mlflow.sklearn.log_model(model, "model", registered_model_name="wine-cultivar")"""
_DOCTOR = "from azureml_databricks import doctor; doctor()"
# The same report, for the picture to lay out: an SVG cannot hold a notebook's HTML.
_REPORT = "report = _; print(report.summary); print(report.json())"

_STYLES = {"ok": "green", "note": "yellow", "wrong": "bold red", "not tried": "bright_black"}
_THEME = TerminalTheme(
    background=(255, 255, 255),
    foreground=(36, 41, 47),
    normal=[
        (36, 41, 47),
        (198, 40, 40),
        (46, 125, 50),
        (178, 106, 0),
        (9, 105, 218),
        (130, 80, 223),
        (27, 124, 131),
        (110, 119, 129),
    ],
    bright=[(140, 149, 159)] * 8,
)


def main() -> None:
    """Run it all, and write the picture."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("azure", "databricks"):
            (folder / name).mkdir()
        with (
            EmulatedAzure(folder / "azure") as azure,
            EmulatedDatabricks(folder / "databricks", azure=azure) as databricks,
        ):
            # The deployment finds its packages in uv's cache then: it reaches nothing but this Azure.
            build_bundle(folder / "bundle", runtimes=[RUNTIME])
            ann = databricks.user("ann@contoso.com", groups=["data-scientists"])
            said = list(deploy(RUNTIME, databricks, azure, folder / "admin"))
            (policy,) = databricks.client(ann).cluster_policies.list()
            assert policy.policy_id
            cluster: dict[str, Any] = {"who": ann, "azure": azure, "node_type_id": "Standard_DS3_v2"}
            with started_spark_cluster(databricks, policy.policy_id, num_workers=2, **cluster) as spark:
                summary, findings = _examined(spark)
                left = notebook.left_in_the_workspace(spark.driver)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(_svg(_picture(said[-1], left, summary, findings)))
    print(f"==> wrote {PICTURE.relative_to(REPOSITORY)}")


def _examined(spark: SparkCluster) -> tuple[str, list[dict[str, str]]]:
    """Run the cells, and return the doctor's summary and what it found."""
    cells = [_BEFORE, _CELL, _DOCTOR, _REPORT]
    ran = spark.run_notebook(cells, env=notebook.context(spark.driver), timeout=600)
    summary, report = ran.cells[-1].outputs[-1]["text"].splitlines()
    findings: list[dict[str, str]] = json.loads(report)["findings"]
    return summary, findings


def _picture(
    deployed: str, left: Mapping[str, str], summary: str, findings: Sequence[Mapping[str, str]]
) -> Group:
    code = Syntax(_CELL, "python", theme="friendly", background_color="default")
    return Group(
        _panel("An admin, once", _deployment(deployed)),
        _panel("A data scientist, in a notebook on a cluster with that policy", code),
        _panel("What is then in Azure Machine Learning", _table(left)),
        _panel(f"Does all of it work? doctor() in the next cell: {summary}", _examination(findings)),
    )


def _panel(title: str, content: Any) -> Panel:
    return Panel(content, title=Text(title, "bold blue"), title_align="left", border_style="bright_black")


def _deployment(said: str) -> Text:
    """Return the command, and what it made."""
    command, *lines = (line.strip() for line in said.splitlines())
    made = [line for line in lines if line.startswith("made ")]
    return Text.assemble((command, "bold"), *(f"\n{line}" for line in made))


def _table(rows: Mapping[str, str]) -> Table:
    table = _grid(Column(style="bold"), Column())
    for what, shown in rows.items():
        table.add_row(what, shown)
    return table


def _examination(findings: Sequence[Mapping[str, str]]) -> Table:
    """Return the first thing that the doctor says of each part, and how many more there are."""
    parts = {part: list(found) for part, found in groupby(findings, key=itemgetter("part"))}
    names, verdicts = max(map(len, parts)), max(len(finding["verdict"]) for finding in findings)
    table = _grid(
        Column(style="bold", width=names + 1), Column(width=verdicts + 1), Column(ratio=1), Column(width=2)
    )
    for part, (first, *more) in parts.items():
        verdict = Text(first["verdict"], _STYLES[first["verdict"]])
        said = f"{first['what']}: {first['detail']}"
        table.add_row(part, verdict, said, f"+{len(more)}" if more else "")
    return table


def _grid(*columns: Column) -> Table:
    for column in columns:
        column.no_wrap, column.overflow = True, "ellipsis"
    return Table(*columns, box=None, show_header=False, padding=(0, 1, 0, 0), expand=True)


def _svg(picture: Group) -> str:
    console = Console(
        record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(picture)
    return console.export_svg(title="azureml-databricks", theme=_THEME, unique_id="picture")


if __name__ == "__main__":
    main()
