"""Runs, their params, metrics and tags, and searches for them."""

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType

client = MlflowClient()
experiment = client.create_experiment("runs")
made = client.create_run(experiment, start_time=1, tags={"team": "red"}, run_name="first")
run = made.info.run_id
client.create_run(experiment)
client.create_run("987654321")
client.create_run(None)  # differs: unknown_ids
client.create_run(experiment, run_name="")
client.create_run(experiment, tags={"mlflow.runName": "by tag"}).info.run_name
client.create_run(experiment, run_name="one", tags={"mlflow.runName": "other"})
client.create_run(experiment, tags={"n": 3}).data.tags
client.create_run(experiment, tags={"n": None})
client.create_run(experiment, start_time="soon")
client.get_run(run)
client.get_run("0" * 32)
client.get_run("no run")
client.get_run("")
client.get_run(None)
client.get_run(7)
mlflow.get_run(run).info.run_name


def tags(run_id):
    """Return the names of a run's tags, but those that each call would show."""
    return sorted(set(client.get_run(run_id).data.tags) - {"mlflow.rootRunId", "mlflow.user"})


"mlflow.rootRunId" in client.get_run(run).data.tags  # differs: tags_of_the_service
"mlflow.user" in client.get_run(run).data.tags  # differs: tags_of_the_service

client.log_param(run, "depth", 3)
client.log_param(run, "depth", 3)
client.log_param(run, "depth", 4)
client.log_param(run, "none", None)
client.log_param(run, "empty", "")
client.log_param(run, "list", [1, "a"])
client.log_param(run, "a/b c.d-e_f:g", "x")
client.log_param(run, "bad*key", "x")
client.log_param(run, "../up", "x")
client.log_param(run, "", "x")
client.log_param(run, None, "x")
client.log_param(run, 7, "x")
client.log_param(run, "k" * 250, "x")
client.log_param(run, "k" * 251, "x")
client.log_param(run, "long", "x" * 6000)
client.log_param(run, "longer", "x" * 6001)
client.log_param("0" * 32, "depth", 3)
client.log_param(None, "depth", 3)
client.get_run(run).data.params

client.log_metric(run, "loss", 0.5, timestamp=5, step=1)
client.log_metric(run, "loss", 0.4, timestamp=6, step=2)
client.log_metric(run, "loss", 0.4, timestamp=6, step=2)
client.log_metric(run, "nan", float("nan"), timestamp=1)
client.log_metric(run, "inf", float("inf"), timestamp=1)
client.log_metric(run, "-inf", float("-inf"), timestamp=1)
client.log_metric(run, "int", 3, timestamp=1)
client.log_metric(run, "bool", True, timestamp=1)
client.log_metric(run, "text", "x")
client.log_metric(run, "number in text", "3.5")
client.log_metric(run, "none", None)
client.log_metric(run, None, 1)
client.log_metric(run, "", 1)
client.log_metric(run, 7, 1)
client.log_metric(run, "a/b c.d-e_f:g", 1, timestamp=1)
client.log_metric(run, "bad*key", 1)
client.log_metric(run, "step", 1, timestamp=1, step=-3)
client.log_metric(run, "step", 1, timestamp=1, step="x")
client.log_metric(run, "step", 1, timestamp=1, step=2**40)
client.log_metric(run, "time", 1, timestamp="x")
client.log_metric(run, "time", 1, timestamp=-1)
client.log_metric("0" * 32, "loss", 1)
client.log_metric(None, "loss", 1)
client.get_metric_history(run, "loss")
[each.run_id for each in client.get_metric_history(run, "loss")]  # differs: runs_of_points
client.get_metric_history(run, "no such")
client.get_metric_history(run, None)
client.get_metric_history(run, "")
client.get_metric_history("0" * 32, "loss")  # differs: unknown_ids
client.get_metric_history(None, "loss")
client.get_run(run).data.metrics

client.set_tag(run, "color", "green")
client.set_tag(run, "color", "blue")
client.set_tag(run, "number", 3)
client.set_tag(run, "none", None)
client.set_tag(run, "empty", "")
client.set_tag(run, None, "x")
client.set_tag(run, "", "x")
client.set_tag(run, 7, "x")
client.set_tag(run, "k" * 251, "x")
client.set_tag(run, "v", "x" * 8000)
client.set_tag(run, "v", "x" * 8001)
client.set_tag(run, "mlflow.note.content", "# a note")
client.set_tag(run, "mlflow.runName", "renamed")
client.set_tag("0" * 32, "color", "green")
client.set_tag(None, "color", "green")
client.delete_tag(run, "color")
client.delete_tag(run, "color")
client.delete_tag(run, None)
client.delete_tag("0" * 32, "color")
client.get_run(run).info.run_name
tags(run)

client.log_batch(run, [Metric("b", 1.0, 1, 0)], [Param("b", "1")], [RunTag("b", "1")])
client.log_batch(run)
client.log_batch(run, metrics=[], params=[], tags=[])
client.log_batch(run, params=[Param("twice", "1"), Param("twice", "2")])
client.log_batch(run, params=[Param("twice", "1"), Param("twice", "1")])
client.log_batch(run, params=[Param("depth", "9"), Param("new", "1")])
client.log_batch(run, metrics=[Metric("m", "x", 1, 0)])
client.log_batch(run, metrics=[Metric(None, 1, 1, 0)])
client.log_batch(run, params=[Param(None, "1")])
client.log_batch(run, tags=[RunTag(None, "1")])
client.log_batch(run, metrics=[None])
client.log_batch(run, params=["text"])
client.log_batch("0" * 32, metrics=[Metric("b", 1.0, 1, 0)])
client.log_batch(run, metrics=[Metric(f"many{i}", i, 1, 0) for i in range(1001)])
client.log_batch(run, params=[Param(f"many{i}", i) for i in range(101)])
client.log_batch(run, tags=[RunTag(f"many{i}", str(i)) for i in range(101)])
len(client.get_run(run).data.params)
len(client.get_run(run).data.metrics)
client.get_run(run).data.params.get("new")

client.update_run(run, status="FINISHED")
client.get_run(run).info.status
client.update_run(run, name="again")
client.update_run(run, status="NO SUCH")
client.update_run(run)
client.update_run("0" * 32, status="FAILED")
client.set_terminated(run, "FAILED", end_time=9)
client.set_terminated(run, "NO SUCH")
client.set_terminated("0" * 32)
client.set_terminated(None)
client.get_run(run).info
child = client.create_run(experiment, tags={"mlflow.parentRunId": run}, start_time=2).info.run_id
client.get_parent_run(child).info.run_name
client.get_parent_run(run)
client.get_parent_run("0" * 32)
mlflow.get_parent_run(child).info.run_name
client.delete_run(child)
client.get_run(child).info.lifecycle_stage
client.delete_run(child)
client.delete_run("0" * 32)
client.delete_run(None)
client.log_metric(child, "late", 1)
client.set_tag(child, "late", 1)
client.log_param(child, "late", 1)
client.restore_run(child)
client.restore_run(child)
client.restore_run("0" * 32)
mlflow.delete_run(child)
mlflow.restore_run(child)
client.get_run(child).info.lifecycle_stage

found = client.create_experiment("found")
a = client.create_run(found, start_time=1, run_name="a", tags={"kind": "x", "a.b": "1"}).info.run_id
b = client.create_run(found, start_time=2, run_name="b", tags={"kind": "y"}).info.run_id
c = client.create_run(found, start_time=3, run_name="c").info.run_id
client.log_batch(a, [Metric("loss", 0.1, 1, 0), Metric("val loss", 3, 1, 0)], [Param("depth", "10")])
client.log_batch(b, [Metric("loss", 0.3, 1, 0)], [Param("depth", "9"), Param("quote", "it's")])
client.log_batch(c, [Metric("loss", 0.9, 1, 0)])


def names(*args, **kwargs):
    return [each.info.run_name for each in client.search_runs([found], *args, **kwargs)]


names()
names("metrics.loss < 0.2")
names("metrics.loss > 0")
names("metrics.`val loss` = 3")
names("params.depth = '9'")
names("params.depth != '9'")
names("params.depth LIKE '1%'")
names("params.depth IN ('9')")
names('params.quote = "it\'s"')
names("params.depth IN ('9', '10')")
names('params.depth IN ("9")')
names("params.depth IN ('9',)")
names("params.depth IN ()")
names("params.depth IN (9)")
names("params.depth NOT IN ('9')")
names("params.quote IN ('it''s')")
names('params.quote IN ("it\'s")')
names("tags.kind IN ('x')")
names("tags.kind IN ('x', 'z')")
names("metrics.loss IN (0.1)")
names("run_name IN ('a')")
names("attributes.run_name IN ('a', 'b')")
names("status IN ('RUNNING')")
names(f"run_id IN ('{a}')")
names(f"run_id NOT IN ('{a}')")
names(f"run_id in ('{a}')")
names("params.depth IS NULL")
names("tags.kind = 'x'")
names("tags.kind != 'x'")
names("tags.`a.b` = '1'")
names("tag.kind ILIKE 'X'")
names("tags.kind IS NOT NULL")
names("attributes.run_name = 'a'")
names("run_name LIKE '%b%'")
names("attributes.status = 'RUNNING'")
names("status != 'RUNNING'")
names("start_time > 1")
names("attributes.start_time IN (1)")
names(f"run_id = '{a}'")
names(f"run_id IN ('{a}', '{b}')")
names("metrics.loss > 0 AND params.depth = '9'")
names("metrics.loss > 0 OR params.depth = '9'")
names("nonsense")
names("nonsense.x = '1'")
names("metrics.loss = 'x'")
names("params.depth = 9")
names("metrics.loss = NaN")
names("metrics.loss = 'NaN'")
names("metrics.loss != NaN")
names("metrics.loss > inf")
names("metrics.loss < -1")
names("metrics.loss > 1e-3")
names("metrics.loss = .1")
names("metric.loss = 0.1")
names("metrics.LOSS = 0.1")
names('metrics."val loss" = 3')
names("param.depth = '10' and tags.kind = 'x'")
names("tags.kind = 'it''s'")
names('run_name = "a\'b"')
names('run_name LIKE "%\'%"')
names('tags.kind = "x"')
names(f"attributes.experiment_id = '{found}'")
names("attributes.artifact_uri LIKE '%'")
names("attributes.user_id = 'x'")
names("end_time > 1")
names("dataset.name = 'x'")
names(" ")
names(None)
names(7)  # differs: wrong_types
names(order_by=["metrics.loss"])
names(order_by=["metrics.loss DESC"])
names(order_by=["params.depth"])
names(order_by=["tags.kind DESC"])
names(order_by=["start_time ASC"])
names(order_by=["metrics.loss ASC", "start_time DESC"])
names(order_by=["metrics.`val loss`"])
names(order_by=["metric.loss desc"])
names(order_by=["params.depth DESC", "run_id"])
names(order_by=["attributes.end_time"])
names(order_by=[])
names(order_by=[None])  # differs: wrong_types
names(order_by=[""])
names(order_by=["attributes.run_name DESC"])
names(order_by=["nonsense"])
names(order_by=["metrics.loss SIDEWAYS"])
names(order_by="start_time ASC")
names(max_results=2)
names(max_results=0)
names(max_results=-1)
names(max_results=50_001)
names(page_token="bad")
names(run_view_type=ViewType.DELETED_ONLY)
first = client.search_runs([found], max_results=2, order_by=["start_time ASC"])
[each.info.run_name for each in first]
[
    each.info.run_name
    for each in client.search_runs(
        [found], max_results=2, order_by=["start_time ASC"], page_token=first.token
    )
]
d = client.create_run(found, start_time=4, run_name="a'b").info.run_id
e = client.create_run(found, start_time=5, run_name="e").info.run_id
client.log_metric(d, "loss", float("nan"), timestamp=1)
client.log_metric(e, "loss", float("inf"), timestamp=1)
client.log_metric(e, "loss", float("-inf"), timestamp=2)
client.get_run(d).data.metrics
client.get_run(e).data.metrics
client.get_metric_history(d, "loss")
client.get_metric_history(e, "loss")
names("metrics.loss > 0")
names("metrics.loss < 0")
names("metrics.loss < 0.2")  # differs in 2: metrics_that_are_nan
names("metrics.loss != 0.1")
names("metrics.loss = 'nan'")
names(order_by=["metrics.loss"])
names(order_by=["metrics.loss DESC"])
names(order_by=["metrics.loss ASC", "run_name DESC"])
names("metrics.loss >= 0.1", order_by=["metrics.loss DESC"], max_results=2)
names('run_name = "a\'b"')
names('run_name LIKE "a\'%"')
names('run_name IN ("a\'b")')
names('run_name IN ("a\'b", "e")')
mlflow.search_runs([found], order_by=["metrics.loss"])["metrics.loss"].tolist()
mlflow.search_runs([found], order_by=["metrics.loss DESC"], max_results=2)["metrics.loss"].tolist()
client.search_runs([])
client.search_runs(None)
client.search_runs("987654321")  # differs: unknown_ids
[each.info.run_name for each in client.search_runs(found)]
sorted(each for each in mlflow.search_runs([found]).columns if not each.startswith("tags.mlflow"))
mlflow.search_runs([found], order_by=["start_time ASC"])[
    ["run_id", "experiment_id", "metrics.loss", "params.depth"]
]
mlflow.search_runs(experiment_names=["found"], filter_string="metrics.loss = 0.9")["run_id"].tolist()
len(mlflow.search_runs(experiment_names=["found", "runs"], output_format="list", max_results=2))
mlflow.search_runs(experiment_names=["no such"])
mlflow.search_runs(experiment_names=["found"], experiment_ids=[found])
len(mlflow.search_runs(search_all_experiments=True, output_format="list", filter_string="run_name = 'a'"))
mlflow.search_runs(output_format="bad")
