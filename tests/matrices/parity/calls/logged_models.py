"""Logged models of MLflow 3."""

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModelInput, LoggedModelOutput, LoggedModelStatus, Metric
from sklearn.linear_model import LogisticRegression

client = MlflowClient()
classifier = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
needs = {"pip_requirements": ["scikit-learn"]}
experiment = mlflow.set_experiment("logged-models").experiment_id
run = mlflow.start_run(run_name="maker").info.run_id
mlflow.last_logged_model()
info = mlflow.sklearn.log_model(
    classifier, name="model", params={"depth": "3"}, tags={"team": "red"}, model_type="tree", step=2, **needs
)
model = info.model_id
client.get_logged_model(model)
mlflow.get_logged_model(model).name
mlflow.last_logged_model().name
client.get_logged_model("m-" + "0" * 32)
client.get_logged_model("no model")
client.get_logged_model("")
client.get_logged_model(None)
mlflow.sklearn.log_model(classifier, "", **needs).artifact_path
mlflow.sklearn.log_model(classifier, name=None, **needs).artifact_path
mlflow.sklearn.log_model(classifier, name="bad/name", **needs)
mlflow.sklearn.log_model(classifier, name="bad:name", **needs)
made = client.create_logged_model(experiment, name="made", source_run_id=run)
made.status
client.create_logged_model(experiment, name="").name
client.create_logged_model(experiment, name="bad/name")
client.create_logged_model(experiment, name="typed", model_type="").model_type
client.create_logged_model("987654321", name="x")
client.create_logged_model(experiment, name="tagged", tags={"team": "blue", "n": 1}, params={"depth": 5}).tags
client.finalize_logged_model(made.model_id, "READY").status
client.finalize_logged_model(made.model_id, LoggedModelStatus.FAILED).status
client.finalize_logged_model(made.model_id, "NO SUCH")
client.finalize_logged_model("m-" + "0" * 32, "READY")
mlflow.finalize_logged_model(made.model_id, "READY").status
mlflow.initialize_logged_model(name="begun", tags={"a": "1"}, model_type="t")
mlflow.create_external_model(name="external", params={"a": "1"})
client.set_logged_model_tags(model, {"color": "green", "n": 3})
client.set_logged_model_tags(model, {})
client.set_logged_model_tags(model, {None: "x"})
client.set_logged_model_tags("m-" + "0" * 32, {"a": "b"})
mlflow.set_logged_model_tags(model, {"more": "x"})
client.get_logged_model(model).tags.get("color")
client.delete_logged_model_tag(model, "color")
client.delete_logged_model_tag(model, "color")
client.delete_logged_model_tag("m-" + "0" * 32, "color")
mlflow.delete_logged_model_tag(model, "more")
client.log_model_params(model, {"more": 1})
client.log_model_params(made.model_id, {"depth": "3"})
client.log_model_params(made.model_id, {"depth": "4"})  # differs: params_of_logged_models
client.log_model_params("m-" + "0" * 32, {"more": 1})
mlflow.log_model_params({"fluent": "1"}, model_id=model)
client.get_logged_model(model).params

user = client.create_run(experiment, run_name="other").info.run_id
mlflow.log_metric("acc", 0.9, model_id=model, step=1, timestamp=1)
mlflow.log_metrics({"f1": 0.7, "auc": 0.6}, model_id=model, timestamp=1)
client.log_metric(run, "by client", 1, model_id=model, timestamp=1, dataset_name="d", dataset_digest="x")
client.log_batch(run, [Metric("batch", 1, 1, 0, model_id=model)])
sorted(
    (each.key, each.value, each.step, each.dataset_name) for each in client.get_logged_model(model).metrics
)
client.get_run(run).data.metrics
client.get_metric_history(run, "acc")
client.log_inputs(run, models=[LoggedModelInput(model)])
client.log_inputs(user, models=[LoggedModelInput("m-" + "0" * 32)])  # differs: unknown_ids
client.log_inputs(run)
client.log_outputs(run, [LoggedModelOutput(model, 7)])  # differs: outputs_twice
client.log_outputs(user, [LoggedModelOutput("m-" + "0" * 32, 7)])  # differs: unknown_ids
mlflow.log_outputs([LoggedModelOutput(made.model_id, 1)])
client.get_run(run).inputs
sorted(each.step for each in client.get_run(run).outputs.model_outputs)
sorted(set(client.get_run(run).data.tags) - {"mlflow.rootRunId"})
user = client.create_run(experiment, run_name="user").info.run_id
client.log_metric(user, "one", 1, model_id=model)
client.log_metric(user, "two", 1, model_id=model)
client.log_metric(user, "three", 1, model_id=model)
client.get_run(user).inputs
client.log_batch(
    user, [Metric("four", 1, 1, 0, model_id=model), Metric("five", 1, 1, 0, model_id=made.model_id)]
)
client.get_run(user).inputs
data = mlflow.data.from_numpy(__import__("numpy").zeros(2), name="zeros")
mlflow.log_input(data, context="training", model=LoggedModelInput(model))
mlflow.log_inputs(datasets=[data], contexts=["test"], tags_list=[{"a": "b"}])
[each.dataset.name for each in client.get_run(run).inputs.dataset_inputs]
[[tag.key, tag.value] for each in client.get_run(run).inputs.dataset_inputs for tag in each.tags]


def names(*args, **kwargs):
    """Return the names of the models that are found."""
    return [each.name for each in client.search_logged_models([ordered], *args, **kwargs)]


mlflow.end_run()
ordered = client.create_experiment("ordered")
one = client.create_logged_model(ordered, name="a", params={"depth": "1"}, tags={"kind": "x"})
two = client.create_logged_model(ordered, name="b", params={"depth": "2"}, tags={"kind": "y"}, model_type="t")
client.finalize_logged_model(two.model_id, "READY").status
scorer = client.create_run(ordered).info.run_id
client.log_metric(scorer, "loss", 0.1, model_id=one.model_id)
client.log_metric(scorer, "loss", 0.2, model_id=two.model_id, dataset_name="d", dataset_digest="1")
names()
names("name = 'a'")
names("name != 'a'")
names("name LIKE 'a%'")
names("name ILIKE 'A%'")
names("name IN ('a')")
names("name IN ('a', 'b')")
names("name IN ('it''s')")
names('name = "it\'s"')
names("name NOT IN ('a')")
names(f"model_id IN ('{one.model_id}')")
names("tags.kind IN ('x')")
names("params.depth IN ('1')")
names(f"model_id = '{one.model_id}'")
names(f"experiment_id = '{ordered}'")
names("experiment_id = '987654321'")
names("status = 'READY'")  # differs: filters_of_logged_models
names("model_type = 't'")
names("params.depth = '2'")
names("params.depth != '2'")
names("tags.kind = 'x'")
names("tags.kind LIKE 'x%'")
names("metrics.loss < 0.15")
names("metrics.loss > 0.15 AND name = 'b'")
names("metrics.loss < 0.3", datasets=[{"dataset_name": "d"}])  # differs: filters_of_logged_models
names("creation_timestamp > 0")
names("source_run_id = 'x'")
names("nonsense = 1")  # differs: filters_of_logged_models
names("nonsense")
names(datasets=[{}])  # differs: filters_of_logged_models
names(order_by=[{"field_name": "name", "ascending": True}])
names(order_by=[{"field_name": "name", "ascending": False}])
names(order_by=[{"field_name": "creation_timestamp", "ascending": True}])
names(order_by=[{"field_name": "metrics.loss", "ascending": True}])
names(order_by=[{"field_name": "params.depth"}])
names(order_by=[{"field_name": "nonsense"}])
names(order_by=[{}])  # differs: filters_of_logged_models
names(max_results=1)
names(max_results=0)
names(max_results=-1)  # differs: filters_of_logged_models
names(max_results=5001)
names(page_token="bad")  # differs: filters_of_logged_models
first = client.search_logged_models([ordered], max_results=1)
[each.name for each in client.search_logged_models([ordered], max_results=1, page_token=first.token)]
client.search_logged_models([])
client.search_logged_models(["987654321"])  # differs: unknown_ids
[each.name for each in mlflow.search_logged_models([ordered], output_format="list")]
sorted(mlflow.search_logged_models([ordered]).columns)

[each.path for each in client.list_logged_model_artifacts(model)]
client.list_logged_model_artifacts("m-" + "0" * 32)
open("a.txt", "w").write("a")
client.log_model_artifact(model, "a.txt")
client.log_model_artifacts(model, ".")
[each.path for each in client.list_logged_model_artifacts(model)]
mlflow.sklearn.load_model(f"models:/{model}").predict([[1.0]]).tolist()
mlflow.sklearn.load_model(info.model_uri).predict([[1.0]]).tolist()
mlflow.pyfunc.load_model(f"runs:/{run}/model").predict([[1.0]]).tolist()
mlflow.pyfunc.load_model("models:/m-" + "0" * 32)
mlflow.models.get_model_info(f"models:/{model}").flavors.keys()
mlflow.set_active_model(name="active").name
mlflow.get_active_model_id() is None
mlflow.clear_active_model()
client.delete_logged_model(one.model_id)  # differs: deleted_logged_models
client.delete_logged_model("m-" + "0" * 32)
client.create_logged_model(experiment, name="x", source_run_id="0" * 32)  # differs: unknown_ids
mlflow.log_metric("acc", 0.8, model_id="m-" + "0" * 32)  # differs: unknown_ids
