"""Artifacts in the workspace's storage: what goes wrong there, and what is said."""

from __future__ import annotations

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.matrices.on_azure import printed, run

VERSION = "3.17.2"
API = "westeurope.api.azureml.ms"

LOG = """
    import mlflow
    with mlflow.start_run() as run:
        mlflow.log_text("x", "notes/x.txt")
    """


def said(azure: EmulatedAzure, code: str, **variables: str) -> str:
    """Return the error's line."""
    done = run(VERSION, azure, code, **variables)
    assert done.returncode == 1
    return done.stderr.splitlines()[-1].removeprefix("mlflow.exceptions.MlflowException: ")


# Six tries, as ever, with no wait between them.
AT_ONCE = """
    from azureml_databricks.bridge import artifacts
    retry = artifacts.ExponentialRetry
    artifacts.ExponentialRetry = lambda **how: retry(retry_total=how["retry_total"], initial_backoff=0,
                                                     increment_base=0, random_jitter_range=0)
    """


@pytest.mark.parametrize(
    "code", [AT_ONCE + LOG, pytest.param(LOG, marks=pytest.mark.thorough)], ids=["at once", "in time"]
)
def test_a_storage_account_that_cannot_be_reached_is_told_and_its_signature_is_not(
    azure: EmulatedAzure, code: str
) -> None:
    done = run(VERSION, azure, code, NO_PROXY=".blob.core.windows.net", no_proxy=".blob.core.windows.net")

    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith("mlflow.exceptions.MlflowException: cannot log notes/x.txt in Azure ML: ")
    assert "sig=" not in done.stderr + done.stdout


def test_a_refusal_is_told_in_one_line(azure: EmulatedAzure) -> None:
    azure.faults.add(API, "artifacts/batch/metadata", status=403)

    assert said(azure, LOG).startswith("Azure ML refuses to log notes/x.txt: 403, ")


def test_a_path_that_may_not_be_written_again_is_told(azure: EmulatedAzure) -> None:
    azure.faults.add(API, "/write", status=403)

    assert said(
        azure, LOG + LOG.replace("import mlflow", "").replace("start_run()", "start_run(run.info.run_id)")
    ) == (
        "artifact 'notes/x.txt' exists, and Azure ML does not let it be written again (403); "
        "log it under another name"
    )


def test_an_artifact_that_is_not_there_is_told(azure: EmulatedAzure) -> None:
    missing = LOG + '    mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/no.txt")\n'

    assert said(azure, missing).startswith("no artifact 'no.txt' in ")


def test_what_the_bridge_itself_keeps_in_a_run_is_in_no_listing(azure: EmulatedAzure) -> None:
    code = """
        import json, mlflow
        with mlflow.start_run() as run:
            mlflow.log_text("x", "x.txt")
            mlflow.initialize_logged_model(name="model")
        whole = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="")
        import os
        print(json.dumps([[item.path for item in mlflow.MlflowClient().list_artifacts(run.info.run_id)],
                          sorted(os.listdir(whole))]))
        """

    assert printed(VERSION, azure, code) == [["x.txt"], ["x.txt"]]


@pytest.mark.parametrize("version", ["2.9.2", "3.17.2"])
def test_a_path_may_have_any_form_that_databricks_own_store_takes(azure: EmulatedAzure, version: str) -> None:
    """MLflow's own server refuses some of them, so this is no story."""
    code = """
        import json, mlflow, pathlib, tempfile
        from mlflow.artifacts import download_artifacts, load_text
        forms = ["plots/deep", "plots/deep/", "./plots/deep", "plots//deep", pathlib.Path("plots/deep")]
        file = pathlib.Path(tempfile.mkdtemp(), "a.txt")
        file.write_text("a")
        client = mlflow.MlflowClient()
        found = []
        for form in forms:
            with mlflow.start_run() as run:
                mlflow.log_artifact(file, form)
                mlflow.log_artifacts(file.parent, form)
                mlflow.log_text("b", f"{form}/b.txt")
                mlflow.log_artifact(file, ".")
            place = run.info.run_id, str(form)
            found.append([
                [item.path for item in client.list_artifacts(run.info.run_id)],
                [item.path for item in client.list_artifacts(*place)],
                sorted(each.name for each in pathlib.Path(client.download_artifacts(*place)).iterdir()),
                load_text(f"runs:/{run.info.run_id}/{form}/b.txt"),
            ])
        print(json.dumps(found))
        """

    for found in printed(version, azure, code):
        assert found == [
            ["a.txt", "plots"],
            ["plots/deep/a.txt", "plots/deep/b.txt"],
            ["a.txt", "b.txt"],
            "b",
        ]


def test_what_cannot_be_sent_leaves_no_empty_artifact_and_what_was_there_stays(azure: EmulatedAzure) -> None:
    azure.faults.add("*.blob.core.windows.net", "notes/new", status=403)
    code = """
        import json, mlflow, pathlib, tempfile
        folder = pathlib.Path(tempfile.mkdtemp())
        for name in ("new.txt", "old.txt"):
            (folder / name).write_text("later")
        client = mlflow.MlflowClient()
        with mlflow.start_run() as run:
            mlflow.log_text("first", "notes/old.txt")
            try:
                mlflow.log_artifacts(folder, "notes")
            except mlflow.MlflowException as error:
                said = error.error_code
        listed = [item.path for item in client.list_artifacts(run.info.run_id, "notes")]
        print(json.dumps([said, listed]))
        """

    assert printed(VERSION, azure, code) == ["PERMISSION_DENIED", ["notes/old.txt"]]


def test_all_of_a_run_is_downloaded_and_listed_by_the_address_that_the_run_gives(
    azure: EmulatedAzure,
) -> None:
    code = (
        LOG
        + """
    import json, os
    whole = mlflow.artifacts.download_artifacts(run.info.artifact_uri)
    listed = mlflow.artifacts.list_artifacts(run.info.artifact_uri)
    print(json.dumps([os.listdir(os.path.join(whole, "notes")), [item.path for item in listed]]))
    """
    )

    assert printed(VERSION, azure, code) == [["x.txt"], ["artifacts/notes"]]


def test_what_a_killed_process_has_not_sent_spoils_nothing_and_can_be_logged_again(
    azure: EmulatedAzure,
) -> None:
    # Given a process that is killed in the middle of a folder's upload, with one file sent
    killed = """
        import json, mlflow, os, pathlib, signal, tempfile
        from azureml_databricks.bridge import artifacts

        mlflow.set_experiment("killed")
        run = mlflow.start_run()
        mlflow.log_text("before", "before.txt")
        print(json.dumps(run.info.run_id), flush=True)
        write = artifacts.write

        def until_the_end(address, *content):
            if "/folder/" in address and "b.txt" in address:
                write(address, *content)
                os.kill(os.getpid(), signal.SIGKILL)
            if "/folder/" not in address:
                write(address, *content)

        artifacts.write = until_the_end
        with tempfile.TemporaryDirectory() as scratch:
            pathlib.Path(scratch, "deep", "est").mkdir(parents=True)
            for name in ("a.txt", "b.txt", "c.txt", "deep/est/d.txt"):
                pathlib.Path(scratch, name).write_text(name)
            mlflow.log_artifacts(scratch, "folder")
        """
    done = run(VERSION, azure, killed)
    assert done.returncode == -9
    run_id = done.stdout.strip().strip('"')

    # When the run is read, and one of the files is logged again
    code = f"""
        import json, mlflow, os
        run_id = {run_id!r}
        client = mlflow.MlflowClient()

        def listed(folder=None):
            return [item.path for item in client.list_artifacts(run_id, folder)]

        def all_of_it():
            whole = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="")
            return sorted(os.path.relpath(os.path.join(place, each), whole)
                          for place, folders, files in os.walk(whole) for each in (*folders, *files))

        first = [listed(), listed("folder"), listed("folder/deep"), all_of_it()]
        try:
            mlflow.artifacts.load_text(f"runs:/{{run_id}}/folder/c.txt")
            said = ""
        except mlflow.MlflowException as error:
            said = [error.error_code, "has no bytes" in str(error)]
        client.log_text(run_id, "again", "folder/c.txt")
        again = mlflow.artifacts.load_text(f"runs:/{{run_id}}/folder/c.txt")
        print(json.dumps([*first, said, listed("folder"), all_of_it(), again]))
        """

    # Then what was sent is there, and the rest is as if it had never been begun
    sent = ["before.txt", "folder", "folder/b.txt"]
    assert printed(VERSION, azure, code) == [
        ["before.txt", "folder"],
        ["folder/b.txt"],
        [],
        sent,
        ["RESOURCE_DOES_NOT_EXIST", True],
        ["folder/b.txt", "folder/c.txt"],
        [*sent, "folder/c.txt"],
        "again",
    ]


def test_a_listing_of_a_run_that_has_finished_costs_no_request_a_file(azure: EmulatedAzure) -> None:
    code = """
        import json, mlflow
        with mlflow.start_run() as run:
            for number in range(20):
                mlflow.log_text("x", f"notes/{number}.txt")
            mlflow.MlflowClient().list_artifacts(run.info.run_id, "notes")
        print(json.dumps(run.info.run_id))
        """
    run_id = printed(VERSION, azure, code)
    assert [request.method for request in azure.journal if "blob" in request.host] == ["PUT"] * 20
    azure.journal.clear()

    listing = f"""
        import json, mlflow
        print(json.dumps([item.path for item in mlflow.MlflowClient().list_artifacts({run_id!r}, "notes")]))
        """
    assert len(printed(VERSION, azure, listing)) == 20
    paths = [request.path.rpartition("/")[2] for request in azure.journal if request.host == API]
    assert paths.count("get") == 2  # the run's address, and its status
    assert len(paths) <= 4
    assert not [request for request in azure.journal if "blob" in request.host]


@pytest.mark.parametrize("version", [pytest.param("2.9.2", marks=pytest.mark.thorough), "3.17.2"])
def test_who_searches_by_a_name_with_marks_of_an_address_gets_what_was_logged(
    azure: EmulatedAzure, version: str
) -> None:
    """MLflow's own server takes `a#b` and `a?b` for one, so this is no story."""
    code = """
        import json, mlflow, pathlib
        from mlflow.artifacts import download_artifacts
        names = ["a#b.txt", "a#c.txt", "a?b.txt", "a%20b.txt", "a%b.txt", "deep/d#1/x?y.txt", "e?/f"]
        client = mlflow.MlflowClient()
        with mlflow.start_run() as run:
            for name in names:
                mlflow.log_text(name, name)
        run_id, root = run.info.run_id, run.info.artifact_uri

        def text(place):
            return pathlib.Path(place).read_text()

        def below(place):
            return sorted(each.relative_to(place).as_posix() for each in pathlib.Path(place).rglob("*"))

        print(json.dumps([
            [text(client.download_artifacts(run_id, name)) for name in names],
            [text(download_artifacts(f"runs:/{run_id}/{name}")) for name in names],
            [text(download_artifacts(f"{root}/{name}")) for name in names],
            below(client.download_artifacts(run_id, "deep/d#1")),
            [item.path for item in client.list_artifacts(run_id, "deep/d#1")],
        ]))
        """

    names = ["a#b.txt", "a#c.txt", "a?b.txt", "a%20b.txt", "a%b.txt", "deep/d#1/x?y.txt", "e?/f"]
    assert printed(version, azure, code) == [names, names, names, ["x?y.txt"], ["deep/d#1/x?y.txt"]]
