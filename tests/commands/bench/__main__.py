"""`make bench`: measure what we cost, and print it beside what others cost; it takes some ten minutes."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.commands import readme_table
from tests.commands.bench import files, first_run, growth, init_script, large_workspace, starts
from tests.commands.bench.place import SMALL, Place, Sizes, prepared
from tests.commands.bench.rows import Row, say, show
from tests.emulated.cluster import start

COST = ("", "beside", "azureml-databricks : the other")
GROWTH = ("how it grows", "the size", "what we take")


@dataclass(frozen=True)
class Part:
    """What can be measured alone.

    Attributes:
        title: what it is about.
        rows: measure it.
        bare: whether it wants a node on which the init script has not run, and runs it.
    """

    title: str
    rows: Callable[[Place], Iterable[Row]]
    bare: bool = False


# In this order: the first one runs the init script for all others.
PARTS = {
    "starts": Part("a Python's start, counted by valgrind", starts.rows, bare=True),
    "script": Part("a node's start, by the steps of the init script", init_script.rows),
    "runs": Part("a process until its first run is logged, and metrics", first_run.rows),
    "files": Part("artifacts and models", files.rows),
    "growth": Part("requests, as notebooks, models and runs become more", growth.rows),
    "plan": Part("`plan` in a large workspace", large_workspace.rows),
}


def main() -> None:
    """Do it."""
    asked = asked_for(sys.argv[1:])
    begun = time.monotonic()
    told: list[Row] = []
    say("makes two nodes and the emulated Azure")
    with prepared(asked.latency / 1000, SMALL if asked.small else Sizes()) as place:
        for number, name in enumerate([asked.only] if asked.only else PARTS):
            part = PARTS[name]
            if not number and not part.bare:
                start(place.ours.node)
            say(f"{name}: {part.title}")
            rows = list(part.rows(place))
            show(part.title, rows)
            told += rows
    print(f"All of it took {(time.monotonic() - begun) / 60:.0f} minutes.")
    if asked.readme:
        write(told)


def asked_for(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what the command line asks for.

    Raises:
        SystemExit: there is no such option, or two do not go together.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tests.commands.bench",
        description=__doc__,
        epilog="\n".join(["parts:", *(f"  {name:8}{part.title}" for name, part in PARTS.items())]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=PARTS, metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--latency", type=float, default=40, metavar="MS", help="of a round trip; else 40")
    parser.add_argument("--small", action="store_true", help="try the bench itself: its figures mean nothing")
    parser.add_argument("--readme", action="store_true", help="write the README's tables")
    asked = parser.parse_args(arguments)
    if asked.readme and (asked.only or asked.small):
        sys.exit("the README's tables are of all parts at full size: README=1 goes without ONLY and SMALL")
    return asked


def write(told: Sequence[Row]) -> None:
    """Write the README's two tables."""
    # Ratios hold on other machines too.
    shown = [row for row in told if row.in_readme]
    cost = [(row.what, row.beside, row.ratio) for row in shown if not row.times]
    grown = [
        (row.what, f"{row.times:g} times", f"{row.ours / row.other:.2f} times") for row in shown if row.times
    ]
    readme_table.write("cost", COST, cost)
    readme_table.write("growth", GROWTH, grown)


if __name__ == "__main__":
    main()
