"""What a plan asks of a Databricks workspace, and how long it takes, as the workspace grows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise

from tests.admin.conftest import Admin
from tests.admin.large_workspace import fill
from tests.commands.bench.place import Place
from tests.commands.bench.rows import SMALLER, Row, say
from tests.emulated.databricks import EmulatedDatabricks


def rows(place: Place) -> Iterator[Row]:
    """Measure a plan that finds nothing to change."""
    figures = {size: _plan(place, size) for size in place.sizes.clusters}
    for smaller, larger in pairwise(sorted(figures)):
        what = f"of `plan` with {_named(larger)}, beside {_named(smaller)}"
        times = larger / smaller
        (requests, seconds), (fewer, less) = figures[larger], figures[smaller]
        yield Row(f"requests {what}", SMALLER, requests, fewer, times=times)
        yield Row(f"time {what}", SMALLER, seconds, less, "{:.1f} s", times=times)


def _named(clusters: int) -> str:
    return f"{clusters:,} clusters, {clusters // 4:,} jobs and {_policies(clusters):,} policies"


def _policies(clusters: int) -> int:
    return clusters * 15 // 100


def _plan(place: Place, clusters: int) -> tuple[int, float]:
    """Return the requests and the seconds of a plan."""
    say(_named(clusters))
    folder = place.folder / f"{clusters} clusters"
    folder.mkdir()
    with EmulatedDatabricks(folder, azure=place.azure) as databricks:
        admin = Admin.with_a_file(folder, databricks, place.azure)
        admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
        admin.run_or_fail("deploy", "--yes")
        fill(admin, clusters, clusters // 4, _policies(clusters), pipelines=0)
        databricks.journal.clear()
        begun = time.monotonic()
        admin.run_or_fail("plan")
        return len(databricks.journal), time.monotonic() - begun
