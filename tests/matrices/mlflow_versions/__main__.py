"""`make features`: run the stories for MLflow's versions on both servers, and print what holds.

To work on one story: `python -m tests.matrices.mlflow_versions 3.17.2 --on azure -k asynchronously`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests import REPOSITORY
from tests.commands import readme_table
from tests.emulated.azure import EmulatedAzure
from tests.matrices.mlflow_versions import suite
from tests.matrices.mlflow_versions.environments import VERSIONS, environment
from tests.matrices.mlflow_versions.suite import Tally

FEATURES = ("Runs", "Artifacts", "Models", "Logged models", "Registry", "Autologging", "Spark")
SERVERS = ("plain", "azure")

# The slow features run on MLflow's own server for the last version of each major only, and where it shall be
# quick for the newest only.
_SLOW = {"Autologging": "test_autologging.py", "Spark": "test_spark.py"}
_IN_FULL = ("2.21.3", "3.17.2")
_NEWEST = list(VERSIONS)[-1]

_RESULTS = REPOSITORY / ".cache/mlflow/results.json"


@dataclass(frozen=True)
class Result:
    """What came of the stories of one MLflow version on one server."""

    version: str
    server: str
    features: Mapping[str, Tally]
    left_out: Sequence[str]
    seconds: float
    failed: bool


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrices.mlflow_versions", description=__doc__)
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"of {', '.join(VERSIONS)}")
    parser.add_argument("--on", choices=SERVERS, help="only this server")
    parser.add_argument(
        "-k", metavar="TEXT", default="", help="only tests whose names have it, as pytest's -k"
    )
    table = parser.add_mutually_exclusive_group()
    table.add_argument("--readme", action="store_true", help="rewrite the README's table")
    table.add_argument("--quick", action="store_true", help=f"{' and '.join(_SLOW)} on {_NEWEST} only")
    parser.add_argument("--check", action="store_true", help="fail where the README's table says otherwise")
    asked = parser.parse_args()
    versions, servers = asked.versions or list(VERSIONS), [asked.on] if asked.on else SERVERS
    if asked.k and not any(suite.has_a_story(version, asked.k) for version in reversed(versions)):
        sys.exit(f"-k {asked.k}: no story of MLflow {', '.join(versions)} has that in its name")
    with tempfile.TemporaryDirectory() as scratch:
        results = _run(versions, servers, asked.k, asked.quick, Path(scratch))
    _RESULTS.write_text(json.dumps([asdict(result) for result in results], indent=2))
    rows = _rows(results)
    head = ("MLflow", *FEATURES)
    readme_table.show(head, rows)
    if asked.readme:
        readme_table.write("features", head, rows)
    untrue = readme_table.untrue(rows) if asked.check else []
    print(*(f"README.md does not have this row: {line}" for line in untrue), sep="\n", end="")
    return int(bool(untrue) or any(result.failed for result in results))


def _run(
    versions: Sequence[str], servers: Sequence[str], only: str, quick: bool, scratch: Path
) -> list[Result]:
    results: list[Result] = []
    with ExitStack() as stack:
        if "azure" in servers:
            (scratch / "azure").mkdir()
            azure = suite.workspace(stack.enter_context(EmulatedAzure(scratch / "azure")))

        def on(server: str, version: str) -> Result:
            folder = scratch / f"{version}-{server}"
            folder.mkdir()
            if server == "azure":
                left_out = list(_SLOW) if quick and version != _NEWEST else []
                return _result(version, server, azure, only, folder, left_out)
            left_out = [] if version in _IN_FULL else list(_SLOW)
            with suite.own_server(version, folder) as variables:
                return _result(version, server, variables, only, folder, left_out)

        for version in versions:
            environment(version)
            with ThreadPoolExecutor() as pool:  # the stories wait for a server most of the time
                results += pool.map(on, servers, [version] * len(servers))
    return results


def _result(
    version: str,
    server: str,
    variables: Mapping[str, str],
    only: str,
    folder: Path,
    left_out: Sequence[str],
) -> Result:
    report = folder / "report.xml"
    begin = time.monotonic()
    options = [f"--basetemp={folder}/stories", f"--junitxml={report}", "-k", only]
    ignored = (f"--ignore={suite.STORIES / _SLOW[feature]}" for feature in left_out)
    done = suite.run(version, variables, *options, *ignored)
    seconds = round(time.monotonic() - begin, 1)
    print(f"==> MLflow {version} on {server}\n{done.stdout}", flush=True)
    if done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED:
        print(
            f"-k {only}: no test in {suite.STORIES.relative_to(REPOSITORY)} has that in its name", flush=True
        )
    return Result(version, server, suite.tallies(report), left_out, seconds, failed=done.returncode != 0)


def _rows(results: Sequence[Result]) -> list[list[str | None]]:
    """Return the table's rows: a version, and of each feature how many stories hold on all servers."""
    rows = []
    for version in dict.fromkeys(result.version for result in results):
        runs = [result for result in results if result.version == version]
        rows.append([version, *(_cell(runs, feature) for feature in FEATURES)])
    return rows


def _cell(runs: Sequence[Result], feature: str) -> str | None:
    if all(feature in run.left_out for run in runs):
        return None
    tallies = [run.features[feature] for run in runs if feature in run.features]
    if not tallies:
        return ""
    worst = min(tallies, key=lambda tally: tally.passed)
    differ = f", {worst.differ} differ" if worst.differ else ""
    failed = f", {worst.failed} fail" if worst.failed else ""
    return f"{worst.passed}{differ}{failed}"


if __name__ == "__main__":
    sys.exit(main())
