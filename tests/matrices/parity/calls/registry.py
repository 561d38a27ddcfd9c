"""Registered models and their versions."""

import mlflow
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

client = MlflowClient()
classifier = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
needs = {"pip_requirements": ["scikit-learn"]}
mlflow.set_experiment("registry")
run = mlflow.start_run().info.run_id
info = mlflow.sklearn.log_model(classifier, name="model", **needs)
client.create_registered_model("churn", tags={"team": "red", "n": 1}, description="what it is")
client.create_registered_model("churn")
client.create_registered_model("")
client.create_registered_model(None)
client.create_registered_model(7)
client.create_registered_model(["list"])
client.create_registered_model("a:b")  # differs in 2: names_of_registered_models
client.create_registered_model("a/b")  # differs in 2: names_of_registered_models
client.delete_registered_model("a:b")  # differs in 2: names_of_registered_models
client.delete_registered_model("a/b")  # differs in 2: names_of_registered_models
client.create_registered_model("with space")  # differs: names_of_registered_models
client.search_registered_models("name = 'with space'") == []  # differs: names_of_registered_models
client.get_registered_model("churn")
client.get_registered_model("no-such")
client.get_registered_model("")
client.get_registered_model(None)
client.update_registered_model("churn", "new words")
client.update_registered_model("churn", None)
client.update_registered_model("no-such", "x")
client.set_registered_model_tag("churn", "color", "green")
client.set_registered_model_tag("churn", "number", 3)
client.set_registered_model_tag("churn", None, "x")
client.set_registered_model_tag("churn", "", "x")
client.set_registered_model_tag("no-such", "color", "x")
client.set_registered_model_tag(None, "color", "x")
client.get_registered_model("churn").tags
client.delete_registered_model_tag("churn", "color")
client.delete_registered_model_tag("churn", "color")
client.delete_registered_model_tag("no-such", "color")

one = client.create_model_version(
    "churn",
    info.model_uri,
    run,
    tags={"kind": "x", "n": "5", "a:b": "c"},
    description="first",
    model_id=info.model_id,
)
one.model_id  # differs: model_ids_of_versions
one.source  # differs: sources_of_versions
one.tags
client.create_model_version("churn", f"runs:/{run}/model", run, tags={"kind": "y"})
client.create_model_version("more", f"runs:/{run}/missing", run)
client.create_model_version("churn", "no-such-folder")
client.create_model_version("no-such", info.model_uri, run, model_id=info.model_id)
client.create_model_version(None, info.model_uri)
client.create_model_version("churn", None)
client.create_model_version("churn", "models:/no-such/1")  # differs in 2: unknown_ids
mlflow.register_model(info.model_uri, "fluent", tags={"by": "fluent"})
mlflow.register_model(f"runs:/{run}/model", "fluent").version
mlflow.register_model(f"runs:/{run}/missing", "fluent")
mlflow.register_model(None, "fluent")
mlflow.register_model(info.model_uri, None)
mlflow.register_model(info.model_uri, "")
mlflow.sklearn.save_model(classifier, "saved", **needs)
mlflow.sklearn.log_model(
    classifier, name="other", registered_model_name="logged", **needs
).registered_model_version
client.get_model_version("churn", "1")
client.get_model_version("churn", 1).version
client.get_model_version("churn", "9")
client.get_model_version("churn", "x")
client.get_model_version("churn", None)
client.get_model_version("no-such", "1")
client.get_model_version(None, "1")
client.update_model_version("churn", "1", "new words")
client.update_model_version("churn", "1", None).description
client.update_model_version("churn", "9", "x")
client.update_model_version("no-such", "1", "x")
client.set_model_version_tag("churn", "1", "color", "green")
client.set_model_version_tag("churn", "1", "number", 3)
client.set_model_version_tag("churn", "1", "with:colon", "x")
client.set_model_version_tag("churn", "1", None, "x")
client.set_model_version_tag("churn", "1", "", "x")
client.set_model_version_tag("churn", "9", "color", "x")
client.set_model_version_tag("churn", None, "color", "x")
client.set_model_version_tag("churn", key="color", value="x")
mlflow.set_model_version_tag("churn", "1", "fluent", "yes")
client.get_model_version("churn", "1").tags
client.delete_model_version_tag("churn", "1", "color")
client.delete_model_version_tag("churn", "1", "color")
client.delete_model_version_tag("churn", "1", "with:colon")
client.delete_model_version_tag("churn", "9", "color")
client.transition_model_version_stage("churn", "1", "Staging")
client.transition_model_version_stage("churn", "1", "production").current_stage
client.transition_model_version_stage(
    "churn", "2", "Production", archive_existing_versions=True
).current_stage
client.transition_model_version_stage("churn", "1", "NoSuch")
client.transition_model_version_stage("churn", "1", None)
client.transition_model_version_stage("churn", "9", "Staging")
client.get_latest_versions("churn")
client.get_latest_versions("churn", ["Production"])
client.get_latest_versions("churn", ["NoSuch"])
client.get_latest_versions("no-such")
client.get_latest_versions(None)
client.get_model_version_download_uri("churn", "1")  # differs in 2: sources_of_versions
client.get_model_version_download_uri("churn", "9")
client.set_registered_model_alias("churn", "champion", "1")
client.set_registered_model_alias("churn", "Challenger", 2)
client.set_registered_model_alias("churn", "champion", "9")
client.set_registered_model_alias("churn", "latest", "1")
client.set_registered_model_alias("churn", "v3", "1")
client.set_registered_model_alias("churn", "", "1")
client.set_registered_model_alias("churn", None, "1")
client.set_registered_model_alias("no-such", "a", "1")
client.get_model_version_by_alias("churn", "champion").version
client.get_model_version_by_alias("churn", "no-such")
client.get_model_version_by_alias("no-such", "champion")  # differs in 2: unknown_ids
client.get_model_version_by_alias("churn", None)
client.get_registered_model("churn").aliases
client.get_registered_model("churn").latest_versions
client.get_model_version("churn", "1").aliases
client.delete_registered_model_alias("churn", "Challenger")
client.delete_registered_model_alias("churn", "Challenger")
client.delete_registered_model_alias("no-such", "a")
champion = mlflow.pyfunc.load_model("models:/churn@champion")  # differs in 2: missing_artifacts
champion.predict([[1.0]]).tolist()
mlflow.pyfunc.load_model("models:/fluent/latest").predict([[1.0]]).tolist()  # differs in 2: missing_artifacts
mlflow.pyfunc.load_model("models:/fluent/2").predict([[1.0]]).tolist()  # differs in 2: missing_artifacts
mlflow.pyfunc.load_model("models:/churn/9")
mlflow.pyfunc.load_model("models:/no-such/1")
mlflow.pyfunc.load_model("models:/churn@no-such")
client.copy_model_version("models:/churn/1", "copied")
client.copy_model_version("models:/churn/9", "copied")
client.copy_model_version("runs:/x/model", "copied")


def models(*args, **kwargs):
    """Return the names of the registered models that are found."""
    found = client.search_registered_models(*args, **kwargs)
    return [each.name for each in found if each.name != "with space"]


def versions(*args, **kwargs):
    """Return names and numbers of the versions that are found."""
    return [[each.name, each.version] for each in client.search_model_versions(*args, **kwargs)]


client.create_registered_model("zebra", tags={"kind": "animal"})
models()
models("name = 'churn'")
models("name = 'no-such'")
models("name LIKE 'c%'")
models("name ILIKE '%RA%'")
models("name != 'churn'")
models("name IN ('churn')")
models("tags.kind = 'animal'")
models("tags.kind != 'animal'")
models("tag.team = 'red' AND name LIKE 'c%'")
models('name LIKE "a\'b%"')
models('name = "a\'b"')
models("name = 'a''b'")
models('name ILIKE "A\'%"')
models("name IN ('churn', 'zebra')")
models('name IN ("a\'b")')
models("tags.kind IN ('animal')")
models("tags.kind LIKE 'ani%'")
models("tags.`kind` = 'animal'")
models('tags.kind = "animal"')
models("name = 'churn' AND tags.team = 'red'")
models("name='churn'")
models('name = "churn"')
models("Name = 'churn'")
models("name = 'churn' OR name = 'zebra'")
models("nonsense = 'x'")
models("nonsense")
models(order_by=["name DESC"])
models(order_by=["name ASC"])
models(order_by=["last_updated_timestamp DESC"])
models(order_by=["timestamp ASC"])
models(order_by=["nonsense"])
models(max_results=2)
models(max_results=0)
models(max_results=-1)
models(max_results=1001)
models(page_token="bad")
client.search_registered_models("name = 'churn'")
page = client.search_registered_models(max_results=2)
models(max_results=2, page_token=page.token)  # differs in 2: names_of_registered_models
[each.name for each in mlflow.search_registered_models(filter_string="name = 'zebra'")]
versions("name = 'churn'")
versions("name = 'no-such'")
versions("name LIKE 'c%'")
versions("name IN ('churn')")
versions("name IN ('churn', 'copied')")
versions("name != 'churn'")
versions("version_number = 2")
versions("version_number > 1")
versions("version_number >= 2 AND name = 'churn'")
versions("version_number < 2 AND name = 'churn'")
versions("name = 'churn' AND version_number <= 2")
versions("name = 'churn' AND version_number != 2")
versions("version_number = '2'")
versions(f"run_id = '{run}'")
versions(f"run_id IN ('{run}')")
versions(f"run_id = '{run}' AND name = 'churn'")
versions("run_id LIKE 'x%'")
versions("source_path = 'x'")
versions("tags.kind = 'x'")
versions("tags.kind = 'y' AND name = 'churn'")
versions("tags.n = '5'")
versions("tags.`a:b` = 'c'")
versions("stage = 'Production'")
versions('name = "a\'b"')
versions('name LIKE "a\'%"')
versions('name = "churn"')
versions("name='churn'")
versions("name IN (\"a'b\", 'churn')")
versions("name IN ('churn') AND version_number = 1")
versions("name IN ('no-such')")
versions("run_id IN ('x')")
versions(f"run_id IN ('{run}', 'x')")
versions(f"run_id = '{run}' AND tags.kind = 'x'")
versions("version_number IN (1)")
versions("version_number = 1.5")  # differs in 2: wrong_types
versions("tags.kind IN ('x')")
versions("tags.kind != 'x' AND name = 'churn'")
versions('tags.n = "5"')
versions("tags.n > 4")
versions("nonsense = 'x'")
versions("nonsense")
versions()
versions("name = 'churn'", order_by=["version_number ASC"])
versions("name = 'churn'", order_by=["version_number DESC"])
versions("name = 'churn'", order_by=["creation_timestamp ASC"])
versions("name = 'churn'", order_by=["timestamp ASC"])
versions("name = 'churn'", order_by=["last_updated_timestamp DESC"])
versions("name LIKE 'c%'", order_by=["name DESC", "version_number ASC"])
versions("name LIKE '%'", order_by=["version_number ASC", "name ASC"])
versions("name LIKE '%'")
versions("name = 'churn'", order_by=["nonsense"])
versions(max_results=2)
versions(max_results=0)
versions(max_results=-1)
versions(max_results=200_001)
versions(page_token="bad")
page = client.search_model_versions("name = 'churn'", max_results=2)
versions("name = 'churn'", max_results=2, page_token=page.token)
client.search_model_versions("name = 'churn'")
mlflow.search_model_versions(filter_string="name = 'fluent'")

client.rename_registered_model("zebra", "horse")  # differs: renamed_registered_models
client.delete_model_version("churn", "2")
client.delete_model_version("churn", "2")
client.delete_model_version("churn", "9")
client.delete_model_version("no-such", "1")
versions("name = 'churn'")
client.create_model_version("churn", info.model_uri, run, model_id=info.model_id).version
client.delete_registered_model("copied")  # differs: deleted_registered_models
client.delete_registered_model("no-such")
client.delete_registered_model(None)
mlflow.register_model("file:saved", "local").version  # differs: copied_sources
mlflow.register_model("file://saved", "local").version  # differs: copied_sources
mlflow.register_model("saved", "local").version  # differs: copied_sources
