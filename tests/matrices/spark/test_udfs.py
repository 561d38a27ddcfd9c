"""A service credential of Unity Catalog is there for a UDF, too: it logs its own run."""

from __future__ import annotations

from pathlib import Path

from tests.emulated import unity_catalog
from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import run_alone

LOG = """
    import os, sys
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable

    def log(rows):
        import mlflow
        with mlflow.start_run() as run:
            mlflow.log_metric("m", 1)
        yield run.info.run_id

    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    print(spark.sparkContext.parallelize([1], 1).mapPartitions(log).collect())
    """


def test_a_udf_logs_a_run(azure: EmulatedAzure, tmp_path: Path) -> None:
    # Given a policy that gives the cluster no secret, and what a UDF has of Unity Catalog
    variables = dict.fromkeys(("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"), "")
    variables |= {
        "AZUREML_AUTH": "service-credential",
        "DATABRICKS_DEFAULT_SERVICE_CREDENTIAL_NAME": unity_catalog.SERVICE_CREDENTIAL,
        **unity_catalog.put_for_udfs(azure, tmp_path),
    }

    # When a UDF logs
    done = run_alone("3.17.2", azure, LOG, **variables)

    # Then the run is there
    assert done.returncode == 0, done.stderr
    assert azure.journal.of("*.api.azureml.ms", "runs/create")
