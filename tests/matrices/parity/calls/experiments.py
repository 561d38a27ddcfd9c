"""Experiments."""

import mlflow
from mlflow import MlflowClient
from mlflow.entities import ViewType

client = MlflowClient()
spring = client.create_experiment("spring")
client.create_experiment("spring")
client.create_experiment("")
client.create_experiment(None)
client.create_experiment(7)
client.create_experiment(["list"])
client.create_experiment("tagged", tags={"team": "red", "size": "3"})
client.create_experiment("placed", artifact_location="mlflow-artifacts:/elsewhere")
mlflow.create_experiment("fluent", tags={"team": "blue"})
client.get_experiment(spring)
client.get_experiment("987654321")
client.get_experiment(None)  # differs: unknown_ids
client.get_experiment("no-such-id")  # differs: unknown_ids
mlflow.get_experiment(spring)
client.get_experiment_by_name("spring")
client.get_experiment_by_name("winter")
client.get_experiment_by_name("")
client.get_experiment_by_name(None)
client.get_experiment_by_name(7)
mlflow.get_experiment_by_name("tagged").tags
client.get_experiment_by_name("Default").name
client.get_experiment("0").name

# Names that are paths, or in other scripts: each is an experiment of its own.
client.create_experiment("/Users/ada@example.com/churn")
client.get_experiment_by_name("/Users/ada@example.com/churn").name  # differs: paths_of_experiments
client.create_experiment("名前1")
client.create_experiment("別名1")
client.create_experiment("名前")
client.create_experiment("with space")
client.create_experiment("with.dot")
client.create_experiment("with-dot")
client.create_experiment("Прогноз")
client.create_experiment("ü" * 20)
client.create_experiment("x" * 300)
client.create_experiment("x" * 300 + "y")
client.create_experiment("emoji 🚀")
client.create_experiment("_begins")
client.get_experiment_by_name("名前1").name
client.get_experiment_by_name("別名1").name
client.get_experiment_by_name("別名2")
client.get_experiment_by_name("with space").name
client.get_experiment_by_name("with-dot").name
client.get_experiment_by_name("with.dot").name
client.get_experiment_by_name("emoji 🚀")
client.get_experiment(client.get_experiment_by_name("Прогноз").experiment_id)
client.create_experiment("名前1")
mlflow.set_experiment("名前1").name
mlflow.set_experiment("新しい").name
[each.name for each in client.search_experiments(filter_string="name = '名前1'")]
[each.name for each in client.search_experiments(filter_string="name LIKE '%名%'", order_by=["name ASC"])]
[each.name for each in client.search_experiments(filter_string="name ILIKE 'WITH%'", order_by=["name ASC"])]

client.set_experiment_tag(spring, "color", "green")
client.set_experiment_tag(spring, "color", 3)
client.set_experiment_tag(spring, None, "x")
client.set_experiment_tag(spring, "", "x")
client.set_experiment_tag("987654321", "color", "green")
client.set_experiment_tag(None, "color", "green")
client.get_experiment(spring).tags
client.delete_experiment_tag(spring, "color")
client.delete_experiment_tag(spring, "color")
client.get_experiment(spring).tags

[each.name for each in client.search_experiments(filter_string="tags.team = 'red'")]
[each.name for each in client.search_experiments(filter_string="tags.team != 'red'")]
[each.name for each in client.search_experiments(filter_string="name = 'spring'")]
[each.name for each in client.search_experiments(filter_string="name = 'winter'")]
[each.name for each in client.search_experiments(filter_string="name IN ('spring')")]
[each.name for each in client.search_experiments(filter_string="name IN ('spring', 'tagged')")]
[each.name for each in client.search_experiments(filter_string="tags.team IN ('red')")]
[each.name for each in client.search_experiments(filter_string="tags.team LIKE 'r%'")]
[each.name for each in client.search_experiments(filter_string="tag.team = 'red'")]
[each.name for each in client.search_experiments(filter_string="tags.`team` = 'red' AND name LIKE 't%'")]
[each.name for each in client.search_experiments(filter_string="creation_time > 0 AND name = 'spring'")]
client.create_experiment("it's")
[each.name for each in client.search_experiments(filter_string='name = "it\'s"')]
[each.name for each in client.search_experiments(filter_string='name LIKE "it\'%"')]
client.get_experiment_by_name("it's").name
client.search_experiments(filter_string="size > 3")
client.search_experiments(filter_string="name")
client.search_experiments(order_by=["color"])
client.search_experiments(max_results=0)
client.search_experiments(max_results=-1)
client.search_experiments(max_results=1_000_000)
client.search_experiments(view_type="bad")
client.search_experiments(page_token="bad")
[each.name for each in client.search_experiments(max_results=2, filter_string="name LIKE 's%'")]
[
    each.name
    for each in client.search_experiments(
        order_by=["name DESC"], filter_string="name LIKE '%e%'", max_results=3
    )
]
[each.name for each in mlflow.search_experiments(filter_string="tags.team = 'blue'")]

client.rename_experiment(spring, "autumn")  # differs: renamed_experiments
client.rename_experiment(spring, None)
spring = client.create_experiment("summer")
client.delete_experiment(spring)
client.get_experiment(spring).lifecycle_stage
client.delete_experiment(spring)
client.delete_experiment("987654321")
client.delete_experiment(None)  # differs: unknown_ids
client.create_experiment("summer")
mlflow.set_experiment("summer")
client.create_run(spring)
[each.name for each in client.search_experiments(view_type=ViewType.DELETED_ONLY)]
client.restore_experiment(spring)
client.restore_experiment(spring)
client.restore_experiment("987654321")
client.get_experiment(spring).lifecycle_stage
mlflow.delete_experiment(client.get_experiment_by_name("fluent").experiment_id)
mlflow.restore_experiment(client.get_experiment_by_name("fluent").experiment_id)

mlflow.set_experiment("tagged").tags
mlflow.set_experiment(experiment_id=spring).name
mlflow.set_experiment(experiment_id="987654321")
mlflow.set_experiment(experiment_name="tagged", experiment_id=spring)
mlflow.set_experiment("")
mlflow.set_experiment(7)
mlflow.set_experiment("tagged").name
mlflow.set_experiment_tag("season", "winter")
mlflow.set_experiment_tags({"a": "1", "b": "2"})
mlflow.get_experiment_by_name("tagged").tags
mlflow.delete_experiment_tag("season")
mlflow.get_experiment_by_name("tagged").tags
