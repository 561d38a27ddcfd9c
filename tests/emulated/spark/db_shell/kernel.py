"""A notebook's kernel: IPython's, with `spark` and `dbutils` in its namespace, and Databricks' magics."""

from __future__ import annotations

import sys

from ipykernel.kernelapp import IPKernelApp

from .dbutils import DBUtils
from .magics import load
from .session import prepare

_ML = "--ml"


def main() -> None:
    """Run a kernel; arguments as of `ipykernel_launcher`, and `--ml` on ML runtimes."""
    flags = [argument for argument in sys.argv[1:] if argument == _ML]
    arguments = [argument for argument in sys.argv[1:] if argument != _ML]
    spark = prepare(ml=bool(flags))
    dbutils = DBUtils([sys.executable, sys.argv[0], *flags])
    app = IPKernelApp.instance(user_ns={"spark": spark, "dbutils": dbutils})
    app.initialize(arguments)
    load(app.shell)
    app.start()
