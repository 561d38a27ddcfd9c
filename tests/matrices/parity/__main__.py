"""`make parity`: make each call of the table on both servers, and compare what comes of it.

To work on one file of calls: `python -m tests.matrices.parity registry`.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.commands import readme_table
from tests.emulated.azure import EmulatedAzure
from tests.emulated.preloaded import OF_MLFLOW, Preloaded
from tests.matrices.mlflow_versions import suite
from tests.matrices.mlflow_versions.environments import VERSIONS, environment
from tests.matrices.parity import recorder, surface
from tests.matrices.parity.comparison import Call, calls

PROGRAMS = sorted((Path(__file__).parent / "calls").glob("*.py"))
NEWEST = list(VERSIONS)[-1]
# And the last of MLflow 2, which has no logged models.
BOTH = ("2.21.3", NEWEST)
_OF_MLFLOW_3 = "logged_models"


def main() -> int:
    """Run what is asked for; 1 where a call is not as told."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrices.parity", description=__doc__)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="of tests/matrices/parity/calls")
    parser.add_argument("--mlflow", action="append", choices=VERSIONS, help="only this version")
    parser.add_argument("--readme", action="store_true", help="renew the README's counts")
    parser.add_argument("--check", action="store_true", help="fail where the README has another count")
    asked = parser.parse_args()
    programs = [each for each in PROGRAMS if not asked.programs or each.stem in asked.programs]
    failed = False
    for version in asked.mlflow or BOTH:
        with tempfile.TemporaryDirectory() as scratch:
            compared = _compared(version, programs, Path(scratch))
        wrong = [call for call in compared if not call.is_as_told(everywhere=version == NEWEST)]
        told = f"{version}: {count(compared)}"
        print(*wrong, f"MLflow {told}", sep="\n")
        if asked.readme:
            _write(version, told)
        untrue = asked.check and told not in readme_table.README.read_text()
        if untrue:
            print("README.md has another count: make parity README=1")
        failed = failed or bool(wrong or untrue)
    missing = surface.without_a_call(environment(NEWEST), PROGRAMS)
    print(*(f"no call of the table is {name}, and surface.py does not say why" for name in missing), sep="\n")
    return int(failed or bool(missing))


def _write(version: str, told: str) -> None:
    count_of_it = re.compile(rf"(?<=<!-- parity -->){re.escape(version)}: [^<]*(?=<!-- end of parity -->)")
    readme_table.README.write_text(count_of_it.sub(told, readme_table.README.read_text()))


def count(compared: Sequence[Call]) -> str:
    """Return how many calls there are, and of how many the same comes."""
    same = sum(call.is_same for call in compared)
    return f"{len(compared)} calls: {same} the same, {len(compared) - same} differ"


def _compared(version: str, programs: Sequence[Path], scratch: Path) -> list[Call]:
    programs = [each for each in programs if version[0] != "2" or each.stem != _OF_MLFLOW_3]

    def recorded(server: str, variables: Mapping[str, str]) -> None:
        modules = (*OF_MLFLOW, "mlflow.sklearn", "sklearn.linear_model")
        python = Preloaded(list, [str(environment(version))], modules=modules, env=_plain(variables))
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda program: _record(python, program, scratch / server), programs))
        python.close()

    for server in ("plain", "azure"):
        (scratch / server).mkdir()
    with (
        EmulatedAzure(scratch / "azure") as azure,
        suite.own_server(version, scratch / "plain") as own,
        ThreadPoolExecutor() as pool,
    ):
        list(pool.map(recorded, ("plain", "azure"), (own, suite.workspace(azure))))
    return [
        call
        for program in programs
        for call in calls(program, *(_results(scratch / server, program) for server in ("plain", "azure")))
    ]


def _plain(variables: Mapping[str, str]) -> dict[str, str]:
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}
    return {"PATH": "/usr/bin:/bin", "HOME": "/tmp", **quiet, **variables}


def _record(python: Preloaded, program: Path, scratch: Path) -> None:
    here = scratch / f"{program.stem}-here"
    here.mkdir()
    source = Path(recorder.__file__).read_text(encoding="utf-8")
    arguments = f"Path({str(program)!r}), Path({str(_results(scratch, program))!r})"
    done = python.run(f"{source}\nrecord({arguments})\n", cwd=str(here))
    assert done.returncode == 0, done.stderr


def _results(scratch: Path, program: Path) -> Path:
    return scratch / f"{program.stem}.json"


if __name__ == "__main__":
    sys.exit(main())
