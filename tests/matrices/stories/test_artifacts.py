"""Artifacts: every file comes back as it was, and a listing shows what is there and no more."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import mlflow
import pandas
import pytest
from matplotlib.figure import Figure
from mlflow import MlflowClient, MlflowException
from mlflow.artifacts import download_artifacts, load_text
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from PIL import Image

pytestmark = pytest.mark.feature("Artifacts")

# Not `#`, nor `%` before two digits: MLflow's own server takes them for the address's.
NAMES = ["plain.txt", "two words.txt", "50%.txt", "a+b.txt", "a&b=c.txt"]
FOLDERS = ["two words", "50%", "a+b", "größe"]


@pytest.fixture
def run_id(client: MlflowClient, experiment_id: str) -> str:
    run_id: str = client.create_run(experiment_id).info.run_id
    return run_id


@pytest.fixture
def tree(tmp_path: Path, client: MlflowClient, run_id: str) -> Path:
    """A folder whose files are all logged: names beside longer ones, folders in folders."""
    tree = tmp_path / "tree"
    for path in ("ab", "abc", "model/a.txt", "model/deep/er/b.txt", "model2/c.txt"):
        file = tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
    client.log_artifacts(run_id, str(tree))
    return tree


def contents(folder: Path | str) -> dict[str, bytes]:
    """Return what is in each file below the folder, by path."""
    files = (file for file in Path(folder).rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def listed(client: MlflowClient, run_id: str, path: str | None = None) -> dict[str, bool]:
    """Return whether each entry is a folder, by path."""
    return {entry.path: entry.is_dir for entry in client.list_artifacts(run_id, path)}


# Listing -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tree")
def test_each_level_is_listed_with_its_folders(client: MlflowClient, run_id: str) -> None:
    assert listed(client, run_id) == {"ab": False, "abc": False, "model": True, "model2": True}
    assert listed(client, run_id, "model") == {"model/a.txt": False, "model/deep": True}
    assert listed(client, run_id, "model/deep") == {"model/deep/er": True}
    assert listed(client, run_id, "model/deep/er") == {"model/deep/er/b.txt": False}


@pytest.mark.usefixtures("tree")
def test_a_folder_with_a_longer_neighbour_is_listed_alone(client: MlflowClient, run_id: str) -> None:
    assert listed(client, run_id, "model2") == {"model2/c.txt": False}
    assert "model2/c.txt" not in listed(client, run_id, "model")


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize("path", ["ab", "model/a.txt"])
def test_the_listing_of_a_file_is_empty(client: MlflowClient, run_id: str, path: str) -> None:
    assert listed(client, run_id, path) == {}


def test_a_run_without_artifacts_lists_none(client: MlflowClient, run_id: str) -> None:
    assert listed(client, run_id) == {}


@pytest.mark.usefixtures("run_id")
@pytest.mark.differs_on_azure("sizes_of_artifacts")
def test_a_listing_tells_the_files_sizes(client: MlflowClient, run_id: str) -> None:
    client.log_text(run_id, "12345", "five.txt")

    assert [entry.file_size for entry in client.list_artifacts(run_id)] == [5]


# Downloading ---------------------------------------------------------------------------------------


def test_one_file_is_downloaded(client: MlflowClient, run_id: str, tree: Path) -> None:
    for path, content in contents(tree).items():
        assert Path(client.download_artifacts(run_id, path)).read_bytes() == content


def test_one_folder_is_downloaded_without_its_longer_neighbour(
    run_id: str, tree: Path, tmp_path: Path
) -> None:
    folder = download_artifacts(run_id=run_id, artifact_path="model", dst_path=str(tmp_path / "out"))

    assert contents(folder) == contents(tree / "model")
    assert contents(tmp_path / "out") == {
        f"model/{path}": content for path, content in contents(tree / "model").items()
    }


def test_everything_is_downloaded(run_id: str, tree: Path) -> None:
    assert contents(download_artifacts(run_id=run_id, artifact_path="")) == contents(tree)
    assert contents(download_artifacts(artifact_uri=f"runs:/{run_id}/")) == contents(tree)


@pytest.mark.usefixtures("tree")
def test_a_run_is_read_by_its_uri(run_id: str) -> None:
    assert Path(download_artifacts(artifact_uri=f"runs:/{run_id}/model/a.txt")).read_text() == "model/a.txt"
    assert load_text(f"runs:/{run_id}/abc") == "abc"


@pytest.mark.usefixtures("tree")
@pytest.mark.since("2.13")
def test_a_run_is_listed_by_its_uri(run_id: str) -> None:
    entries = mlflow.artifacts.list_artifacts(artifact_uri=f"runs:/{run_id}/model2")

    assert [entry.path for entry in entries] == ["model2/c.txt"]


@pytest.mark.usefixtures("tree")
def test_a_run_is_read_by_its_artifact_uri(client: MlflowClient, run_id: str) -> None:
    artifact_uri = client.get_run(run_id).info.artifact_uri

    assert load_text(f"{artifact_uri}/model/deep/er/b.txt") == "model/deep/er/b.txt"


MISSING = ["mod", "model/missing.txt", "missing/a.txt"]


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize("path", MISSING)
def test_a_path_that_is_not_there_is_told(client: MlflowClient, run_id: str, path: str) -> None:
    artifact_uri = client.get_run(run_id).info.artifact_uri

    with pytest.raises((MlflowException, OSError)):
        download_artifacts(f"{artifact_uri}/{path}")


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize("path", MISSING)
@pytest.mark.since("3.8")  # MLflow 3.0 gives an empty folder
def test_a_path_that_a_run_does_not_have_is_told(run_id: str, path: str) -> None:
    with pytest.raises((MlflowException, OSError)):
        download_artifacts(run_id=run_id, artifact_path=path)


# Logging -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_name", NAMES)
def test_any_name_of_a_file_is_kept(
    client: MlflowClient, run_id: str, file_name: str, tmp_path: Path
) -> None:
    (tmp_path / file_name).write_text(file_name, encoding="utf-8")

    client.log_artifact(run_id, str(tmp_path / file_name))

    assert listed(client, run_id) == {file_name: False}
    downloaded = Path(client.download_artifacts(run_id, file_name))
    assert (downloaded.name, downloaded.read_text(encoding="utf-8")) == (file_name, file_name)


def test_a_files_name_may_have_any_letter(client: MlflowClient, run_id: str) -> None:
    client.log_text(run_id, "x", "größe-日本.txt")

    # Not downloaded: MLflow's own server fails on the name then.
    assert listed(client, run_id) == {"größe-日本.txt": False}


@pytest.mark.parametrize("folder", FOLDERS)
def test_any_name_of_a_folder_is_kept(client: MlflowClient, run_id: str, folder: str) -> None:
    client.log_text(run_id, "x", f"{folder}/file.txt")

    assert listed(client, run_id) == {folder: True}
    assert listed(client, run_id, folder) == {f"{folder}/file.txt": False}
    assert contents(client.download_artifacts(run_id, folder)) == {"file.txt": b"x"}


def test_an_empty_file_is_an_artifact(client: MlflowClient, run_id: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()

    client.log_artifact(run_id, str(tmp_path / "empty"), "folder")

    assert listed(client, run_id, "folder") == {"folder/empty": False}
    assert Path(client.download_artifacts(run_id, "folder/empty")).read_bytes() == b""


def test_what_is_logged_twice_is_as_it_was_logged_last(client: MlflowClient, run_id: str) -> None:
    client.log_text(run_id, "the first and longer", "notes.txt")
    client.log_text(run_id, "the second", "notes.txt")

    assert load_text(f"runs:/{run_id}/notes.txt") == "the second"
    assert listed(client, run_id) == {"notes.txt": False}


def test_a_folder_that_is_logged_twice_is_merged(client: MlflowClient, run_id: str, tmp_path: Path) -> None:
    for number, files in enumerate((("a", "b"), ("b", "c"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        for file in files:
            (folder / file).write_text(f"{file}{number}")
        client.log_artifacts(run_id, str(folder), "folder")

    downloaded = contents(client.download_artifacts(run_id, "folder"))
    assert downloaded == {"a": b"a0", "b": b"b1", "c": b"c1"}


def test_120_files_in_one_call_are_all_there(client: MlflowClient, run_id: str, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(120):
        (folder / f"{number}.txt").write_text(str(number))

    client.log_artifacts(run_id, str(folder), "many")

    assert len(listed(client, run_id, "many")) == 120
    assert contents(client.download_artifacts(run_id, "many")) == contents(folder)


def test_a_big_file_comes_back_the_same(client: MlflowClient, run_id: str, tmp_path: Path) -> None:
    big = tmp_path / "weights.bin"
    big.write_bytes(os.urandom(32 << 20))

    client.log_artifact(run_id, str(big))

    downloaded = Path(client.download_artifacts(run_id, "weights.bin", str(tmp_path / "..")))
    digests = {hashlib.sha256(file.read_bytes()).hexdigest() for file in (big, downloaded)}
    assert len(digests) == 1


def test_an_artifact_is_logged_to_the_active_run(client: MlflowClient, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    with mlflow.start_run() as run:
        mlflow.log_artifact("a.txt", "notes")
        mlflow.log_artifacts(".", "all")

        assert load_text(f"{mlflow.get_artifact_uri()}/notes/a.txt") == "a"
        assert load_text(mlflow.get_artifact_uri("all/a.txt")) == "a"

    assert listed(client, run.info.run_id) == {"notes": True, "all": True}


def test_text_and_dictionaries_are_artifacts() -> None:
    with mlflow.start_run() as run:
        mlflow.log_text("hello", "notes/hello.txt")
        mlflow.log_dict({"depth": 3}, "config.json")
        mlflow.log_dict({"depth": 3}, "config.yaml")

    uri = f"runs:/{run.info.run_id}"
    assert load_text(f"{uri}/notes/hello.txt") == "hello"
    assert mlflow.artifacts.load_dict(f"{uri}/config.json") == {"depth": 3}
    assert load_text(f"{uri}/config.yaml") == "depth: 3\n"


def test_figures_and_images_are_artifacts() -> None:
    figure = Figure()
    figure.subplots().plot([1, 2, 3])
    with mlflow.start_run() as run:
        mlflow.log_figure(figure, "plots/line.png")
        mlflow.log_image(Image.new("RGB", (2, 3), "red"), "red.png")

    assert Image.open(download_artifacts(f"runs:/{run.info.run_id}/plots/line.png")).format == "PNG"
    image = mlflow.artifacts.load_image(f"runs:/{run.info.run_id}/red.png")
    assert (image.size, image.getpixel((0, 0))) == ((2, 3), (255, 0, 0))


@pytest.mark.since("2.19")  # the server of 2.13 takes the % in their names for escapes, and may lose one
def test_images_of_steps_are_artifacts(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        for step in range(2):
            mlflow.log_image(Image.new("RGB", (2, 3), "red"), key="sample", step=step, synchronous=True)

    names = [entry.path for entry in client.list_artifacts(run.info.run_id, "images")]
    assert len([name for name in names if name.endswith(".png")]) == 2


def test_a_table_grows_with_each_call() -> None:
    with mlflow.start_run() as run:
        mlflow.log_table({"prompt": ["a", "b"], "score": [1, 2]}, "scores.json")
        mlflow.log_table(pandas.DataFrame({"prompt": ["c"], "score": [3]}), "scores.json")

    table = mlflow.load_table("scores.json", run_ids=[run.info.run_id], extra_columns=["run_id"])

    assert list(table["prompt"]) == ["a", "b", "c"]
    assert list(table["score"]) == [1, 2, 3]
    assert set(table["run_id"]) == {run.info.run_id}


# Paths ---------------------------------------------------------------------------------------------


# Before, MLflow's own server says of a Path that it would resolve to another name.
@pytest.mark.parametrize(
    "form", ["plots/deep", pytest.param(Path("plots/deep"), marks=pytest.mark.since("3.8"))]
)
@pytest.mark.since("3.0")
def test_a_folder_is_logged_to_by_a_text_or_a_path(
    client: MlflowClient, run_id: str, tmp_path: Path, form: str | Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")

    client.log_artifacts(run_id, tmp_path / "a", form)
    client.log_artifact(run_id, tmp_path / "b.txt", form)
    client.log_text(run_id, "c", f"{form}/c.txt")
    client.log_dict(run_id, {"d": 1}, f"{form}/d.json")
    client.log_figure(run_id, Figure(), f"{form}/e.png")

    files = ("a.txt", "b.txt", "c.txt", "d.json", "e.png")
    assert listed(client, run_id, "plots/deep") == {f"plots/deep/{file}": False for file in files}


@pytest.mark.parametrize("form", ["", None])
def test_no_folder_is_the_run_itself(
    client: MlflowClient, run_id: str, tmp_path: Path, form: str | None
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")

    client.log_artifacts(run_id, str(tmp_path / "a"), form)
    client.log_artifact(run_id, str(tmp_path / "b.txt"), form)

    assert listed(client, run_id) == {"a.txt": False, "b.txt": False}


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize("form", ["model/deep", "model/deep/"])
def test_a_folder_is_listed_and_downloaded_with_and_without_a_slash_at_its_end(
    client: MlflowClient, run_id: str, form: str, tmp_path: Path
) -> None:
    assert listed(client, run_id, form) == {"model/deep/er": True}

    folder = download_artifacts(run_id=run_id, artifact_path=form, dst_path=str(tmp_path / "out"))
    assert contents(folder) == {"er/b.txt": b"model/deep/er/b.txt"}
    assert load_text(f"runs:/{run_id}/{form}/er/b.txt") == "model/deep/er/b.txt"


@pytest.mark.parametrize("form", ["../x", "a/../../x", ".."])
def test_no_path_leads_out_of_the_run(client: MlflowClient, run_id: str, tmp_path: Path, form: str) -> None:
    (tmp_path / "a.txt").write_text("a")

    refused = pytest.raises(MlflowException, match=r"Invalid (artifact )?path")
    with refused:
        client.log_artifact(run_id, str(tmp_path / "a.txt"), form)
    with refused:
        client.log_artifacts(run_id, str(tmp_path), form)
    with refused:
        client.log_text(run_id, "x", f"{form}/x.txt")
    assert listed(client, run_id) == {}


def test_a_file_that_is_not_there_leaves_no_artifact(
    client: MlflowClient, run_id: str, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "broken").symlink_to(folder / "missing")
    (folder / "good.txt").write_text("good")

    with pytest.raises(OSError, match="No such file"):
        client.log_artifact(run_id, str(folder / "broken"))
    with pytest.raises(OSError, match="No such file"):
        client.log_artifact(run_id, str(tmp_path / "missing.txt"), "notes")

    assert listed(client, run_id) == {}


# Deleting ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tree")
@pytest.mark.since("2.19")
def test_a_deleted_file_is_gone_and_its_longer_neighbour_stays(client: MlflowClient, run_id: str) -> None:
    repository = get_artifact_repository(client.get_run(run_id).info.artifact_uri)

    repository.delete_artifacts("ab")

    assert listed(client, run_id) == {"abc": False, "model": True, "model2": True}


@pytest.mark.usefixtures("tree")
def test_a_deleted_folder_is_gone_and_its_longer_neighbour_stays(client: MlflowClient, run_id: str) -> None:
    repository = get_artifact_repository(client.get_run(run_id).info.artifact_uri)

    repository.delete_artifacts("model")

    assert listed(client, run_id) == {"ab": False, "abc": False, "model2": True}
