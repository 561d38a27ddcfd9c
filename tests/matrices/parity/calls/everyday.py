"""What a notebook does every day: much of all, values of all types, searches for the best run."""

import datetime
import decimal
import json
import math
import os
import pathlib

import matplotlib.figure
import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

client = MlflowClient()
experiment = mlflow.set_experiment("everyday").experiment_id
wide = pd.DataFrame({f"column {n}": [float(n), 1.0] for n in range(300)})
points = np.linspace(0, 1, 20).reshape(10, 2)
labels = [0, 1] * 5
needs = {"pip_requirements": ["scikit-learn"]}
os.makedirs("plots/deep")
os.makedirs("empty/inside")
pathlib.Path("plots/loss.png").write_bytes(b"png")
pathlib.Path("plots/deep/acc.png").write_bytes(b"png")


def data(run):
    """Return params, metrics and the tags that were set, of a run."""
    found = client.get_run(run.info.run_id).data
    tags = {key: value for key, value in found.tags.items() if not key.startswith("mlflow.")}
    return [found.params, found.metrics, tags]


def below(run, folder=None):
    """Return all files of a run, the model's own left out."""
    found = []
    for each in client.list_artifacts(run.info.run_id, folder):
        found += below(run, each.path) if each.is_dir else [each.path]
    return sorted(found)


# A parameter of 900 characters, 250 of them, 60 tags.
with mlflow.start_run(run_name="params") as run:
    mlflow.log_param("sql", "select " + "a, " * 300)
    mlflow.log_params({f"param {n}": n for n in range(100)})
    mlflow.log_params({f"more {n}": n / 3 for n in range(100)})
    mlflow.log_params({f"last {n}": {"n": n} for n in range(50)})
    mlflow.set_tags({f"tag {n}": "x" * n for n in range(60)})
data(run)
mlflow.log_param("after", 1)
mlflow.end_run()

# Values of all types.
with mlflow.start_run(run_name="types", tags={"n": 1, "none": None, "list": [1]}) as run:
    mlflow.log_params({"none": None, "bool": True, "list": [1, "a"], "dict": {"a": 1}, "float": 1e-7})
    mlflow.log_params({"np": np.float32(0.1), "array": np.arange(3), "date": datetime.date(2026, 1, 2)})
    mlflow.log_params({"path": pathlib.Path("a/b"), "class": dict, "text": "ü😀\n\t'\"", "empty": ""})
    mlflow.log_params({"decimal": decimal.Decimal("1.10"), "set": {1}, "bytes": b"x", "tuple": ()})
    mlflow.log_metrics({"int": 1, "np": np.float32(0.5), "bool": True, "big": 1e308, "small": 5e-324})
    mlflow.log_metrics({"nan": float("nan"), "inf": float("inf"), "-inf": -math.inf})
    mlflow.log_metric("array", np.array([1.5]))
    mlflow.log_metric("decimal", decimal.Decimal("0.1"))
    mlflow.set_tags({"date": datetime.date(2026, 1, 2), "none": None, "ü": "ü😀", "a/b c.d-e": ""})
data(run)
with mlflow.start_run(run_name="bad"):
    mlflow.log_metric("text", "x")
with mlflow.start_run(run_name="bad"):
    mlflow.log_metric("array", np.array([1, 2]))
with mlflow.start_run(run_name="bad"):
    mlflow.log_param("x" * 300, 1)
with mlflow.start_run(run_name="bad"):
    mlflow.log_params({"a": 1, "b*": 2})

# Thousands of points, in any order, some twice.
with mlflow.start_run(run_name="points") as run:
    for part in range(3):
        client.log_batch(
            run.info.run_id,
            [Metric("loss", 1 / (n + 1), n, n) for n in range(part * 1000, part * 1000 + 1000)],
        )
    mlflow.log_metric("acc", 0.5, step=7, timestamp=7)
    mlflow.log_metric("acc", 0.4, step=3, timestamp=8)
    mlflow.log_metric("acc", 0.4, step=3, timestamp=8)
    mlflow.log_metric("acc", 0.6, step=7, timestamp=7)
    mlflow.log_metrics({"val/loss": 1, "val/acc": 2}, step=np.int64(3), timestamp=1)
history = client.get_metric_history(run.info.run_id, "loss")
[len(history), history[0].step, history[-1].step, sum(each.step for each in history)]
sorted((each.step, each.value, each.timestamp) for each in client.get_metric_history(run.info.run_id, "acc"))
data(run)

# A table twelve times, images, figures, texts, folders.
with mlflow.start_run(run_name="files") as run:
    for n in range(12):
        mlflow.log_table({"n": [n], "text": ["x" * 90]}, f"tables/{n}.json")
        mlflow.log_table({"n": [n], "text": ["y"]}, "one.json")
    mlflow.log_artifact(pathlib.Path("plots/loss.png"), "by path")
    mlflow.log_artifacts(pathlib.Path("plots"), "all")
    mlflow.log_artifacts("plots")
    mlflow.log_artifacts("empty", "empty")
    mlflow.log_figure(matplotlib.figure.Figure(), "figures/a.png")
    mlflow.log_image(np.zeros((4, 4), dtype=np.uint8), "images/gray.png")
    mlflow.log_image(np.zeros((4, 4, 3)), "images/float.png")
    mlflow.log_dict({"a": [1, {"b": None}], "ü": "ü"}, "conf/all.json")
    mlflow.log_dict({"a": datetime.date(2026, 1, 2)}, "conf/date.yml")
    mlflow.log_text("<b>ü</b>\n", "notes/page.html")
    mlflow.log_text("", "notes/nothing.txt")
below(run)
table = mlflow.load_table("one.json", run_ids=[run.info.run_id])
[len(table), sorted(table.columns), table["n"].tolist()]
mlflow.load_table("tables/3.json", run_ids=[run.info.run_id], extra_columns=["run_id"])["n"].tolist()
mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes/nothing.txt")
mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes/page.html")
mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/conf/all.json")
sorted(os.listdir(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="all")))
sorted(os.listdir(mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/tables")))[:3]
len(json.loads(client.get_run(run.info.run_id).data.tags["mlflow.loggedArtifacts"]))

mlflow.log_artifact("plots/loss.png", "plots/")  # differs: paths_of_artifacts
mlflow.end_run()

# A long name, a long note, a run that goes on, runs in runs.
with mlflow.start_run(run_name="n" * 300, description="d" * 3000) as run:
    pass
client.get_run(run.info.run_id).info.run_name
client.get_run(run.info.run_id).data.tags["mlflow.note.content"]
with mlflow.start_run(run_id=run.info.run_id) as again:
    mlflow.log_metric("again", 1, timestamp=1)
    mlflow.set_tag("mlflow.note.content", "short")
    mlflow.set_tag("mlflow.runName", "short")
data(run)
client.get_run(run.info.run_id).info.run_name
with mlflow.start_run(run_name="parent") as parent:
    for n in range(3):
        with mlflow.start_run(run_name=f"child {n}", nested=True):
            mlflow.log_params({"n": n})
            mlflow.log_metric("score", n * 0.1, timestamp=1)
children = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
sorted(each.info.run_name for each in children)
best = mlflow.search_runs(
    filter_string=f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'", order_by=["metrics.score DESC"]
)
best[["params.n", "metrics.score", "tags.mlflow.runName"]]
with mlflow.start_run(run_name="broken"):
    raise ValueError("in the middle")
mlflow.last_active_run().info.status
with mlflow.start_run(run_name="twice"):
    mlflow.log_param("a", 1)
    mlflow.log_param("a", 2)
mlflow.last_active_run().info.status

# The best run, in every way.
[each.info.run_name for each in client.search_runs([experiment], order_by=["metrics.loss"])][:3]
[each.info.run_name for each in client.search_runs([experiment], "metrics.`val/loss` < 2")]
[each.info.run_name for each in client.search_runs([experiment], "params.`param 3` = '3'")]
[each.info.run_name for each in client.search_runs([experiment], "params.`last 49` LIKE '%49%'")]
[each.info.run_name for each in client.search_runs([experiment], "params.sql LIKE 'select%a, '")]
[each.info.run_name for each in client.search_runs([experiment], "tags.`tag 59` LIKE 'xx%'")]
[each.info.run_name for each in client.search_runs([experiment], "tags.n = '1' AND metrics.int >= 1")]
[each.info.run_name for each in client.search_runs([experiment], "status = 'FAILED'")]
[each.info.run_name for each in client.search_runs([experiment], "tags.none != 'x'")]
len(mlflow.search_runs(experiment_names=["everyday"]))
frame = mlflow.search_runs(experiment_names=["everyday"], filter_string="run_name = 'params'")
[len([each for each in frame.columns if each.startswith("params.")]), frame["params.sql"].tolist()]
mlflow.search_runs(experiment_names=["everyday"], max_results=3, output_format="list")[0].info.run_name

# A data set, models, autologging, a grid.
with mlflow.start_run(run_name="data") as run:
    mlflow.log_input(mlflow.data.from_pandas(wide, name="wide", source="wide.csv"), context="training")
    mlflow.log_input(mlflow.data.from_numpy(points, name="points"), context="test", tags={"a": "b"})
sorted(each.dataset.name for each in client.get_run(run.info.run_id).inputs.dataset_inputs)
sorted(tag.value for each in client.get_run(run.info.run_id).inputs.dataset_inputs for tag in each.tags)
signature = infer_signature(wide, np.array([1.0, 2.0]))
with mlflow.start_run(run_name="wide") as run:
    ridge = Ridge().fit(wide, [1.0, 2.0])
    info = mlflow.sklearn.log_model(ridge, "ridge", signature=signature, input_example=wide, **needs)
len(mlflow.models.get_model_info(info.model_uri).signature.inputs.inputs)
mlflow.pyfunc.load_model(info.model_uri).predict(wide).round(3).tolist()
mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/ridge").metadata.saved_input_example_info is None
mlflow.sklearn.autolog(log_models=False, silent=True)
with mlflow.start_run(run_name="automatic") as run:
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(points, labels)
sorted(client.get_run(run.info.run_id).data.params)[:5]
sorted(client.get_run(run.info.run_id).data.metrics)
with mlflow.start_run(run_name="grid") as run:
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0, 10.0]}, cv=2).fit(points, labels)
len(client.search_runs([experiment], f"tags.mlflow.parentRunId = '{run.info.run_id}'"))
client.get_run(run.info.run_id).data.params["best_C"]
mlflow.sklearn.autolog(disable=True)

# By the client alone: batches, statuses, what is deleted.
alone = client.create_run(experiment, tags={"mlflow.runName": "alone", "team": "red"}, start_time=5)
client.log_batch(
    alone.info.run_id,
    metrics=[Metric(f"m{n}", n, 1, 0) for n in range(100)],
    params=[Param(f"p{n}", "v" * 600) for n in range(90)],
    tags=[RunTag(f"t{n}", "v" * 1200) for n in range(80)],
)
data(alone)
client.set_terminated(alone.info.run_id, "KILLED", end_time=99)
client.get_run(alone.info.run_id).info
client.delete_run(alone.info.run_id)
[each.info.run_name for each in client.search_runs([experiment], "tags.team = 'red'")]
client.restore_run(alone.info.run_id)
[each.info.run_name for each in client.search_runs([experiment], "tags.team = 'red'")]
client.delete_tag(alone.info.run_id, "t79")
client.delete_tag(alone.info.run_id, "t0")
len(data(alone)[2])
