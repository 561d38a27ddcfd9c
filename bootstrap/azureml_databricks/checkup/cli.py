"""`azureml-databricks doctor`, as an admin runs it in `%sh`."""

from __future__ import annotations

import argparse
import logging
import os
import sys

from azureml_databricks.checkup import examination
from azureml_databricks.node.paths import Paths


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code: 0 where nothing is wrong, 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="azureml-databricks doctor",
        description="Look at everything between this node and Azure ML; say what is wrong, and what to do.",
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options = parser.parse_args(arguments)
    if elsewhere := Paths.of_this_node().not_a_node:
        sys.exit(f"azureml-databricks doctor: {elsewhere}")
    # It warns of a failed login in its own words, where nobody handles its warnings.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    report = examination.whole()
    # https://no-color.org
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print(report.json() if options.json else report.text(colours=colours))
    return 0 if report.well else 1
