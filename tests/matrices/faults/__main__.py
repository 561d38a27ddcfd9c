"""`make faults`: try the faults of the tables, and tell what became of each.

To work on one table: `pytest tests/matrices/faults/test_from_azure.py --thorough`.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from tests import REPOSITORY
from tests.commands import readme_table
from tests.matrices.faults.table import OUTCOMES

KINDS = {
    "test_on_the_node": "on the node",
    "test_killed": "killed",
    "test_from_azure": "from Azure",
    "test_of_an_admin": "of an admin",
    "test_beside_others": "beside others",
}
_COUNT = re.compile(r"(?<=<!-- faults -->)[^<]*(?=<!-- end of faults -->)")


def main() -> int:
    """Run what is asked for; 1 where a fault did not become what is promised."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrices.faults", description=__doc__)
    parser.add_argument("--sample", action="store_true", help="try some of them")
    parser.add_argument("--readme", action="store_true", help="renew the README's count")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        failed = _run(report, sample=asked.sample)
        became = _counted(report)
    for kind, outcomes in became.items():
        print(f"{kind}: {_told(outcomes)}")
    told = f"{sum(map(Counter.total, became.values()))} faults: {_told(sum(became.values(), Counter()))}"
    print(told)
    if asked.readme and not failed and not asked.sample:
        readme_table.README.write_text(_COUNT.sub(told, readme_table.README.read_text()))
    return failed


def _run(report: Path, *, sample: bool) -> int:
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", str(Path(__file__).parent), "--quiet"),
            *(f"--junitxml={report}", "--override-ini=junit_family=xunit1"),
            *("--numprocesses=3", "--dist=load", *([] if sample else ["--thorough"])),
        ],
        cwd=REPOSITORY,
        check=False,
    ).returncode


def _counted(report: Path) -> Mapping[str, Counter[str]]:
    """Return how often what became of faults of a kind, from pytest's report in JUnit's XML."""
    found: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS.values()}
    for case in ElementTree.parse(report).iter("testcase"):
        kind = KINDS[str(case.get("classname")).rpartition(".")[2]]
        for noted in case.iterfind("properties/property[@name='became']"):
            found[kind][str(noted.get("value"))] += 1
    return found


def _told(outcomes: Counter[str]) -> str:
    return ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in OUTCOMES if outcomes[outcome])


if __name__ == "__main__":
    sys.exit(main())
