"""`azureml-databricks`, as an admin runs it.

What takes seconds to import (databricks-sdk, azure-ai-ml) is imported where a command is sure to need it.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

import click

from azureml_databricks.admin import to_run
from azureml_databricks.admin.command_line import files, first_file, help_texts, lifecycle, options, secrets
from azureml_databricks.admin.command_line.group import Group


@click.group(
    cls=Group,
    epilog=help_texts.EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="azureml-databricks")
def main() -> None:
    """Point MLflow on Databricks clusters at an Azure Machine Learning workspace."""
    to_run.is_about(options.file_in(sys.argv[1:]))
    # A job of CI that is cancelled gets it, and gives its lock back as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


for _command in (
    *(first_file.init, first_file.schema, secrets.secrets, files.policy, files.bundle),
    *(lifecycle.plan, lifecycle.deploy, lifecycle.destroy, lifecycle.status, lifecycle.verify),
):
    main.add_command(_command)

# For the help: `__main__` takes them before an admin's libraries are imported.
_ON_A_NODE: dict[str, Any] = {
    "add_help_option": False,
    "context_settings": {"ignore_unknown_options": True, "allow_extra_args": True},
}


@main.command(**_ON_A_NODE)
@click.pass_context
def doctor(context: click.Context) -> None:
    """On a cluster: look at everything between it and Azure ML."""
    from azureml_databricks.checkup import cli as doctor

    context.exit(doctor.main(context.args))


@main.command(**_ON_A_NODE)
@click.pass_context
def node(context: click.Context) -> None:
    """On a cluster: what is in service there, and taking it out."""
    from azureml_databricks import node_command

    context.exit(node_command.main(context.args))
