"""The active run."""

import mlflow

mlflow.set_experiment("fluent-runs")
mlflow.active_run()
mlflow.last_active_run()
mlflow.log_param("by itself", 1)
mlflow.active_run().info.status
mlflow.end_run()
mlflow.last_active_run().info.status
run = mlflow.start_run(run_name="named", tags={"a": "1"}, description="what it is")
mlflow.active_run().info.run_name
mlflow.start_run()
nested = mlflow.start_run(nested=True, run_name="inner")
mlflow.get_run(nested.info.run_id).data.tags["mlflow.parentRunId"]
mlflow.end_run("FAILED")
mlflow.get_run(nested.info.run_id).info.status
mlflow.log_metric("loss", 1, step=3, timestamp=4)
mlflow.log_metric("later", 1, synchronous=False).wait()
mlflow.log_metric("none", None)
mlflow.log_metrics({"x": 1, "y": 2.5}, step=1, timestamp=5)
mlflow.log_metrics({"x": "text"})
mlflow.log_metrics({})
mlflow.log_metrics(None)
mlflow.log_param("p", 1)
mlflow.log_param("p", 2)
mlflow.log_params({"q": 1, "r": None})
mlflow.log_params({"p": 2})
mlflow.log_params({f"many{i}": i for i in range(150)})
mlflow.log_params(None)
mlflow.set_tag("t", 1)
mlflow.set_tag(None, 1)
mlflow.set_tags({"u": 1, "v": None})
mlflow.set_tags(None)
mlflow.delete_tag("t")
mlflow.delete_tag("t")
mlflow.flush_async_logging()
mlflow.flush_artifact_async_logging()
kept = mlflow.get_run(run.info.run_id)
sorted(kept.data.params)[-3:]
kept.data.metrics
sorted(set(kept.data.tags) - {"mlflow.rootRunId"})
kept.data.tags["mlflow.note.content"]
mlflow.end_run()
mlflow.start_run(run_id=run.info.run_id).info.status
mlflow.end_run("KILLED")
mlflow.last_active_run().info.status
mlflow.start_run(run_id="0" * 32)
mlflow.start_run(experiment_id="987654321")
mlflow.end_run("NO SUCH")
mlflow.start_run(parent_run_id=run.info.run_id).data.tags["mlflow.parentRunId"]
mlflow.end_run()
mlflow.start_run(log_system_metrics=False).info.status
mlflow.end_run()
