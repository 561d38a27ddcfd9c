"""A notebook's cell, as a data scientist writes it: logs a run and a model, registers it, loads it back."""

from __future__ import annotations

import os

import mlflow
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression

X, y = load_wine(return_X_y=True)
model = LogisticRegression(max_iter=10000).fit(X, y)

with mlflow.start_run() as run:
    mlflow.log_param("max_iter", 10000)
    mlflow.log_metric("accuracy", model.score(X, y))
    mlflow.log_text("as expected", "notes.txt")
    mlflow.sklearn.log_model(model, "model", registered_model_name=os.environ["MODEL"])

kept = mlflow.get_run(run.info.run_id)
loaded = mlflow.pyfunc.load_model(f"models:/{os.environ['MODEL']}/1")
assert kept.data.params == {"max_iter": "10000"}
assert kept.data.metrics == {"accuracy": model.score(X, y)}
assert mlflow.artifacts.load_text(f"{kept.info.artifact_uri}/notes.txt") == "as expected"
assert (loaded.predict(X) == model.predict(X)).all()
