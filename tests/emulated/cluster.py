"""A node under our cluster policy, for tests, demo and bench."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests import REPOSITORY
from tests.emulated.azure import EmulatedAzure
from tests.emulated.node import Node, Replica, Runtime, boot
from tests.emulated.node.changes import Change

LOCATION = "/Volumes/main/default/azureml"
SCRIPT = f"{LOCATION}/azureml-databricks.sh"
RUNTIME = "15.4"
_SCRIPT = Path(sys.executable).with_name("azureml-databricks")
# The same, with archives that are built once.
_COMMAND_LINE = """
from azureml_databricks.__main__ import main
from tests.emulated.archives import build_once
build_once()
main()
"""


def build_bundle(
    out: Path,
    settings: str = "",
    location: str = LOCATION,
    runtimes: Sequence[str] = (RUNTIME,),
    extras: Sequence[str] = (),
    *,
    anew: bool = False,
) -> Path:
    """Build the bundle as an admin does, with settings in TOML, and return the folder.

    Its archives are built once, unless `anew`, which brings their packages into uv's cache.
    """
    out.mkdir(parents=True, exist_ok=True)
    file = out.with_suffix(".toml")
    file.write_text(settings)
    command = ["bundle", "--location", location, "--out", str(out)]
    command += [f"--runtime={runtime}" for runtime in runtimes] + [f"--with={extra}" for extra in extras]
    command += ["--settings", str(file)] if settings else []
    program = [_SCRIPT] if anew else [sys.executable, "-c", _COMMAND_LINE]
    done = subprocess.run([*program, *command], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


@contextmanager
def cluster_node(
    bundle: Path,
    variables: Mapping[str, str],
    *,
    azure: EmulatedAzure | None = None,
    runtime: str = RUNTIME,
    ml: bool = False,
    driver: bool = True,
) -> Iterator[Node]:
    """Boot a node that has the bundle at LOCATION, and does not have the init script run yet.

    Args:
        bundle: what `build_bundle` returned.
        variables: the policy's `spark_env_vars`, secrets resolved.
        azure: what the node's processes reach instead of the internet.
        runtime: that the node has.
        ml: whether it is the ML variant.
        driver: whether it is the driver, or a worker.
    """
    replica = Replica(Runtime.load(runtime), ml=ml)
    with boot(replica, driver=driver, spark_env_vars=variables) as node:
        node.copy_in(bundle, LOCATION)
        if azure:
            node.environment.update(way_to(azure, node))
        node.checkpoint()
        yield node


@contextmanager
def node_in_service(bundle: Path, azure: EmulatedAzure, *, ml: bool = False) -> Iterator[Node]:
    """Boot a node under a policy with a service principal, on which the init script has run."""
    with cluster_node(bundle, policy_variables(azure), azure=azure, ml=ml) as node:
        start(node)
        yield node


def policy_variables(azure: EmulatedAzure) -> dict[str, str]:
    """Return the variables of a policy that logs in with a service principal's secret."""
    return {"AZUREML_TRACKING_URI": azure.workspace.tracking_uri, **service_principal(azure)}


def service_principal(azure: EmulatedAzure) -> dict[str, str]:
    """Return the variables that the policy takes from the secret scope."""
    return {
        "AZURE_TENANT_ID": azure.principal.tenant_id,
        "AZURE_CLIENT_ID": azure.principal.client_id,
        "AZURE_CLIENT_SECRET": azure.principal.client_secret,
    }


def start(node: Node) -> None:
    """Run the init script, which must work."""
    done = node.run_init_script(SCRIPT)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", done.stderr


def tracking_uri(node: Node, python: str = "/databricks/python3/bin/python") -> str:
    """Return where MLflow's runs go in a new process, which must have nothing to say."""
    code = "import os; print(os.environ['MLFLOW_TRACKING_URI'])"
    done = node.run([node.inside(python), "-c", code])
    assert done.stderr == "", done.stderr
    return done.stdout.strip()


def uninstall(node: Node) -> str:
    """Take everything out, which must work, and return what was said."""
    done = node.run([node.inside("/usr/local/bin/azureml-databricks"), "node", "uninstall"])
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def left(node: Node) -> dict[str, Change]:
    """Return what differs from before, but for the logs that Databricks itself keeps."""
    return {path: change for path, change in node.changes().items() if "/init_scripts/" not in path}


def way_to(azure: EmulatedAzure, node: Node) -> dict[str, str]:
    """Put the emulated Azure's CA on a node, and return the variables by which its processes reach it."""
    environment = dict(azure.environment)
    authority = environment["REQUESTS_CA_BUNDLE"]
    trusted = "/databricks/emulated-azure.pem"
    node.copy_in(Path(authority), trusted)
    return {
        name: node.inside(trusted) if value == authority else value for name, value in environment.items()
    }


def forget_tokens(memory: Path = Path("/dev/shm")) -> None:
    """Remove the tokens that processes share: each process logs in anew.

    Args:
        memory: a node's, by `Node.path`; this machine's unless given.
    """
    for folder in memory.glob("azureml-databricks-*"):
        shutil.rmtree(folder)
