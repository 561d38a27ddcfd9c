"""The emulated Spark cluster keeps its word, so that other tests may rely on it.

What it says of standard access mode is in `test_standard_access_mode.py`, and of ML runtimes in
`test_executors.py`, which have such clusters.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from tests.emulated.node import Node
from tests.emulated.node.boot import no_overlay
from tests.emulated.node.notebook import read
from tests.emulated.spark import ConfFile, SparkCluster, booted_cluster
from tests.matrices.spark.cluster import JOBS, PROBE, addresses, printed, text_of

CONF = {"spark.azureml.experiment": "a b", "spark.azureml.path": r"C:\x"}
FILES: dict[ConfFile, str] = {
    "spark-defaults.conf": "/databricks/spark/conf/spark-defaults.conf",
    "custom-spark.conf": "/tmp/custom-spark.conf",
    "driver.conf": "/databricks/driver/conf/00-custom-spark-driver-defaults.conf",
}


@pytest.fixture(scope="module")
def prepared() -> list[tuple[str, bool]]:
    """What init scripts find on each node of `cluster`: `DB_IS_DRIVER`, and whether Spark has started."""
    return []


@pytest.fixture(scope="module")
def cluster(prepared: list[tuple[str, bool]]) -> Iterator[SparkCluster]:
    """Two workers of 15.4, in dedicated access mode."""

    def prepare(node: Node) -> None:
        is_driver = node.run(["sh", "-c", "echo $DB_IS_DRIVER"]).stdout.strip()
        prepared.append((is_driver, node.path("/databricks/spark/logs").exists()))

    if reason := no_overlay():
        pytest.skip(reason)
    with booted_cluster(
        "15.4",
        spark_env_vars={"TEAM": "a b"},
        spark_conf=CONF,
        conf_files=list(FILES),
        prepare=prepare,
    ) as cluster:
        yield cluster


def put_notebook(node: Node, path: str, *cells: str) -> None:
    file = node.path(f"{path}.ipynb")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(nbformat.writes(read(cells)))  # type: ignore[no-untyped-call]


# Nodes -----------------------------------------------------------------------------------------------


def test_init_scripts_run_on_each_node_before_any_of_spark(
    cluster: SparkCluster, prepared: list[tuple[str, bool]]
) -> None:
    assert prepared == [("TRUE", False), ("FALSE", False), ("FALSE", False)]


def test_nodes_share_volumes_and_no_memory(cluster: SparkCluster) -> None:
    # When the driver writes to both
    for folder in ("/Volumes/main/default", "/dev/shm"):
        done = cluster.driver.run(["touch", f"{folder}/seen"])
        assert done.returncode == 0, done.stderr

    # Then a worker, and an unprivileged user of it, sees and changes the one and not the other
    for worker in cluster.workers:
        seen = worker.run(["ls", "/Volumes/main/default", "/dev/shm"]).stdout.split()
        assert seen.count("seen") == 1
        done = worker.run(["sh", "-c", "echo x >> /Volumes/main/default/seen"], user="nobody")
        assert done.returncode == 0, done.stderr
    assert cluster.driver.path("/Volumes/main/default/seen").read_text() == "x\nx\n"
    assert not Path("/dev/shm/seen").exists()
    assert stat.S_IMODE(cluster.driver.path("/dev/shm").stat().st_mode) == 0o1777


# Spark, in dedicated access mode ---------------------------------------------------------------------


def test_executors_are_on_the_workers_and_run_the_clusters_python(cluster: SparkCluster) -> None:
    workers = printed(cluster.run_notebook([PROBE]))

    assert addresses(workers) == {worker.environment["DB_CONTAINER_IP"] for worker in cluster.workers}
    for each in workers:
        environment = each["environment"]
        assert each["python"] == "/databricks/python3/bin/python"
        assert (environment["DB_IS_DRIVER"], environment["TEAM"]) == ("FALSE", "a b")
        assert environment["DB_DRIVER_IP"] == cluster.driver.environment["DB_CONTAINER_IP"]


def test_the_conf_reaches_each_session_and_the_files_that_were_asked_for(cluster: SparkCluster) -> None:
    # When two notebooks have a session each
    ask = f"import json; print(json.dumps([spark.conf.get(key) for key in {list(CONF)}]))"
    change = 'spark.conf.set("spark.azureml.experiment", "of this notebook only")'
    first = cluster.run_notebook([ask, change])
    second = cluster.run_notebook([ask])

    # Then each has the cluster's, and nodes have the files, of which a user cannot read the JVM's
    assert printed(first, 0) == printed(second, 0) == list(CONF.values())
    for node in (cluster.driver, *cluster.workers):
        for path in FILES.values():
            assert "spark.azureml.experiment" in node.run(["cat", path], user="nobody").stdout
    private = "/databricks/driver/spark.properties", "/databricks/driver/gateway.json"
    assert all(cluster.driver.run(["cat", path], user="nobody").returncode for path in private)
    assert '"spark.azureml.path" = "C:\\\\x"' in cluster.driver.path(FILES["driver.conf"]).read_text()


def test_a_spark_ml_model_is_saved_by_executors_and_read_by_the_driver(cluster: SparkCluster) -> None:
    notebook = cluster.run_notebook(
        [
            "from pyspark.ml.classification import LogisticRegression, LogisticRegressionModel\n"
            "from pyspark.ml.feature import VectorAssembler\n"
            "rows = [(float(x), float(x > 10)) for x in range(20)]\n"
            "frame = VectorAssembler(inputCols=['x'], outputCol='features').transform(\n"
            "    spark.createDataFrame(rows, ['x', 'label']))\n"
            "model = LogisticRegression(maxIter=3).fit(frame)\n"
            "model.save('/Volumes/main/default/tmp/model')\n"
            "loaded = LogisticRegressionModel.load('/Volumes/main/default/tmp/model')\n"
            "print(loaded.coefficients == model.coefficients)",
        ]
    )

    assert text_of(notebook) == "True"


# Notebooks -------------------------------------------------------------------------------------------


def test_cells_run_shell_other_notebooks_and_pip_as_databricks_has_them(
    cluster: SparkCluster, tmp_path: Path
) -> None:
    # Given
    put_notebook(cluster.driver, "/Workspace/Users/ann/helpers", "%sh echo from helpers", "helped = 41 + 1")
    cluster.driver.copy_in(wheel(tmp_path), f"{JOBS}/greeter-1.0-py3-none-any.whl")

    # When
    notebook = cluster.run_notebook(
        [
            "%sh\necho $0 $DB_IS_DRIVER\nid --user; false",
            "%run ./helpers",
            "print(helped)",
            f"%pip install --quiet --no-index {JOBS}/greeter-1.0-py3-none-any.whl",
            "dbutils.library.restartPython()",
            "import greeter; print(greeter.__file__, 'helped' in globals(), spark.range(3).count())",
        ],
        cwd="/Workspace/Users/ann",
    )

    # Then
    assert text_of(notebook, 0).split() == ["bash", "TRUE", "0"]
    assert (text_of(notebook, 1), text_of(notebook, 2)) == ("from helpers", "42")
    file, *rest = text_of(notebook).split()
    assert "/pythonEnv-" in file
    assert rest == ["False", "3"]
    with pytest.raises(CellExecutionError, match="exit status 3"):
        cluster.run_notebook(["%sh -e\nexit 3"])


def test_a_notebook_runs_another_in_a_python_of_its_own(cluster: SparkCluster) -> None:
    # Given
    put_notebook(
        cluster.driver,
        "/Workspace/Users/ann/child",
        "import os; found = os.environ.get('OF_THE_PARENT')",
        "dbutils.notebook.exit(f'{found} {os.environ[\"TEAM\"]} {spark.range(3).count()}')",
        "1 / 0",
    )
    put_notebook(cluster.driver, "/Workspace/Users/ann/broken", "1 / 0")

    # When
    notebook = cluster.run_notebook(
        [
            "import os; os.environ['OF_THE_PARENT'] = 'set'",
            "print(dbutils.notebook.run('./child', 60))",
            "dbutils.notebook.run('./broken', 60)",
            "dbutils.notebook.exit('done')",
            "print('not reached')",
        ],
        cwd="/Workspace/Users/ann",
        allow_errors=True,
    )

    # Then
    assert text_of(notebook, 1) == "None a b 3"
    assert "ZeroDivisionError: division by zero" in notebook.cells[2].outputs[-1].evalue
    assert [output.data["text/plain"] for output in notebook.cells[3].outputs] == ["Notebook exited: done"]
    assert text_of(notebook, 4) == ""


# Jobs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry_point", ["greet", "hello"])
def test_a_jobs_wheel_is_run_by_its_entry_point_or_its_function(
    cluster: SparkCluster, tmp_path: Path, entry_point: str
) -> None:
    cluster.driver.copy_in(wheel(tmp_path), f"{JOBS}/greeter-1.0-py3-none-any.whl")

    done = cluster.run_wheel(f"{JOBS}/greeter-1.0-py3-none-any.whl", "greeter", entry_point, "Ann")

    assert (done.returncode, done.stdout) == (0, "hello Ann, 5\n"), done.stderr


def wheel(folder: Path) -> Path:
    """Make a wheel `greeter`, whose function `hello` is also its entry point `greet`."""
    file = folder / "greeter-1.0-py3-none-any.whl"
    code = (
        "import sys\n"
        "def hello():\n"
        "    from pyspark.sql import SparkSession\n"
        "    print(f'hello {sys.argv[1]},', SparkSession.builder.getOrCreate().range(5).count())\n"
    )
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("greeter.py", code)
        about = "greeter-1.0.dist-info"
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: greeter\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/entry_points.txt", "[console_scripts]\ngreet = greeter:hello\n")
        archive.writestr(f"{about}/RECORD", "")
    return file


# The end ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Past:
    """A cluster that is gone: what a notebook said on it, and what there was of it and before it."""

    notebook: NotebookNode
    processes: list[psutil.Process]
    roots: list[Path]
    mounts: str


@pytest.fixture(scope="module")
def past() -> Past:
    """One worker of 15.4, in standard access mode."""
    if reason := no_overlay():
        pytest.skip(reason)
    mounts = Path("/proc/mounts").read_text()
    with booted_cluster("15.4", access_mode="standard", workers=1, spark_conf=CONF) as cluster:
        ask = "import pyspark; print(pyspark.__version__, spark.conf.get('spark.azureml.experiment'))"
        notebook = cluster.run_notebook([ask, "print(type(spark).__module__, spark.range(3).count())"])
        address = cluster.driver.environment["DB_DRIVER_IP"]
        processes = [
            process
            for process in psutil.process_iter(["cmdline"])
            if address in " ".join(process.info["cmdline"] or ())
        ]
        roots = [cluster.shared, *(node.root for node in (cluster.driver, *cluster.workers))]
    return Past(notebook, processes, roots, mounts)


def test_standard_access_mode_of_spark_3_5_has_its_own_client(past: Past) -> None:
    version, conf = text_of(past.notebook, 0).split(maxsplit=1)
    assert version.startswith("3.5.")
    assert conf == "a b"
    assert text_of(past.notebook, 1) == "pyspark.sql.connect.session 3"


def test_nothing_is_left_of_a_cluster(past: Past) -> None:
    assert past.processes
    running = [process for process in past.processes if process.is_running()]
    assert [process for process in running if process.status() != psutil.STATUS_ZOMBIE] == []
    assert not any(root.exists() for root in past.roots)
    assert Path("/proc/mounts").read_text() == past.mounts
