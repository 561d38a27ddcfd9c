"""The command `azureml-databricks`: `node` and `doctor` on a cluster, the rest where the extra `admin` is."""

from __future__ import annotations

import errno
import os
import sys
from io import TextIOWrapper

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main() -> None:
    """Run the command line."""
    try:
        _run()
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        # Python writes the rest as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(f"Error: standard output cannot be written: {error.strerror}")


def _run() -> None:
    if isinstance(sys.stdout, TextIOWrapper):
        # A letter that a code page of Windows lacks is written as standard error does: \\u65e5.
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.argv[1:2] == ["node"]:
        from azureml_databricks import node_command

        sys.exit(node_command.main(sys.argv[2:]))
    if sys.argv[1:2] == ["doctor"]:
        from azureml_databricks.checkup import cli as doctor

        sys.exit(doctor.main(sys.argv[2:]))
    try:
        from azureml_databricks.admin.command_line.main import main as admin
    except ModuleNotFoundError as missing:
        if str(missing.name).startswith("azureml_databricks.admin."):
            raise
        sys.exit(
            "azureml-databricks: here there are `azureml-databricks doctor` and `azureml-databricks node`; "
            "all else is for an admin's machine: pip install 'azureml-databricks[admin]'"
        )
    admin()


if __name__ == "__main__":
    main()
