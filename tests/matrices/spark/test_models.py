"""Spark models where there is no DBFS root, as in new accounts.

Source: https://learn.microsoft.com/azure/databricks/dbfs/disable-dbfs-root-mounts
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import run_alone

VERSION = "3.17.2"

# The cluster's file system has volumes, and nothing else can be written.
LOG = """
    import mlflow, sys
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import Tokenizer
    from pyspark.sql import SparkSession
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.warehouse.dir", "file:{folder}/warehouse")
        .config("spark.hadoop.fs.defaultFS", "viewfs://dbfs/")
        .config("spark.hadoop.fs.viewfs.mounttable.dbfs.link./Volumes", "file:{folder}/Volumes")
        .getOrCreate()
    )
    texts = spark.sql("SELECT 'win money now' AS text")
    model = Pipeline(stages=[Tokenizer(inputCol="text", outputCol="words")]).fit(texts)
    with mlflow.start_run() as run:
        mlflow.spark.log_model(model, "model", pip_requirements=["pyspark"])
    loaded = mlflow.spark.load_model(f"runs:/{{run.info.run_id}}/model")
    print(loaded.transform(texts).first().words)
    """


@pytest.mark.thorough
def test_a_spark_model_is_logged_by_way_of_a_volume_where_there_is_no_dbfs_root(
    azure: EmulatedAzure, tmp_path: Path
) -> None:
    (tmp_path / "Volumes/main/default/tmp").mkdir(parents=True)
    variables = {"PATH": os.environ["PATH"], "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    code = LOG.format(folder=tmp_path)

    # Without a setting it is refused
    refused = run_alone(VERSION, azure, code, **variables)
    assert refused.returncode != 0
    assert "File/Directory does not exist: /tmp" in refused.stderr

    # With what the admin sets below [settings.env] it works
    done = run_alone(VERSION, azure, code, **variables, MLFLOW_DFS_TMP="/Volumes/main/default/tmp")
    assert done.returncode == 0, done.stderr
    assert "['win', 'money', 'now']" in done.stdout
