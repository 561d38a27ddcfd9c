"""What this cluster is like, which the hooks rest on; docs/platform.md says what we believe of it."""

from __future__ import annotations

from collections.abc import Iterator

from azureml_databricks.checkup import platform_cell
from azureml_databricks.checkup.findings import Finding, Part
from azureml_databricks.node import spark_conf

PART = Part("platform")


def findings() -> Iterator[Finding]:
    """Yield the rows that the cell of docs/platform.md prints; none of them is right or wrong."""
    spark = spark_conf.session()
    if spark is None:
        yield from map(_finding, platform_cell.rows())
        return
    from pyspark import cloudpickle

    # By value: tasks may not have the module.
    cloudpickle.register_pickle_by_value(platform_cell)
    try:
        yield from map(_finding, platform_cell.rows(spark))
    finally:
        cloudpickle.unregister_pickle_by_value(platform_cell)


def _finding(row: tuple[str, str, str]) -> Finding:
    where, what, seen = row
    return PART.ok(f"{what}, in {where}" if where != "this process" else what, seen)
