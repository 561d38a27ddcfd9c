"""`make demo`: everything real but Azure, Databricks and the machine, in two or three minutes."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from rich.console import Console
from rich.table import Column, Table

from tests.admin.journey import Journey, astray
from tests.admin.secret_search import Arguments, SecretSearch
from tests.commands import manual_way
from tests.commands.demo import notebook
from tests.commands.demo.admin import VOLUME, deploy
from tests.commands.measure import seconds_until_done
from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import RUNTIME, build_bundle, cluster_node
from tests.emulated.databricks import EmulatedDatabricks, started_cluster, started_spark_cluster
from tests.emulated.node import Node, Replica, Runtime
from tests.emulated.node.boot import no_overlay
from tests.emulated.spark.distribution import spark_layers
from tests.emulated.transcript import Transcript

_RUNTIME = os.environ.get("RUNTIME") or RUNTIME
_HERE = Path(__file__).parent
_READY = "import mlflow\nmlflow.get_tracking_uri()"
_console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Beside:
    """What is compared.

    Attributes:
        cells: that a notebook needs for it.
        requests: to Azure until the tracking URI is ready.
        seconds: from process start until then, a median.
    """

    cells: int
    requests: int
    seconds: float


def main() -> None:
    """Run the demo; with KEEP=1, leave MLflow's web page open on the results."""
    replica = Replica(Runtime.load(_RUNTIME), ml=True)
    _ = replica.interpreter  # fetched now, if this machine has none: more than one of what follows wants it
    transcript = Transcript()
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor() as pool, Arguments() as arguments:
        folder = Path(scratch)
        _step(f"prepares runtime {_RUNTIME} ML (the first time fetches packages and Spark: minutes)")
        fetched = [pool.submit(_layers, replica), pool.submit(_layers_of_spark, replica)]
        # The deployment below finds its packages in uv's cache, since it reaches nothing but this Azure.
        built = pool.submit(build_bundle, folder / "bundle", runtimes=[_RUNTIME], anew=True)
        _step("starts the emulated Azure (the first time fetches Azurite from npm, some 190 MB)")
        azure_folder = folder / "azure"
        azure_folder.mkdir()
        with EmulatedAzure(azure_folder, transcript=transcript.of) as azure:
            bundle = built.result()
            for each in fetched:
                each.result()
            _step("starts an emulated Databricks workspace")
            (folder / "databricks").mkdir()
            emulated = EmulatedDatabricks(folder / "databricks", azure=azure, transcript=transcript.of)
            with emulated as databricks:
                journey = Journey(azure, databricks, transcript, arguments)
                ours, search = _our_way(journey, folder)
            if _RUNTIME == RUNTIME:  # what the manual way needs is locked for that one
                _compare(ours, _manual_way(bundle, azure))
            _tell_where_secrets_are(search, journey.where_they_belong())
            if os.environ.get("KEEP"):
                _keep_open(azure)


def _layers(replica: Replica) -> None:
    _ = replica.layer


def _layers_of_spark(replica: Replica) -> None:
    if not no_overlay():
        spark_layers(_RUNTIME, replica.interpreter, connect=False)


def _our_way(journey: Journey, folder: Path) -> tuple[Beside, SecretSearch]:
    databricks, azure = journey.databricks, journey.azure
    ann = databricks.user("ann@contoso.com", groups=["data-scientists"])
    _step("an admin describes the deployment, hands over the service principal, and deploys:")
    for number, said in enumerate(deploy(_RUNTIME, databricks, azure, folder / "admin")):
        journey.shown[f"the admin's command {number}"] = said
        _console.print(said, style="dim", end="", markup=False)
    journey.of_admin = len(azure.tokens.issued)
    (policy,) = databricks.client(ann).cluster_policies.list()
    assert policy.policy_id
    cluster: dict[str, Any] = {"who": ann, "azure": azure, "node_type_id": "Standard_DS3_v2"}
    if reason := no_overlay():
        _step(f"one node without Spark, since {reason}; a data scientist picks the policy {policy.name!r}:")
        with started_cluster(databricks, policy.policy_id, **cluster) as node:
            ours = _run(node, journey, "wine.ipynb", lambda path, env: node.run_notebook(path, env=env))
            return ours, _searched(journey, [node], folder)
    _step(f"a data scientist picks the policy {policy.name!r} for a cluster with two workers")
    started = time.perf_counter()
    with started_spark_cluster(databricks, policy.policy_id, num_workers=2, **cluster) as spark:
        _console.print(f"   up, with Spark across it, in {time.perf_counter() - started:.0f} s", style="dim")
        ours = _run(
            spark.driver,
            journey,
            "wine_on_spark.ipynb",
            lambda path, env: spark.run_notebook(path, env=env, timeout=600),
        )
        return ours, _searched(journey, [spark.driver, *spark.workers], folder)


def _run(
    driver: Node,
    journey: Journey,
    name: str,
    run: Callable[[Path, Mapping[str, str]], NotebookNode],
) -> Beside:
    azure = journey.azure
    _step("what the init script says on the driver:")
    for log in sorted(driver.path("/databricks/init_scripts").glob("*.log")):
        _console.print(log.read_text(), style="dim", end="", markup=False)
    _step(f"runs {name}, which has no line of Azure in it, in a kernel on the driver")
    azure.journal.clear()
    with _console.status("the notebook runs (a minute)"):
        ran = run(_HERE / name, notebook.context(driver))
    journey.shown["the notebook"] = json.dumps(ran)
    _console.print(f"   predicted: {ran.cells[-1].outputs[-1].data['text/plain']}", style="dim")
    hosts = dict(azure.journal.hosts())
    tokens = len(azure.journal.of("login.*", "/token"))
    _show(driver, azure)
    _console.print(_requests(hosts, tokens, len(azure.journal.refused)))
    return _measured(azure, driver, _READY, cells=0)


def _searched(journey: Journey, nodes: Sequence[Node], folder: Path) -> SecretSearch:
    """Return what looked for the secret and each token in all that was written, sent or shown."""
    client = journey.databricks.cluster_client(journey.databricks.admin)
    journey.keep_what_is_in_the_workspace(client, VOLUME)
    journey.arguments.wait_for_a_round()
    search = journey.searched(nodes)
    search.look_below(folder)
    return search


def _manual_way(bundle: Path, azure: EmulatedAzure) -> Beside:
    _step("does the same the manual way: a plain node, azure-ai-ml installed, a cell in the notebook")
    with cluster_node(bundle, {}, azure=azure, runtime=_RUNTIME) as node:
        manual_way.install(node)
        return _measured(azure, node, manual_way.dbutils(azure) + manual_way.CELL, cells=1)


def _measured(azure: EmulatedAzure, node: Node, code: str, *, cells: int) -> Beside:
    azure.journal.clear()
    node.run_notebook([code])
    requests = len(azure.journal)
    return Beside(cells, requests, seconds_until_done(node, code))


def _show(node: Node, azure: EmulatedAzure) -> None:
    table = Table("what", Column("value", overflow="fold"), title="What is in the Azure ML workspace")
    table.add_row("tracking URI", azure.workspace.tracking_uri)
    for what, shown in notebook.left_in_the_workspace(node).items():
        table.add_row(what, shown)
    _console.print(table)


def _requests(hosts: Mapping[str, int], tokens: int, refused: int) -> Table:
    # Which the manual way asks for the workspace.
    caption = (
        "management.azure.com: no notebook asks it, since the policy says where the workspace is; "
        "the admin's commands did, before"
    )
    table = Table("host", "requests", title="What the notebook asked of Azure", caption=caption)
    for host, count in sorted({"management.azure.com": 0, **hosts}.items()):
        table.add_row(host, str(count))
    table.add_section()
    table.add_row("of these, tokens issued", str(tokens))
    table.add_row("of these, to hosts outside Azure ML, refused", str(refused))
    return table


def _compare(ours: Beside, manual: Beside) -> None:
    table = Table("", "azureml-databricks", "the manual way", title="Beside the manual way")
    table.add_row("cells added to a notebook", str(ours.cells), str(manual.cells))
    table.add_row("requests until the tracking URI is ready", str(ours.requests), str(manual.requests))
    table.add_row("time from process start until then", f"{ours.seconds:.2f} s", f"{manual.seconds:.2f} s")
    table.add_row("the same, as a ratio", f"{ours.seconds / manual.seconds:.2f}", "1")
    _console.print(table)


def _tell_where_secrets_are(search: SecretSearch, where_they_belong: Mapping[str, set[str]]) -> None:
    """Tell where the secret and each token were found.

    Raises:
        SystemExit: one is where it does not belong, or none was found at all.
    """
    _step("looks for the client secret and each token in all of it: as they are, URL-encoded and in base64")
    for place, names in sorted(search.found.items()):
        where = place.replace("127.0.0.1", "the emulated Databricks")
        _console.print(f"   {where}: {_counted(names)}", style="dim", markup=False)
    if wrong := astray(search, where_they_belong):
        sys.exit(f"secrets where they do not belong: {wrong}")
    if not search.found:
        sys.exit("no secret was found, not even where the admin put it: the search does not work")
    _console.print(
        f"   {search.secrets} secrets looked for in {search.places:,} places (files, logs, arguments, "
        "policies, requests, what was printed): each is only where the admin put it, or where it logs in"
    )


def _counted(names: Iterable[str]) -> str:
    """Return them with `token 0 of the admin` and `token 1 of the admin` as two tokens of the admin."""
    kinds = Counter(re.sub(r"^token \d+ of", "token of", name) for name in names)
    return ", ".join(
        kind if count == 1 else f"{count} {kind.replace('token', 'tokens', 1)}"
        for kind, count in sorted(kinds.items())
    )


def _keep_open(azure: EmulatedAzure) -> None:
    _console.print(f"[bold]==>[/] MLflow's own web page shows the results: {azure.mlflow_url}")
    _console.print("    (not the artifacts: they lie in the emulated storage account). Ctrl-C ends it.")
    while True:
        time.sleep(3600)


def _step(what: str) -> None:
    _console.print(f"[bold]==>[/] {what}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing is left behind")
