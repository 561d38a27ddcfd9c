"""What is kept beside a run of its models and links: in few requests, by many processes, all of it."""

from __future__ import annotations

import json
import subprocess
from base64 import b85encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from zlib import compress

import pytest

from tests.bridge.test_logged_models import one_model
from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed, run

API = "westeurope.api.azureml.ms"
BLOBS = "*.blob.core.windows.net"
RECORD = ".azureml-databricks/"
VERSION = "3.17.2"


# By count, by the run's end and by reads: on a busy machine the clock would add more.
NOT_BY_TIME = """
    from azureml_databricks.bridge import waiting_records
    waiting_records._SECONDS = 600
    """


def kinds(azure: EmulatedAzure) -> Counter[str]:
    """Count the requests by the end of their path, those to the storage by method."""
    return Counter(
        request.method if ".blob." in request.host else request.path.rpartition("/")[2]
        for request in azure.journal
    )


@pytest.mark.parametrize(
    ("models", "batches"),
    [pytest.param(25, 24, marks=pytest.mark.thorough, id="25"), pytest.param(6, 8, id="6")],
)
def test_checkpoints_of_a_run_cost_by_the_model(models: int, batches: int, azure: EmulatedAzure) -> None:
    # Given a run with checkpoints, each evaluated, tagged and linked, and many metrics that name one
    code = f"""{NOT_BY_TIME}
    import json, mlflow
    from mlflow.entities import LoggedModelOutput
    client = mlflow.MlflowClient()
    ids = []
    with mlflow.start_run() as run:
        for step in range({models}):
            model = mlflow.initialize_logged_model(name="net", tags={{"step": str(step)}})
            ids.append(model.model_id)
            for batch in range({batches}):
                mlflow.log_metric("loss", batch, step=batch, model_id=model.model_id)
            client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step)])
            mlflow.set_logged_model_tags(model.model_id, {{"best": str(step == {models - 1})}})
            mlflow.finalize_logged_model(model.model_id, "READY")
    print(json.dumps(ids))
    """
    ids = printed(VERSION, azure, code)

    # Then beside a request for each metric, which is MLflow's, each model has cost some
    asked = kinds(azure)
    assert asked.pop("log-batch") <= models * batches + 5
    assert asked.total() <= models * 7 + 10

    # And whoever reads them reads a few files, and has all
    azure.journal.clear()
    read = f"""
        import json, mlflow
        found = [mlflow.get_logged_model(model_id) for model_id in {ids!r}]
        steps = [sorted(metric.step for metric in model.metrics) for model in found]
        outputs = mlflow.get_run(found[0].source_run_id).outputs.model_outputs
        tags = [[model.tags["step"], model.tags["best"], str(model.status)] for model in found]
        print(json.dumps([steps, tags, [[output.model_id, output.step] for output in outputs]]))
        """
    steps, tags, outputs = printed(VERSION, azure, read)
    assert steps == [list(range(batches))] * models
    assert tags == [[str(step), str(step == models - 1), "READY"] for step in range(models)]
    assert outputs == [[model_id, step] for step, model_id in enumerate(ids)]
    asked = kinds(azure)
    assert asked["GET"] <= 12
    assert asked["contentinfo"] == len(ids) + 1


def test_tags_and_links_go_together(azure: EmulatedAzure) -> None:
    # Given many tags of a model, and links to it, set in a row
    code = f"""{NOT_BY_TIME}
    import json, mlflow
    from mlflow.entities import LoggedModelInput
    client = mlflow.MlflowClient()
    with mlflow.start_run() as run:
        model = mlflow.initialize_logged_model(name="net")
        for number in range(50):
            client.set_logged_model_tags(model.model_id, {{"last": str(number), f"t{{number}}": "x"}})
            client.log_inputs(run.info.run_id, models=[LoggedModelInput(model.model_id)])
        client.delete_logged_model_tag(model.model_id, "t7")
        client.set_logged_model_tags(model.model_id, {{"t7": "again"}})
    found = mlflow.get_logged_model(model.model_id)
    inputs = mlflow.get_run(run.info.run_id).inputs.model_inputs
    print(json.dumps([found.tags["last"], found.tags["t7"], len(found.tags), len(inputs)]))
    """
    last, again, count, inputs = printed(VERSION, azure, code)

    # Then all are there in order, and few files were written
    assert (last, again, inputs) == ("49", "again", 1)
    assert count >= 51
    assert kinds(azure)["PUT"] <= 4


def test_a_program_that_logs_and_ends_without_a_run_leaves_its_tags(azure: EmulatedAzure) -> None:
    model_id = printed(
        VERSION, azure, "import json, mlflow; print(json.dumps(mlflow.create_external_model('net').model_id))"
    )

    done = run(VERSION, azure, f"import mlflow; mlflow.set_logged_model_tags({model_id!r}, {{'a': 'b'}})")
    tags = printed(
        VERSION,
        azure,
        f"import json, mlflow; print(json.dumps([mlflow.get_logged_model({model_id!r}).tags.get('a')]))",
    )

    assert done.stderr == ""
    assert tags == ["b"]


def test_processes_that_merge_at_once_lose_nothing_and_count_nothing_twice(azure: EmulatedAzure) -> None:
    model_id, run_id = one_model(azure)

    # When two processes add records to it, one by one, and merge them, while a third reads
    def add(process: int) -> subprocess.CompletedProcess[str]:
        code = f"""
            import mlflow
            client = mlflow.MlflowClient()
            for step in range(20):
                client.log_metric({run_id!r}, "m{process}", step, step=step, model_id={model_id!r})
                mlflow.flush_async_logging()
            """
        return run(VERSION, azure, code)

    def read(_: int) -> subprocess.CompletedProcess[str]:
        code = f"""
            import mlflow
            counts = [0]
            while counts[-1] < 40 and len(counts) < 100:
                counts.append(len(mlflow.get_logged_model({model_id!r}).metrics))
            assert counts == sorted(counts), counts
            """
        return run(VERSION, azure, code)

    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(work, number) for number, work in enumerate((add, add, read))]
    assert [(each.result().returncode, each.result().stderr) for each in done] == [(0, "")] * 3

    # Then each point is there once, in a few files
    azure.journal.clear()
    code = f"""
        import json, mlflow
        points = mlflow.get_logged_model({model_id!r}).metrics
        print(json.dumps(sorted([point.key, point.step] for point in points)))
        """
    assert printed(VERSION, azure, code) == [[f"m{n}", step] for n in range(2) for step in range(20)]
    assert kinds(azure)["GET"] <= 30


IN_MEMORY = """
    import json
    from azure.core.exceptions import ResourceNotFoundError
    from azureml_databricks.bridge import artifacts, records
    from azureml_databricks.bridge.records import Entry, Records

    class Container:
        container = "dcid.run"
        def __init__(self):
            self.files, self.reads, self.lists = {}, 0, 0
            self.before_read = lambda: None
        def addresses(self, prefix):
            self.lists += 1
            return [(path, path) for path in sorted(self.files)]
        def create(self, paths, new=None):
            self.files.update(dict.fromkeys(paths, b""))
            return {path: path for path in paths}
        def delete(self, paths):
            for path in paths:
                self.files.pop(path, None)
    there = Container()
    def read(address, stream):
        there.reads += 1
        there.before_read()
        if not there.files.get(address):
            raise ResourceNotFoundError("gone")
        stream.write(there.files[address])
    artifacts.read = read
    artifacts.write = lambda address, content: there.files.update({address: content})
    def process():
        records._held.clear(), records._written.clear()
        return Records(there)
    def seen():
        return [each["n"] for each in process().all("models").get("models/a", [])]
    """


def test_many_records_become_few_files(azure: EmulatedAzure) -> None:
    code = f"""{IN_MEMORY}
    mine = process()
    for n in range(1000):
        mine.add([Entry("models/a", {{"n": n, "what": "x" * 200}})])
    print(json.dumps([seen(), len(there.files)]))
    """
    found, files = printed(VERSION, azure, code)

    assert found == list(range(1000))
    assert files <= 20


def test_a_process_holds_few_bytes_of_what_it_writes_and_merges_without_reading_what_is_large(
    azure: EmulatedAzure,
) -> None:
    # Given a process that has written large records, and another that adds small ones
    code = f"""{IN_MEMORY}
    mine = process()
    for n in range(100):
        mine.add([Entry("models/a", {{"n": n, "what": "x" * 300_000}})])
    held = {{each.id: len(each.record["what"]) for entries in records._held.values() for each in entries}}
    other = process()
    for n in range(100, 108):
        other.add([Entry("models/a", {{"n": n}})])
    print(json.dumps([sum(held.values()), there.reads, len(there.files), seen()]))
    """
    held, reads, files, found = printed(VERSION, azure, code)

    assert held <= 10_000_000
    assert (reads, files, found) == (0, 101, list(range(108)))


def test_what_is_merged_while_it_is_read_is_read_where_it_is_then(azure: EmulatedAzure) -> None:
    # Given a reader that has listed the files when another process merges them
    code = f"""{IN_MEMORY}
    for n in range(7):
        process().add([Entry("models/a", {{"n": n}})])
    def merge():
        there.before_read = lambda: None
        other = Records(there)
        other._merge(records._Written())
    there.before_read = merge
    print(json.dumps([seen(), len(there.files)]))
    """
    assert printed(VERSION, azure, code) == [list(range(7)), 1]


def test_of_a_merge_that_was_cut_off_in_the_middle_each_record_counts_once(azure: EmulatedAzure) -> None:
    # Given a process that has merged and could not remove, and one that was killed before it wrote a file
    code = f"""{IN_MEMORY}
    def refuse(paths):
        raise ResourceNotFoundError("refused")
    there.delete = refuse
    mine = process()
    for n in range(20):
        mine.add([Entry("models/a", {{"n": n}})])
    there.files[".azureml-databricks/00000000000000000001-00000000.10.json"] = b""
    print(json.dumps([seen(), len(there.files)]))
    """
    assert printed(VERSION, azure, code) == [list(range(20)), 22]


def test_a_file_among_the_records_that_is_none_is_told_once_and_hides_no_others(azure: EmulatedAzure) -> None:
    # Given files that somebody else has put among the records, one named as ours are
    code = f"""{IN_MEMORY}
    contents = (b"{{", b"[" * 10**6, b"[1]", b'[["a", {{}}]]', b'[["a", 1, "b"]]', b'"abc"')
    for number, content in enumerate(contents):
        there.files[f".azureml-databricks/x{{number}}.{{len(content)}}.json"] = content
    # When a process adds, reads and merges others
    mine = process()
    for n in range(20):
        mine.add([Entry("models/a", {{"n": n}})])
    found = [each["n"] for each in mine.all("models")["models/a"]]
    print(json.dumps([found, sorted(path for path in there.files if "/x" in path)]))
    """
    done = run(VERSION, azure, code)

    # Then its own are there, each of those is told in a line, and they stay
    found, files = json.loads(done.stdout)
    assert (found, len(files)) == (list(range(20)), 6)
    told = [line for line in done.stderr.splitlines() if "is left out, since it is no record" in line]
    assert len(told) == len(done.stderr.splitlines()) == 6


SEARCH = """
    import json, mlflow
    found = mlflow.MlflowClient().search_logged_models([{experiment!r}], max_results=1000)
    print(json.dumps([len(found), found[0].tags.get("late"), found[0].params, len(found[0].metrics)]))
    """


def test_a_search_for_a_thousand_models_costs_some_requests(azure: EmulatedAzure) -> None:
    # Given an experiment with a thousand runs that have ended, each with a model
    experiment, run_id = printed(
        VERSION,
        azure,
        """
        import json, mlflow
        experiment = mlflow.set_experiment("thousand").experiment_id
        with mlflow.start_run() as run:
            model = mlflow.initialize_logged_model(name="net", params={"depth": "3"})
            mlflow.log_metric("loss", 0.5, model_id=model.model_id)
            mlflow.finalize_logged_model(model.model_id, "READY")
        print(json.dumps([experiment, run.info.run_id]))
        """,
    )
    azure.copy_run(run_id, 999)
    azure.journal.clear()

    assert printed(VERSION, azure, SEARCH.format(experiment=experiment)) == [1000, None, {"depth": "3"}, 1]
    assert len(azure.journal.of(API, "/mlflow/")) <= 4
    assert len(azure.journal.of(API, "artifacts")) + len(azure.journal.of(BLOBS)) == 0


def test_what_becomes_of_a_model_after_its_run_is_found(azure: EmulatedAzure) -> None:
    # Given models of runs that have ended: changed afterwards by their own process, by another, by a child
    code = """
        import json, mlflow, os
        client = mlflow.MlflowClient()
        made = []
        for name in ("own", "other", "child"):
            experiment = mlflow.set_experiment(f"late-{name}").experiment_id
            with mlflow.start_run():
                made.append([experiment, mlflow.initialize_logged_model(name=name).model_id])
        client.set_logged_model_tags(made[0][1], {"late": "yes"})
        child = os.fork()
        if not child:
            client.set_logged_model_tags(made[2][1], {"late": "yes"})
            mlflow.flush_async_logging()
            os._exit(0)
        os.waitpid(child, 0)
        print(json.dumps(made))
        """
    made = printed(VERSION, azure, code)
    late = f"import mlflow; mlflow.set_logged_model_tags({made[1][1]!r}, {{'late': 'yes'}})"
    assert run(VERSION, azure, late).returncode == 0

    # Then a search in any process finds them as they are
    for experiment, _ in made:
        assert printed(VERSION, azure, SEARCH.format(experiment=experiment)) == [1, "yes", {}, 0]


def test_of_a_process_that_is_killed_while_it_changes_a_model_the_search_finds_what_is_kept(
    azure: EmulatedAzure,
) -> None:
    # Given a process that has ended a run, and is killed when it has added a record of its model
    code = """
        import json, mlflow, os, sys
        from azureml_databricks.bridge.records import Records
        experiment = mlflow.set_experiment("killed").experiment_id
        with mlflow.start_run():
            model = mlflow.initialize_logged_model(name="net")
        print(json.dumps(experiment))
        sys.stdout.flush()
        add = Records.add
        Records.add = lambda *args: (add(*args), os._exit(0))
        mlflow.set_logged_model_tags(model.model_id, {"late": "yes"})
        mlflow.flush_async_logging()
        """
    experiment = printed(VERSION, azure, code)

    assert printed(VERSION, azure, SEARCH.format(experiment=experiment)) == [1, "yes", {}, 0]


def test_tags_that_tell_nonsense_of_models_hide_no_others(azure: EmulatedAzure) -> None:
    # Given runs whose tag somebody else has written, and a well one
    said = [
        "",
        "x",
        "[]",
        "[" * 500_000,
        '{"models/1": 7}',
        '{"models/1": [7]}',
        '{"models/1": [{"name": 7}]}',
    ]
    tags = [b85encode(compress(text.encode(), 9)).decode() for text in said]
    assert max(map(len, tags)) <= 1000
    code = f"""
        import json, mlflow
        client = mlflow.MlflowClient()
        experiment = mlflow.set_experiment("nonsense").experiment_id
        for tag in {["no base 85", *tags]!r}:
            with mlflow.start_run() as run:
                pass
            for name, value in (("records", "true"), ("models", tag)):
                client.set_tag(run.info.run_id, f"azureml_databricks.{{name}}", value)
        with mlflow.start_run():
            mlflow.initialize_logged_model(name="well")
        found = mlflow.search_logged_models([experiment], output_format="list")
        print(json.dumps([model.name for model in found]))
        """
    assert printed(VERSION, azure, code) == ["well"]


def test_what_a_task_of_sparks_notes_is_there_at_once(azure: EmulatedAzure) -> None:
    # Given a task whose process is ended without further ado, as Spark does it
    code = """
        import json, mlflow, os, sys
        from azureml_databricks.node import spark_conf
        spark_conf.in_task = lambda: True
        model = mlflow.create_external_model("net")
        mlflow.set_logged_model_tags(model.model_id, {"late": "yes"})
        print(json.dumps(model.model_id))
        sys.stdout.flush()
        os._exit(0)
        """
    model_id = printed(VERSION, azure, code)

    tags = f"import json, mlflow; print(json.dumps([mlflow.get_logged_model({model_id!r}).tags.get('late')]))"
    assert printed(VERSION, azure, tags) == ["yes"]


def test_what_mlflow_asks_of_a_run_is_not_asked_of_its_records(azure: EmulatedAzure) -> None:
    # Given a run with a model, read for its address, then for what it made, printed and copied
    code = """
        import json, mlflow, pickle
        with mlflow.start_run() as active:
            mlflow.initialize_logged_model(name="net")
            client, run_id = mlflow.MlflowClient(), active.info.run_id
            client.log_outputs(run_id, [mlflow.entities.LoggedModelOutput(
                mlflow.initialize_logged_model(name="other").model_id, 3)])
        run = client.get_run(run_id)
        print(json.dumps([run.info.run_id == run_id, [output.step for output in run.outputs.model_outputs],
                          pickle.loads(pickle.dumps(run)).to_dictionary() == run.to_dictionary(),
                          sorted(dict(run)), str(run).startswith("<Run: data=")]))
        """
    same, steps, copied, fields, printed_as = printed(VERSION, azure, code)

    assert (same, steps, copied, printed_as) == (True, [3], True, True)
    assert fields == ["data", "info", "inputs", "outputs"]
    assert len(azure.journal.of(API, "prefix/contentinfo")) == 3  # two names that could be taken, one reading


def test_rounds_of_autologging_are_as_many_requests_as_the_limits_demand(azure: EmulatedAzure) -> None:
    # Given a training of a thousand rounds, which MLflow's autologging logs in batches of its own
    code = """
        import json, mlflow
        from math import ceil
        from mlflow.utils.autologging_utils import batch_metrics_logger
        store = mlflow.MlflowClient()._tracking_client.store
        sizes, log = [], store.log_batch
        def counting(run_id, metrics, params, tags):
            sizes.append(ceil(len(metrics) / 200))
            return log(run_id, metrics, params, tags)
        store.log_batch = counting
        with mlflow.start_run() as run, batch_metrics_logger(run.info.run_id) as logger:
            for step in range(1000):
                logger.record_metrics({"loss": step, "accuracy": step, "f1": step}, step)
        history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
        print(json.dumps([sum(sizes), len(history)]))
        """
    demanded, rounds = printed(VERSION, azure, code)

    # Then each batch is as many requests as it is too large, beside the one for the run's source
    assert rounds == 1000
    assert len(azure.journal.of(API, "log-batch")) == demanded + 1


def test_a_model_knows_all_versions_that_were_made_of_it_in_a_row(azure: EmulatedAzure) -> None:
    # Given a model, and versions of it by the run's address and by its own
    code = """
        import json, mlflow
        from sklearn.linear_model import LogisticRegression
        model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        with mlflow.start_run() as run:
            logged = mlflow.sklearn.log_model(model, name="model", pip_requirements=["scikit-learn"])
        for uri in (f"runs:/{run.info.run_id}/model", logged.model_uri) * 3:
            mlflow.register_model(uri, "in-a-row")
        told = mlflow.get_logged_model(logged.model_id).tags["mlflow.modelVersions"]
        print(json.dumps([version["version"] for version in json.loads(told)]))
        """
    assert [int(version) for version in printed(VERSION, azure, code)] == [1, 2, 3, 4, 5, 6]


def test_one_workspace_under_two_addresses_is_one_to_this_process(azure: EmulatedAzure) -> None:
    # Given a metric of a model that waits for others, and the workspace's address in other letters
    code = f"""{NOT_BY_TIME}
    import json, mlflow
    here = mlflow.get_tracking_uri()
    host, of_workspace = here.split("/mlflow/")
    other = host + "/mlflow/" + of_workspace.replace("resourceGroups", "resourcegroups") + "/"
    with mlflow.start_run():
        model = mlflow.initialize_logged_model(name="net")
        mlflow.log_metric("loss", 0.5, model_id=model.model_id)

        # When the model is read at that address
        read = mlflow.MlflowClient(tracking_uri=other).get_logged_model(model.model_id)
    print(json.dumps([other != here, [metric.value for metric in read.metrics]]))
    """

    # Then the metric is there
    assert printed(VERSION, azure, code) == [True, [0.5]]
