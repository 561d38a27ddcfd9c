"""`azureml-databricks node ...`: what the init script calls, and an admin in `%sh`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TextIO

from azureml_databricks.checkup import examination
from azureml_databricks.node import install, proof
from azureml_databricks.node.hooks import HookError
from azureml_databricks.node.ledger import LedgerError
from azureml_databricks.node.paths import Paths
from azureml_databricks.settings import Settings

_NOT_POSSIBLE = 1
_WRONG_SETTING = 3


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code: 0 for success, 3 for a wrong setting, 1 for the rest.

    Raises:
        SystemExit: 2, and argparse has said which argument is wrong.
    """
    options = _parser().parse_args(arguments)
    # Unprivileged users read what root installs.
    os.umask(0o022)
    paths = Paths.of_this_node()
    try:
        if options.command == "install":
            return _install(paths, options)
        if options.command == "uninstall":
            return _uninstall(paths)
    except PermissionError as error:
        _say(f"azureml-databricks: {error}; run this as root", sys.stderr)
        return _NOT_POSSIBLE
    except (HookError, LedgerError, OSError) as error:
        _say(f"azureml-databricks: {error}", sys.stderr)
        return _NOT_POSSIBLE
    if paths.not_a_node:
        _say(f"azureml-databricks node: {paths.not_a_node}", sys.stderr)
        return _NOT_POSSIBLE
    report = examination.of_the_node()
    _say(report.text(), sys.stdout)
    return 0 if report.well else _NOT_POSSIBLE


def _install(paths: Paths, options: argparse.Namespace) -> int:
    if options.prove and (failure := proof.failure_once(paths, options.unpacked, options.sha256)):
        _say(f"azureml-databricks: the bundle was not tried on this runtime: {failure}", sys.stderr)
        return _NOT_POSSIBLE
    settings = install.install(paths, options.unpacked, options.sha256, options.settings)
    _say(f"azureml-databricks: in service: {paths.current.resolve()}", sys.stdout)
    if settings.problem:
        _say(f"azureml-databricks: {settings.problem}", sys.stderr)
        return _WRONG_SETTING
    _say(f"azureml-databricks: tracking URI: {_tracking_uri(settings)}", sys.stdout)
    return 0


def _tracking_uri(settings: Settings) -> str:
    """Return the tracking URI, or why there is none, where nothing is wrong."""
    if settings.asked:
        return settings.workspace().tracking_uri
    if settings["enabled"] == "false":
        return f"none, since {settings.values['enabled'].key} is false ({settings.values['enabled'].origin})"
    return "none is configured, unless a session's Spark conf has spark.azureml.trackingUri"


def _uninstall(paths: Paths) -> int:
    if not paths.home.is_dir():
        _say("azureml-databricks: nothing of ours is installed", sys.stdout)
        return 0
    for line in install.uninstall(paths):
        _say(f"azureml-databricks: {line}", sys.stdout)
    _say("azureml-databricks: removed", sys.stdout)
    return 0


def _say(text: str, file: TextIO) -> None:
    """Print, if it can be: a full disk for the logs must not undo what was done."""
    try:
        print(text, file=file, flush=True)
    except OSError:
        # Python would try once more at its end, and fail for it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="azureml-databricks node", description="The part that runs on a cluster node."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    installing = commands.add_parser("install", help="put an unpacked bundle into service")
    installing.add_argument("unpacked", type=Path, help="the folder it was unpacked to")
    installing.add_argument("--sha256", required=True, help="of the archive it came from")
    installing.add_argument("--settings", type=Path, help="the settings file beside the archive")
    installing.add_argument(
        "--prove",
        action="store_true",
        help="first see, once, that all of it imports: it was not tried on this runtime",
    )
    commands.add_parser("status", help="say what is in service, and whether every hook works")
    commands.add_parser("uninstall", help="leave every file as it was before us, to the byte")
    return parser
