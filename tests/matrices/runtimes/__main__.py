"""`make runtimes`: run the matrix of runtimes, and compare it with the README's."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from tests.commands import readme_table
from tests.matrices.runtimes.conftest import ROWS

COLUMNS = (
    "boots",
    "URIs right",
    "logs, registers, loads a model",
    "MLClient",
    "nothing changed",
    "uninstalled",
)


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrices.runtimes", description=__doc__)
    parser.add_argument("--rows", default=",".join(ROWS), help="only these, such as '14.3,19 ML'")
    parser.add_argument("-k", metavar="TEXT", default="", help="only these, as pytest's -k")
    parser.add_argument("--readme", action="store_true", help="rewrite the README's matrix")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "report.xml")
        # Each runtime's tests in one process, two runtimes at once.
        options = ["--numprocesses=2", "--dist=loadgroup", f"--junitxml={report}", "-k", asked.k]
        options.append(f"--rows={asked.rows}")
        done = subprocess.run([sys.executable, "-m", "pytest", Path(__file__).parent, *options], check=False)
        rows = _rows(report)
    head = ("Databricks Runtime", *COLUMNS)
    readme_table.show(head, rows)
    if asked.readme:
        readme_table.write("runtimes", head, rows)
    untrue = readme_table.untrue(rows)
    print(*(f"README.md does not have this row: {line}" for line in untrue), sep="\n", end="")
    return int(bool(untrue) or done.returncode != 0)


def _rows(report: Path) -> list[list[str]]:
    """Return the matrix: how many tests of a column passed on a runtime, and whether all did."""
    passed: dict[tuple[str, str], list[bool]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        cell = {each.get("name"): str(each.get("value")) for each in case.iter("property")}
        well = all(case.find(outcome) is None for outcome in ("failure", "error", "skipped"))
        passed.setdefault((cell["row"], cell["column"]), []).append(well)
    ran = [row for row in ROWS if (row, COLUMNS[0]) in passed]
    return [[row, *(_cell(passed.get((row, column), [])) for column in COLUMNS)] for row in ran]


def _cell(passed: list[bool]) -> str:
    if not passed:
        return "not run"
    return "yes" if all(passed) else "**no**"


if __name__ == "__main__":
    sys.exit(main())
