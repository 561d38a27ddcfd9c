"""Where it is measured: a node of ours, one without us, and the same emulated Azure for both."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.commands import manual_way
from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import build_bundle, cluster_node, forget_tokens, service_principal
from tests.emulated.node import Node


@dataclass(frozen=True)
class Sizes:
    """How much of each is measured.

    Attributes:
        tries: of whatever takes time; the median counts.
        files: small artifacts of a run.
        megabytes: of one large artifact.
        large_tries: of that one.
        metrics: logged in a loop.
        notebooks: that begin at once on one node.
        models: in the registry.
        runs: in an experiment.
        clusters: in a Databricks workspace, with a quarter as many jobs and 15 policies for a hundred.
    """

    tries: int = 5
    files: int = 300
    megabytes: int = 300
    large_tries: int = 3
    metrics: int = 1000
    notebooks: tuple[int, ...] = (1, 8, 64)
    models: tuple[int, ...] = (200, 2_000)
    runs: tuple[int, ...] = (1_000, 10_000)
    clusters: tuple[int, ...] = (200, 2_000)


# To try the bench itself.
SMALL = Sizes(1, 20, 5, 1, 20, (1, 2), (20, 40), (20, 40), (20, 40))


@dataclass(frozen=True)
class Way:
    """A way to use MLflow with Azure ML.

    Attributes:
        node: where it is used.
        before: code that comes first.
        variables: besides the node's own.
    """

    node: Node
    before: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def python(self) -> str:
        """A notebook's Python, as a process on the node has to write it."""
        return self.node.inside(f"{self.node.notebook_environment()}/bin/python")

    def run(self, code: str, **variables: str) -> Any:
        """Run code in a new process, and return what it prints last, as JSON."""
        done = self.node.run(
            [self.python, "-W", "ignore", "-c", f"{self.before}\n{code}"], env={**self.variables, **variables}
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def seconds(self, code: str, tries: int) -> float:
        """Return the median time from a process's start to the end of `code`, each with its own login."""
        self.run(f"{code}\nprint(0)")  # what is read from the disk the first time is read by now
        times = []
        for _ in range(tries):
            forget_tokens(self.node.path("/dev/shm"))
            started = time.time()
            times.append(float(self.run(f"{code}\nimport time; print(time.time())")) - started)
        return statistics.median(times)


@dataclass(frozen=True)
class Place:
    """All that a measurement needs.

    Attributes:
        azure: the emulated one.
        ours: a node under our policy, whose init script has not run yet.
        plugin: a node with the plugin's libraries, and the variables that lead it to the workspace.
        manual: the same node, with the cell of the manual way.
        folder: to write to.
        latency: what a round trip takes besides, in seconds.
        sizes: how much is measured.
    """

    azure: EmulatedAzure
    ours: Way
    plugin: Way
    manual: Way
    folder: Path
    latency: float
    sizes: Sizes

    @contextmanager
    def far_away(self) -> Iterator[str]:
        """Have each round trip take what it does on a real network; yield how to say so."""
        if self.latency:
            self.azure.faults.add(delay=self.latency)
            self.azure.faults.connecting = 2 * self.latency  # TCP's handshake and TLS's
        try:
            yield f"at {self.latency * 1000:.0f} ms a round trip"
        finally:
            self.azure.faults.clear()


@contextmanager
def prepared(latency: float, sizes: Sizes) -> Iterator[Place]:
    """Make both nodes, and the emulated Azure; `latency` is in seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bundle = build_bundle(folder / "bundle")
        (folder / "azure").mkdir()
        with EmulatedAzure(folder / "azure") as azure:
            uri = {"AZUREML_TRACKING_URI": azure.workspace.tracking_uri}
            with (
                cluster_node(bundle, {**uri, **service_principal(azure)}, azure=azure) as ours,
                cluster_node(bundle, {}, azure=azure) as plain,
            ):
                manual_way.install(plain)
                login = {"MLFLOW_TRACKING_URI": azure.workspace.tracking_uri, **service_principal(azure)}
                yield Place(
                    azure=azure,
                    ours=Way(ours),
                    plugin=Way(plain, variables=login),
                    manual=Way(plain, before=manual_way.dbutils(azure) + manual_way.CELL),
                    folder=folder,
                    latency=latency,
                    sizes=sizes,
                )
