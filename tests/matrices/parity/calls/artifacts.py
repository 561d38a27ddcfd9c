"""Artifacts of runs: writing, listing, reading, with paths in every form."""

import os
from pathlib import Path

import matplotlib.figure
import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient

client = MlflowClient()
experiment = mlflow.set_experiment("artifacts").experiment_id
run = mlflow.start_run().info.run_id
os.makedirs("tree/inner")
Path("a.txt").write_text("a")
Path("tree/b.txt").write_text("b")
Path("tree/inner/c.txt").write_text("c")
client.list_artifacts(run)
client.log_artifact(run, "a.txt")
client.log_artifact(run, "a.txt", "d")
client.log_artifact(run, "a.txt", "d/e")
client.log_artifact(run, Path("a.txt"), "path")
client.log_artifact(run, "tree")
client.log_artifact(run, "missing.txt")
client.log_artifact(run, "a.txt", "../up")
client.log_artifact(run, "a.txt", "/root")
client.log_artifact(run, None)
client.log_artifact("0" * 32, "a.txt")
client.log_artifacts(run, "tree", "copied")
client.log_artifacts(run, "missing")
client.log_artifacts(run, "a.txt")
client.log_artifacts(run, None)
client.log_text(run, "hello", "notes/hello.txt")
client.log_text(run, "again", "notes/hello.txt")
client.log_text(run, "x", "")
client.log_text(run, "x", None)
client.log_text(run, None, "none.txt")
client.log_text(run, "x", "./dotted.txt")
client.log_text(run, "x", "double//slash.txt")
client.log_text(run, "x", "../up.txt")
client.log_text(run, "x", "with space and ü.txt")
client.log_dict(run, {"a": [1]}, "dict.json")
client.log_dict(run, {"a": [1]}, "dict.yaml")
client.log_figure(run, matplotlib.figure.Figure(), "figure.png")
client.log_image(run, np.zeros((2, 2, 3), dtype=np.uint8), "image.png")
# Its name has `%` and a random number: MLflow 2's own server gives out half of all such files.
pictures = client.create_run(experiment).info.run_id
client.log_image(pictures, np.zeros((2, 2, 3), dtype=np.uint8), key="seen", step=1, timestamp=1)
client.log_stream(run, open("a.txt", "rb"), "stream.txt")
client.log_table(run, {"q": ["a", "b"]}, "table.json")
client.log_table(run, pd.DataFrame({"q": ["c"]}), "table.json")
client.load_table(experiment, "table.json", [run])
mlflow.load_table("table.json", run_ids=[run])
mlflow.load_table("missing.json", run_ids=[run])
mlflow.log_artifact("a.txt", "fluent")
mlflow.log_artifacts("tree", "fluent")
mlflow.log_text("x", "fluent/text.txt")
mlflow.log_dict({}, "fluent/dict.json")
mlflow.log_figure(matplotlib.figure.Figure(), "fluent/figure.png")
mlflow.log_image(np.zeros((2, 2, 3), dtype=np.uint8), "fluent/image.png")
mlflow.log_stream(open("a.txt", "rb"), "fluent/stream.txt")
mlflow.log_table({"q": [1]}, "fluent/table.json")

client.list_artifacts(run)
[each.file_size for each in client.list_artifacts(run, "notes")]  # differs: sizes_of_artifacts
client.list_artifacts(run, "notes")
client.list_artifacts(run, "notes/")
client.list_artifacts(run, "./d")  # differs: paths_of_artifacts
client.list_artifacts(run, "d/.")  # differs: paths_of_artifacts
client.list_artifacts(run, "d//e")  # differs: paths_of_artifacts
client.list_artifacts(run, "/d")  # differs: paths_of_artifacts
client.list_artifacts(run, ".")  # differs: paths_of_artifacts
client.list_artifacts(run, "")
client.list_artifacts(run, "..")  # differs: paths_of_artifacts
client.list_artifacts(run, "d/../notes")  # differs: paths_of_artifacts
client.list_artifacts(run, "missing")
client.list_artifacts(run, "a.txt")
client.list_artifacts(run, "d/a.txt")
client.list_artifacts(run, "d/e")
client.list_artifacts(run, Path("d"))
client.list_artifacts(run, "fluent")
client.list_artifacts(run, 7)
client.list_artifacts("0" * 32)
client.list_artifacts(None)


def got(path):
    """Return what is at a path or below it: names and texts."""
    place = Path(path)
    below = sorted(each for each in place.rglob("*") if each.is_file()) if place.is_dir() else [place]
    return [
        [each.relative_to(place.parent).as_posix(), each.read_bytes()[:20].decode("utf-8", "replace")]
        for each in below
    ]


got(client.download_artifacts(run, "a.txt"))
got(client.download_artifacts(run, "tree"))
got(client.download_artifacts(run, "copied"))
got(client.download_artifacts(run, "copied/"))
got(client.download_artifacts(run, "./copied"))
got(client.download_artifacts(run, "copied/."))
got(client.download_artifacts(run, "d//a.txt"))
got(client.download_artifacts(run, "/d"))  # differs in 2: paths_of_artifacts
got(client.download_artifacts(run, "notes/hello.txt"))
got(client.download_artifacts(run, "with space and ü.txt"))
len(got(client.download_artifacts(run, "notes/..")))  # differs: paths_of_artifacts
len(got(client.download_artifacts(run, "")))
len(got(client.download_artifacts(run, ".")))
client.download_artifacts(run, "missing")  # differs in 2: missing_artifacts
client.download_artifacts(run, "../up")  # differs: paths_of_artifacts
client.download_artifacts(run, None)  # differs in 2: wrong_types
client.download_artifacts("0" * 32, "a.txt")
client.download_artifacts(run, "a.txt", "no-such-folder")  # differs in 2: missing_artifacts
got(mlflow.artifacts.download_artifacts(f"runs:/{run}/copied"))
got(mlflow.artifacts.download_artifacts(f"runs:/{run}/copied/b.txt"))
got(mlflow.artifacts.download_artifacts(run_id=run, artifact_path="copied"))
got(mlflow.artifacts.download_artifacts(run_id=run, artifact_path="copied", dst_path="made/here"))
got(mlflow.artifacts.download_artifacts(artifact_uri=mlflow.get_artifact_uri("copied")))
got(mlflow.artifacts.download_artifacts(artifact_uri=str(Path(mlflow.get_artifact_uri("copied")))))
mlflow.artifacts.download_artifacts(f"runs:/{run}/missing")  # differs in 2: missing_artifacts
mlflow.artifacts.download_artifacts("runs:/" + "0" * 32 + "/copied")
mlflow.artifacts.download_artifacts("runs:/")
mlflow.artifacts.download_artifacts()
mlflow.artifacts.list_artifacts(f"runs:/{run}/copied")
mlflow.artifacts.list_artifacts(f"runs:/{run}/copied/.")  # differs: paths_of_artifacts
mlflow.artifacts.list_artifacts(f"runs:/{run}/copied/")
mlflow.artifacts.list_artifacts(f"runs:/{run}//copied")
mlflow.artifacts.list_artifacts(f"runs:/{run}/./copied")
mlflow.artifacts.list_artifacts(f"runs:/{run}/")
mlflow.artifacts.list_artifacts(run_id=run, artifact_path="copied/inner")
mlflow.artifacts.list_artifacts(artifact_uri=mlflow.get_artifact_uri("copied"))
mlflow.artifacts.list_artifacts(artifact_uri=str(Path(mlflow.get_artifact_uri("copied"))))
mlflow.artifacts.load_text(f"runs:/{run}/notes/hello.txt")
mlflow.artifacts.load_text(f"runs:/{run}/missing.txt")  # differs in 2: missing_artifacts
mlflow.artifacts.load_dict(f"runs:/{run}/dict.json")
mlflow.artifacts.load_image(f"runs:/{run}/image.png").size
mlflow.get_artifact_uri()
mlflow.get_artifact_uri("copied")
client.log_artifact(run, "a.txt", "d/f/")  # differs: paths_of_artifacts

# Names that mean something in an address: MLflow's own server cuts them at a mark, or reads another of them.
odd = client.create_run(experiment).info.run_id
os.makedirs("odd/in#side?x=1")
for name in ("a#b.txt", "a?b.txt", "a%20b.txt", "a%b.txt", "100%", "a&b=c+d;e.txt", "in#side?x=1/%23.txt"):
    Path("odd", name).write_text(name)
client.log_artifacts(odd, "odd")
client.log_artifacts(odd, "odd", "folder#1")
client.log_artifact(odd, "odd/a#b.txt", "one?")
client.log_artifact(odd, "odd/a%20b.txt", "one%20")
client.log_artifact(odd, "odd/a?b.txt", "one%2Ftwo")  # differs: names_of_artifacts
client.log_text(odd, "text", "text#.txt")
client.log_text(odd, "text", "text?.txt")
client.log_text(odd, "text", "text%41.txt")
client.log_dict(odd, {"a": 1}, "dict#?.json")
client.list_artifacts(odd)  # differs: names_of_artifacts
client.list_artifacts(odd, "in#side?x=1")  # differs: names_of_artifacts
client.list_artifacts(odd, "folder#1")  # differs: names_of_artifacts
client.list_artifacts(odd, "folder%231")  # differs: names_of_artifacts
client.list_artifacts(odd, "one?")  # differs: names_of_artifacts
client.list_artifacts(odd, "one%20")  # differs: names_of_artifacts
client.list_artifacts(odd, "one ")  # differs: names_of_artifacts
client.list_artifacts(odd, "one%2Ftwo")  # differs: names_of_artifacts
got(client.download_artifacts(odd, "a#b.txt"))  # differs: names_of_artifacts
got(client.download_artifacts(odd, "a?b.txt"))  # differs: names_of_artifacts
got(client.download_artifacts(odd, "a%20b.txt"))
got(client.download_artifacts(odd, "a%b.txt"))
got(client.download_artifacts(odd, "100%"))
got(client.download_artifacts(odd, "a&b=c+d;e.txt"))
got(client.download_artifacts(odd, "a b.txt"))  # differs: names_of_artifacts
got(client.download_artifacts(odd, "in#side?x=1"))  # differs: names_of_artifacts
got(client.download_artifacts(odd, "folder#1"))  # differs: names_of_artifacts
got(client.download_artifacts(odd, "text%41.txt"))
got(client.download_artifacts(odd, ""))  # differs: names_of_artifacts
got(mlflow.artifacts.download_artifacts(run_id=odd, artifact_path="a#b.txt"))  # differs: names_of_artifacts
got(mlflow.artifacts.download_artifacts(run_id=odd, artifact_path="folder#1"))  # differs: names_of_artifacts
got(mlflow.artifacts.download_artifacts(run_id=odd, artifact_path="one%20"))  # differs: names_of_artifacts
got(mlflow.artifacts.download_artifacts(f"runs:/{odd}/a#b.txt"))  # differs: names_of_artifacts
got(mlflow.artifacts.download_artifacts(f"runs:/{odd}/a?b.txt"))  # differs: names_of_artifacts
got(mlflow.artifacts.download_artifacts(f"runs:/{odd}/a%20b.txt"))
got(mlflow.artifacts.download_artifacts(f"runs:/{odd}/folder#1"))  # differs: names_of_artifacts
mlflow.artifacts.load_text(f"runs:/{odd}/text#.txt")
mlflow.artifacts.load_text(f"runs:/{odd}/text%41.txt")
mlflow.artifacts.load_dict(f"runs:/{odd}/dict#?.json")
mlflow.artifacts.list_artifacts(f"runs:/{odd}/folder#1")  # differs: names_of_artifacts
mlflow.artifacts.list_artifacts(run_id=odd, artifact_path="folder#1")  # differs: names_of_artifacts
mlflow.artifacts.list_artifacts(run_id=odd, artifact_path="one?")  # differs: names_of_artifacts
