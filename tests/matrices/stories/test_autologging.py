"""Autologging, as Databricks turns it on before the first cell, and as users set it up themselves."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import lightgbm
import mlflow
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import xgboost
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.models import Model
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.feature("Autologging")

DATA = pd.DataFrame({"age": [20.0, 30.0, 40.0, 50.0] * 5, "visits": [9.0, 7.0, 2.0, 1.0] * 5})
CHURNED = np.array([0, 0, 1, 1] * 5)


@pytest.fixture(autouse=True)
def complaints() -> Iterator[None]:
    """Autologging swallows its errors and warns: a story in which it does has failed."""
    heard: list[str] = []
    listener = logging.Handler(logging.WARNING)
    listener.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("mlflow").addHandler(listener)
    yield
    logging.getLogger("mlflow").removeHandler(listener)
    # What it repeats of a library's own warnings is no error of its own.
    said = [each for each in heard if "encountered a warning" not in each]
    assert [each for each in said if re.search("unexpected error|fail", each, re.IGNORECASE)] == []


@pytest.fixture(autouse=True)
def few_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow 3.0's own server fails at a file that is not there, and clients try that for four minutes."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")


@pytest.fixture(autouse=True)
def off_afterwards() -> Iterator[None]:
    yield
    for library in (mlflow.sklearn, mlflow.xgboost, mlflow.lightgbm):
        library.autolog(disable=True)


def only_run(client: MlflowClient, experiment_id: str) -> Run:
    (run,) = client.search_runs([experiment_id])
    return run


def rounds(client: MlflowClient, run: Run, metric: str) -> list[int]:
    """Return the steps at which a metric was logged."""
    return [each.step for each in client.get_metric_history(run.info.run_id, metric)]


def artifacts(client: MlflowClient, run: Run) -> set[str]:
    return {item.path for item in client.list_artifacts(run.info.run_id)}


def logged_model(run: Run) -> mlflow.pyfunc.PyFuncModel:
    return mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")


# scikit-learn --------------------------------------------------------------------------------------


def test_what_databricks_turns_on_before_the_first_cell_logs_a_library_that_is_imported_later(
    elsewhere: Callable[..., Any], name: str, client: MlflowClient, experiment_id: str
) -> None:
    complaints = elsewhere(
        """
        import io, logging
        mlflow.autolog(
            log_input_examples=False, log_model_signatures=True, log_models=True, disable=False,
            exclusive=False, disable_for_unsupported_versions=True, silent=False,
        )
        heard = io.StringIO()
        logging.getLogger("mlflow").addHandler(logging.StreamHandler(heard))
        mlflow.set_experiment(experiment)
        import numpy
        from sklearn.tree import DecisionTreeClassifier
        DecisionTreeClassifier(max_depth=3).fit(numpy.array([[0.0], [1.0]] * 5), [0, 1] * 5)
        print(json.dumps([line for line in heard.getvalue().splitlines() if "unexpected error" in line]))
        """,
        experiment=name,
    )

    run = only_run(client, experiment_id)
    assert run.data.params["max_depth"] == "3"
    assert run.data.metrics["training_accuracy_score"] == 1.0
    assert logged_model(run).predict(np.array([[0.0], [1.0]])).tolist() == [0, 1]
    assert complaints == []


def test_a_fit_logs_params_metrics_and_a_registered_model_with_an_example(
    client: MlflowClient, experiment_id: str, name: str
) -> None:
    mlflow.sklearn.autolog(log_input_examples=True, registered_model_name=name)

    model = LogisticRegression(C=0.5).fit(DATA, CHURNED)

    run = only_run(client, experiment_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["C"] == "0.5"
    assert run.data.metrics["training_accuracy_score"] == model.score(DATA, CHURNED)
    assert run.data.tags["estimator_name"] == "LogisticRegression"
    assert "training_confusion_matrix.png" in artifacts(client, run)
    path = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/model")
    example = Model.load(path).load_input_example(path)
    pd.testing.assert_frame_equal(pd.DataFrame(example), DATA.head(len(example)))
    registered = mlflow.pyfunc.load_model(f"models:/{name}/1")
    assert registered.predict(DATA).tolist() == model.predict(DATA).tolist()
    assert registered.metadata.get_input_schema().input_names() == ["age", "visits"]


def test_the_training_data_is_an_input_of_the_run(client: MlflowClient, experiment_id: str) -> None:
    mlflow.sklearn.autolog(log_models=False)

    LogisticRegression().fit(DATA, CHURNED)

    (trained_on,) = only_run(client, experiment_id).inputs.dataset_inputs
    assert {tag.key: tag.value for tag in trained_on.tags} == {"mlflow.data.context": "train"}
    assert '"num_rows": 20' in trained_on.dataset.profile


def test_without_models_the_rest_is_logged(client: MlflowClient, experiment_id: str) -> None:
    mlflow.sklearn.autolog(log_models=False)

    LogisticRegression().fit(DATA, CHURNED)

    run = only_run(client, experiment_id)
    assert "training_accuracy_score" in run.data.metrics
    assert "training_confusion_matrix.png" in artifacts(client, run)
    with pytest.raises((mlflow.MlflowException, TypeError, OSError)):
        logged_model(run)


def test_a_grid_search_is_a_run_with_a_child_for_each_candidate(
    client: MlflowClient, experiment_id: str
) -> None:
    mlflow.sklearn.autolog()
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0, 10.0]}, cv=2).fit(DATA, CHURNED)

    runs = client.search_runs([experiment_id])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    children = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert sorted(run.data.params["C"] for run in children) == ["0.1", "1.0", "10.0"]
    assert all("mean_test_score" in run.data.metrics for run in children)
    assert parent.data.params["best_C"] == str(search.best_params_["C"])
    assert parent.data.metrics["best_cv_score"] == search.best_score_
    assert logged_model(parent).predict(DATA).tolist() == search.predict(DATA).tolist()
    results = mlflow.artifacts.download_artifacts(f"runs:/{parent.info.run_id}/cv_results.csv")
    assert len(pd.read_csv(results)) == 3


def test_a_pipeline_logs_the_params_of_its_steps(client: MlflowClient, experiment_id: str) -> None:
    mlflow.sklearn.autolog(log_models=False)

    make_pipeline(StandardScaler(), LogisticRegression(C=2.0)).fit(DATA, CHURNED)

    run = only_run(client, experiment_id)
    assert run.data.tags["estimator_name"] == "Pipeline"
    assert run.data.params["logisticregression__C"] == "2.0"
    assert run.data.params["standardscaler__with_mean"] == "True"


def test_a_metric_that_is_computed_after_training_joins_the_run(
    client: MlflowClient, experiment_id: str
) -> None:
    mlflow.sklearn.autolog(log_models=False)
    model = LogisticRegression().fit(DATA, CHURNED)
    unseen = DATA.head(4)

    accuracy = sklearn.metrics.accuracy_score(CHURNED[:4], model.predict(unseen))
    model.score(unseen, CHURNED[:4])

    metrics = only_run(client, experiment_id).data.metrics
    assert metrics["accuracy_score_unseen"] == accuracy
    assert metrics["LogisticRegression_score_unseen"] == accuracy


# Runs of the user's --------------------------------------------------------------------------------


def test_in_a_run_of_the_users_all_is_logged_to_that_run(client: MlflowClient, experiment_id: str) -> None:
    mlflow.sklearn.autolog(log_models=False)

    with mlflow.start_run() as mine:
        mlflow.log_param("team", "churn")
        LogisticRegression(C=3.0).fit(DATA, CHURNED)
        assert mlflow.active_run().info.run_id == mine.info.run_id
        mlflow.log_metric("mine", 1.0)

    run = only_run(client, experiment_id)
    assert run.info.run_id == mine.info.run_id
    assert run.data.params["team"] == "churn"
    assert run.data.params["C"] == "3.0"
    assert {"mine", "training_accuracy_score"} <= set(run.data.metrics)


def test_each_fit_outside_of_a_run_is_a_finished_run(client: MlflowClient, experiment_id: str) -> None:
    mlflow.sklearn.autolog(log_models=False)

    for c in (1.0, 2.0):
        LogisticRegression(C=c).fit(DATA, CHURNED)
        assert mlflow.active_run() is None
        assert mlflow.last_active_run().data.params["C"] == str(c)

    runs = client.search_runs([experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]


def test_fits_in_nested_runs_are_logged_to_the_inner_ones(client: MlflowClient, experiment_id: str) -> None:
    mlflow.sklearn.autolog(log_models=False)

    with mlflow.start_run() as outer:
        for c in (1.0, 2.0):
            with mlflow.start_run(nested=True):
                LogisticRegression(C=c).fit(DATA, CHURNED)

    children = client.search_runs([experiment_id], f"tags.mlflow.parentRunId = '{outer.info.run_id}'")
    assert sorted(run.data.params["C"] for run in children) == ["1.0", "2.0"]
    assert client.get_run(outer.info.run_id).data.params == {}


# Gradient boosting and networks --------------------------------------------------------------------


def test_xgboost_logs_every_round_the_importances_and_the_model(
    client: MlflowClient, experiment_id: str
) -> None:
    mlflow.xgboost.autolog()
    train = xgboost.DMatrix(DATA, label=CHURNED)

    booster = xgboost.train(
        {"objective": "binary:logistic", "max_depth": 2},
        train,
        num_boost_round=7,
        evals=[(train, "train")],
        verbose_eval=False,
    )

    run = only_run(client, experiment_id)
    assert run.data.params["max_depth"] == "2"
    assert run.data.params["num_boost_round"] == "7"
    assert rounds(client, run, "train-logloss") == list(range(7))
    assert {"feature_importance_weight.json", "feature_importance_weight.png"} <= artifacts(client, run)
    assert logged_model(run).predict(DATA) == pytest.approx(booster.predict(train))


def test_lightgbm_logs_every_round_the_importances_and_the_model(
    client: MlflowClient, experiment_id: str
) -> None:
    mlflow.lightgbm.autolog()
    train = lightgbm.Dataset(DATA, label=CHURNED)

    booster = lightgbm.train(
        {"objective": "binary", "num_leaves": 3, "min_data_in_leaf": 1, "verbose": -1},
        train,
        num_boost_round=7,
        valid_sets=[train],
        valid_names=["train"],
    )

    run = only_run(client, experiment_id)
    assert run.data.params["num_leaves"] == "3"
    assert rounds(client, run, "train-binary_logloss") == list(range(7))
    assert {"feature_importance_gain.json", "feature_importance_split.png"} <= artifacts(client, run)
    assert logged_model(run).predict(DATA) == pytest.approx(booster.predict(DATA))


# The Keras of the environments is Keras 3, which MLflow knows since this version.
@pytest.mark.since("2.11")
def test_keras_logs_every_epoch_and_the_model(
    client: MlflowClient, experiment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    import keras

    # Without TensorFlow, MLflow cannot log Keras' training data as a dataset.
    mlflow.keras.autolog(log_datasets=False)
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, activation="sigmoid")])
    network.compile(optimizer="adam", loss="binary_crossentropy")
    given = DATA.to_numpy("float32")

    network.fit(given, CHURNED, epochs=3, batch_size=5, validation_data=(given, CHURNED), verbose=0)

    run = only_run(client, experiment_id)
    assert run.data.params["epochs"] == "3"
    assert run.data.params["batch_size"] == "5"
    assert len(rounds(client, run, "loss")) == len(rounds(client, run, "validation_loss")) == 3
    assert "model_summary.txt" in artifacts(client, run)
    assert np.asarray(logged_model(run).predict(given)) == pytest.approx(network.predict(given, verbose=0))
