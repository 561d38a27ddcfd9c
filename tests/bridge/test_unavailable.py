"""What Azure ML does not have: one clear message, and no harm to code that traces."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices import on_azure

AZURE_ML = "*.api.azureml.ms"
WARNING = (
    "WARNING mlflow.azureml_databricks: Azure Machine Learning has no traces: they are dropped. "
    "`mlflow.tracing.disable()` makes none; with another tracking URI (`mlflow.set_tracking_uri`) "
    "they are kept there."
)

thorough = pytest.mark.thorough
versions = pytest.mark.parametrize("version", [pytest.param("2.21.3", marks=thorough), "3.17.2"])


def run(version: str, azure: EmulatedAzure, folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    done = on_azure.run(version, azure, code, cwd=str(folder))
    assert done.returncode == 0, done.stderr
    return done


def answer(done: subprocess.CompletedProcess[str]) -> object:
    """Return what was printed as JSON, last."""
    return json.loads(done.stdout.splitlines()[-1])


def calls(azure: EmulatedAzure) -> list[str]:
    return [request.path.partition("/api/2.0/mlflow/")[2] for request in azure.journal.of(AZURE_ML)]


# What is said ---------------------------------------------------------------------------------------

SAID = """
    import json, mlflow
    client = mlflow.MlflowClient()
    said = {}

    def ask(what, *args, **kwargs):
        try:
            said[what.__name__] = f"returned {what(*args, **kwargs)!r}"
        except Exception as error:
            said[what.__name__] = str(error)

    experiment = client.create_experiment("unavailable-" + mlflow.__version__.replace(".", "-"))
"""

OF_EVERY_VERSION = """
    ask(mlflow.get_trace, "tr-1")
    ask(client.search_traces, [experiment])
    ask(client.set_trace_tag, "tr-1", "key", "value")
    ask(client.delete_traces, experiment, max_timestamp_millis=1)
    ask(mlflow.register_prompt, "greeting", "Hello {{name}}")
    ask(client.list_logged_prompts, "0" * 32)
"""

OF_MLFLOW_3 = """
    ask(mlflow.genai.load_prompt, "prompts:/greeting/1")
    ask(mlflow.genai.search_prompts)
    ask(mlflow.log_feedback, trace_id="tr-1", name="right", value=True)
    ask(client.create_webhook, "hook", "https://example.com", ["model_version.created"])
    ask(mlflow.genai.create_dataset, "questions", experiment_id=experiment)
    ask(mlflow.get_logged_model, "m-none")

    @mlflow.genai.scorer
    def right(outputs):
        return True

    mlflow.set_experiment(experiment_id=experiment)
    ask(mlflow.genai.evaluate, [{"inputs": {"x": 1}}], [right], lambda x: x)
"""

PRINT = "    print(json.dumps(said))\n"

TRACES = "Azure Machine Learning has no traces"
PROMPTS = "Azure Machine Learning has no prompts"
MESSAGES = {
    "get_trace": TRACES,
    "search_traces": TRACES,
    "set_trace_tag": TRACES,
    "delete_traces": TRACES,
    "register_prompt": PROMPTS,
    "list_logged_prompts": PROMPTS,
}
MESSAGES_OF_MLFLOW_3 = {
    **MESSAGES,
    "load_prompt": PROMPTS,
    "search_prompts": PROMPTS,
    "log_feedback": "Azure Machine Learning has no assessments of traces",
    "create_webhook": "Azure Machine Learning has no webhooks",
    "create_dataset": "Azure Machine Learning has no evaluation datasets",
    "get_logged_model": "Logged model with ID 'm-none' not found.",
    "evaluate": TRACES,
}


@thorough
def test_what_mlflow_2_asks_for_in_vain_is_named(azure: EmulatedAzure, tmp_path: Path) -> None:
    assert answer(run("2.21.3", azure, tmp_path, SAID + OF_EVERY_VERSION + PRINT)) == MESSAGES


def test_what_mlflow_3_asks_for_in_vain_is_named(azure: EmulatedAzure, tmp_path: Path) -> None:
    done = run("3.17.2", azure, tmp_path, SAID + OF_EVERY_VERSION + OF_MLFLOW_3 + PRINT)

    assert answer(done) == MESSAGES_OF_MLFLOW_3


@versions
def test_a_prompt_does_not_become_a_model(azure: EmulatedAzure, tmp_path: Path, version: str) -> None:
    code = """
        import mlflow
        try:
            mlflow.register_prompt("greeting", "Hello {{name}}")
        except mlflow.MlflowException:
            pass
        """

    run(version, azure, tmp_path, code)

    assert calls(azure) == ["registered-models/get"]


# Code that traces -----------------------------------------------------------------------------------


@versions
def test_traced_code_works_with_one_warning_and_no_request(
    azure: EmulatedAzure, tmp_path: Path, version: str
) -> None:
    done = run(
        version,
        azure,
        tmp_path,
        """
        import json, mlflow

        @mlflow.trace
        def double(x):
            return 2 * x

        @mlflow.trace
        def chain(x):
            with mlflow.start_span("step") as span:
                span.set_inputs({"x": x})
            return double(x) + 1

        with mlflow.start_run():
            results = [chain(x) for x in range(200)]
            mlflow.log_param("after", "all")
        print(json.dumps(results))
        """,
    )

    assert answer(done) == [2 * x + 1 for x in range(200)]
    warnings = [line for line in done.stderr.splitlines() if "INFO" not in line]
    assert [warning[len("2026/01/01 00:00:00 ") :] for warning in warnings] == [WARNING]
    assert not [call for call in calls(azure) if not call.startswith(("experiments/", "runs/"))]
    assert len(calls(azure)) < 10


@thorough
def test_an_evaluation_of_traced_code_in_a_run_is_as_ever(azure: EmulatedAzure, tmp_path: Path) -> None:
    done = run(
        "2.21.3",
        azure,
        tmp_path,
        """
        import json, mlflow, pandas
        mlflow.set_experiment("evaluated")

        @mlflow.trace
        def predict(data):
            return data["x"] % 2

        data = pandas.DataFrame({"x": [0, 1, 2, 3], "y": [0, 1, 0, 0]})
        with mlflow.start_run() as run:
            mlflow.evaluate(predict, data, targets="y", model_type="regressor")
        print(json.dumps(mlflow.get_run(run.info.run_id).data.metrics["mean_squared_error"]))
        """,
    )

    assert answer(done) == 0.25


def test_a_tracking_server_that_has_traces_gets_them(azure: EmulatedAzure, tmp_path: Path) -> None:
    done = run(
        "3.17.2",
        azure,
        tmp_path,
        """
        import json, mlflow

        @mlflow.trace
        def double(x):
            return 2 * x

        mlflow.set_experiment("elsewhere")
        double(1)
        mlflow.set_tracking_uri("sqlite:///own.db")
        mlflow.set_experiment("own")
        double(2)
        traces = mlflow.search_traces(return_type="list", flush=True)
        print(json.dumps([trace.data.spans[0].outputs for trace in traces]))
        """,
    )

    assert answer(done) == [4]


@versions
def test_a_runs_data_sets_are_kept_where_the_service_has_no_place_for_them(
    azure: EmulatedAzure, tmp_path: Path, version: str
) -> None:
    azure.generation.lacks.add("runs/log-inputs")

    done = run(
        version,
        azure,
        tmp_path,
        """
        import json, mlflow, pandas
        table = pandas.DataFrame({"x": [1, 2]})
        with mlflow.start_run() as run:
            mlflow.log_input(mlflow.data.from_pandas(table, name="points"), context="training")
        (used,) = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
        print(json.dumps([used.dataset.name, json.loads(used.dataset.profile), used.tags[0].value]))
        """,
    )
    azure.generation.lacks.remove("runs/log-inputs")

    assert answer(done) == ["points", {"num_rows": 2, "num_elements": 2}, "training"]


# Aliases: nobody knows whether the service has them ---------------------------------------------------

ALIASES = """
    import json, mlflow, time
    client = mlflow.MlflowClient()
    name = f"aliased-{time.time_ns()}"
    client.create_registered_model(name, tags={"team": "red"})
    with mlflow.start_run() as run:
        client.log_text(run.info.run_id, "x", "model/MLmodel")
    for _ in range(2):
        client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)
    client.set_registered_model_alias(name, "champion", "1")
    client.set_registered_model_alias(name, "champion", "2")
    client.set_registered_model_alias(name, "old", "1")
    client.delete_registered_model_alias(name, "old")
    try:
        old = client.get_model_version_by_alias(name, "old").version
    except mlflow.MlflowException as error:
        old = error.error_code
    model = client.get_registered_model(name)
    print(json.dumps([
        int(client.get_model_version_by_alias(name, "champion").version),
        list(client.get_model_version(name, "2").aliases),
        list(client.get_model_version(name, "1").aliases),
        {alias: int(version) for alias, version in model.aliases.items()},
        model.tags,
        old,
    ]))
    """


@pytest.mark.parametrize("served", [True, False])
def test_an_alias_is_an_alias_whether_the_service_has_them_or_not(
    azure: EmulatedAzure, tmp_path: Path, served: bool
) -> None:
    lacks = set() if served else {"registered-models/alias"}
    azure.generation.lacks |= lacks
    try:
        done = run("3.17.2", azure, tmp_path, ALIASES)
    finally:
        azure.generation.lacks -= lacks

    assert answer(done) == [2, ["champion"], [], {"champion": 2}, {"team": "red"}, "INVALID_PARAMETER_VALUE"]
