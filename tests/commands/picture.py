"""The README's picture: what an admin and a data scientist see, in words of a real run of the commands.

`python -m tests.commands.picture` deploys to the emulated workspace, boots a cluster with Spark, runs a cell
that trains and registers a model, and then the doctor. What is long is cut; nothing is worded here.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Mapping
from itertools import groupby
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
_REPORT = "print(_.json())"

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
                report = _report(spark)
                left = notebook.left_in_the_workspace(spark.driver)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(_svg(_picture(said[-1], left, report)))
    print(f"==> wrote {PICTURE.relative_to(REPOSITORY)}")


def _report(spark: SparkCluster) -> dict[str, Any]:
    """Run the cells, and return what the doctor found."""
    cells = [_BEFORE, _CELL, _DOCTOR, _REPORT]
    ran = spark.run_notebook(cells, env=notebook.context(spark.driver), timeout=600)
    report: dict[str, Any] = json.loads(ran.cells[-1].outputs[-1]["text"])
    return report


def _picture(deployed: str, left: Mapping[str, str], report: Mapping[str, Any]) -> Group:
    return Group(
        _panel("An admin, once", _deployment(deployed)),
        _panel(
            "A data scientist, in a notebook on a cluster with that policy",
            Syntax(_CELL, "python", theme="friendly", background_color="default"),
        ),
        _panel("What is then in Azure Machine Learning", _table(left)),
        _panel(f"Is all well? In the next cell: {_DOCTOR}", _findings(report)),
    )


def _panel(title: str, content: Any) -> Panel:
    return Panel(content, title=f"[bold]{title}[/]", title_align="left", border_style="bright_black")


def _deployment(said: str) -> Text:
    """Return the command, and what it made."""
    command, *lines = (line.strip() for line in said.splitlines())
    made = [line for line in lines if line.startswith("made ")]
    return Text.assemble((command, "bold"), *(f"\n{line}" for line in made))


def _table(rows: Mapping[str, str]) -> Table:
    table = _grid("bright_black", "default")
    for what, shown in rows.items():
        table.add_row(what, shown)
    return table


def _findings(report: Mapping[str, Any]) -> Table:
    """Return the first thing that the doctor says of each part, and how many more there are."""
    table = _grid("bold", "default", "default", "bright_black")
    for part, group in groupby(report["findings"], key=lambda finding: finding["part"]):
        first, *more = group
        said = Text.assemble((f"{first['what']}: ", ""), first["detail"])
        table.add_row(
            part, Text(first["verdict"], _STYLES[first["verdict"]]), said, f"+{len(more)}" * bool(more)
        )
    return table


def _grid(*styles: str) -> Table:
    columns = [Column(style=style, no_wrap=True, overflow="ellipsis") for style in styles]
    return Table(*columns, box=None, show_header=False, padding=(0, 2, 0, 0), expand=False)


def _svg(picture: Group) -> str:
    console = Console(
        record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(picture)
    return console.export_svg(title="azureml-databricks", theme=_THEME, unique_id="picture")


if __name__ == "__main__":
    main()
