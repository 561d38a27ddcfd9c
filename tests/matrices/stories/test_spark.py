"""Models of Spark's own, models that score a Spark DataFrame, and Spark ML's autologging."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator

import mlflow
import pytest
from mlflow import MlflowClient
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import HashingTF, Tokenizer, VectorAssembler
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import struct
from sklearn.linear_model import LogisticRegression as SklearnClassifier

pytestmark = pytest.mark.feature("Spark")


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A Spark of two cores, with a folder for what MLflow lays down in the cluster's file system."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYSPARK_PYTHON", sys.executable)
        # MLflow 3.0's own server fails at a file that is not there, and clients try that for four minutes.
        environment.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        environment.setenv("MLFLOW_DFS_TMP", str(tmp_path_factory.mktemp("dfs")))
        session = (
            SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "1")
            .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
            .getOrCreate()
        )
        yield session
        session.stop()


@pytest.fixture(scope="module")
def messages(spark: SparkSession) -> DataFrame:
    rows = [("win money now", 1.0), ("lunch at noon", 0.0)] * 10
    return spark.createDataFrame(rows, ["text", "label"]).coalesce(1)


@pytest.fixture(scope="module")
def filter_of_spam(messages: DataFrame) -> PipelineModel:
    words = Tokenizer(inputCol="text", outputCol="words")
    counts = HashingTF(inputCol="words", outputCol="features", numFeatures=16)
    return Pipeline(stages=[words, counts, LogisticRegression(maxIter=2)]).fit(messages)


def predictions(scored: DataFrame) -> list[float]:
    return [row.prediction for row in scored.select("prediction").collect()]


# Models --------------------------------------------------------------------------------------------

# With requirements given, MLflow does not start a Spark of its own to find out which there are.


def test_a_pipeline_is_logged_registered_loaded_and_scores_as_a_udf(
    spark: SparkSession, messages: DataFrame, filter_of_spam: PipelineModel, name: str
) -> None:
    expected = predictions(filter_of_spam.transform(messages))

    with mlflow.start_run() as run:
        mlflow.spark.log_model(
            filter_of_spam, "model", registered_model_name=name, pip_requirements=["pyspark"]
        )

    for uri in (f"runs:/{run.info.run_id}/model", f"models:/{name}/1"):
        assert predictions(mlflow.spark.load_model(uri).transform(messages)) == expected
    score = mlflow.pyfunc.spark_udf(spark, f"models:/{name}/1", result_type="double")
    assert predictions(messages.withColumn("prediction", score(struct("text")))) == expected


def test_a_scikit_learn_model_scores_a_dataframe_as_a_udf(
    spark: SparkSession, classifier: SklearnClassifier, name: str
) -> None:
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(
            classifier, "model", registered_model_name=name, pip_requirements=["scikit-learn"]
        )
    numbers = spark.createDataFrame([(0.0,), (1.0,)], ["x"])

    for uri in (f"runs:/{run.info.run_id}/model", f"models:/{name}/1"):
        score = mlflow.pyfunc.spark_udf(spark, uri, env_manager="local")
        assert predictions(numbers.withColumn("prediction", score("x"))) == [0, 1]


# Autologging ---------------------------------------------------------------------------------------


@pytest.fixture
def complaints() -> Iterator[None]:
    """Autologging swallows its errors and warns: a story in which it does has failed."""
    heard: list[str] = []
    listener = logging.Handler(logging.WARNING)
    listener.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("mlflow").addHandler(listener)
    yield
    mlflow.pyspark.ml.autolog(disable=True)
    logging.getLogger("mlflow").removeHandler(listener)
    # What it repeats of a library's own warnings is no error of its own.
    said = [each for each in heard if "encountered a warning" not in each]
    assert [
        each for each in said if re.search("unexpected error|fail(?!ed to infer schema)", each, re.IGNORECASE)
    ] == []


@pytest.fixture(scope="module")
def points(spark: SparkSession) -> DataFrame:
    rows = [(float(x), float(x > 10)) for x in range(20)]
    assemble = VectorAssembler(inputCols=["x"], outputCol="features")
    return assemble.transform(spark.createDataFrame(rows, ["x", "label"]).coalesce(1)).cache()


@pytest.mark.usefixtures("complaints")
def test_an_estimator_logs_params_the_model_and_metrics_of_its_evaluation(
    points: DataFrame, client: MlflowClient, experiment_id: str
) -> None:
    mlflow.pyspark.ml.autolog()

    model = LogisticRegression(maxIter=3).fit(points)
    quality = BinaryClassificationEvaluator().evaluate(model.transform(points))

    (run,) = client.search_runs([experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["maxIter"] == "3"
    assert quality in run.data.metrics.values()
    loaded = mlflow.spark.load_model(f"runs:/{run.info.run_id}/model")
    assert predictions(loaded.transform(points)) == predictions(model.transform(points))


@pytest.mark.usefixtures("complaints")
def test_a_cross_validation_is_a_run_with_a_child_for_each_candidate(
    points: DataFrame, client: MlflowClient, experiment_id: str
) -> None:
    mlflow.pyspark.ml.autolog(log_models=False)
    estimator = LogisticRegression(maxIter=2)
    candidates = ParamGridBuilder().addGrid(estimator.regParam, [0.0, 5.0]).build()
    CrossValidator(
        estimator=estimator,
        estimatorParamMaps=candidates,
        evaluator=BinaryClassificationEvaluator(),
        numFolds=2,
        seed=1,
    ).fit(points)

    runs = client.search_runs([experiment_id])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    children = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert sorted(run.data.params["regParam"] for run in children) == ["0.0", "5.0"]
    best = {key: value for key, value in parent.data.params.items() if key.startswith("best_")}
    assert list(best.values()) in (["0.0"], ["5.0"]), parent.data.params
    artifacts = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert {"best_parameters.json", "search_results.csv"} <= artifacts
