"""What a Databricks cluster is like, for whoever has one: this file is also a cell to paste into a notebook.

It needs nothing that is not on a cluster, reads no secret and asks nobody on the network. What it prints is
what the hooks of azureml-databricks rest on, from the notebook's Python and from tasks on executors. With
`spark.probe.conf seen` in the cluster's Spark conf and `PROBE_VARIABLE=seen` among its variables, it also
tells what becomes of these.
"""

import importlib.util
import json
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from typing import Any

PROBES = {"cluster": "spark.probe.conf", "session": "spark.probe.session"}
VARIABLES = (
    *("PROBE_VARIABLE", "AZURE_CLIENT_ID", "MLFLOW_TRACKING_URI", "PYTHONPATH", "SPARK_CONF_DIR"),
    *("DATABRICKS_RUNTIME_VERSION", "DB_CLUSTER_ID", "DB_IS_DRIVER"),
)
PLACES = (
    *(
        "/databricks/python3",
        "/databricks/spark",
        "/databricks/init_scripts",
        "/databricks/azureml-databricks",
    ),
    *(
        "/etc/ipython/startup",
        "/local_disk0/.ephemeral_nfs",
        "/Volumes",
        "/Workspace",
        "/tmp/custom-spark.conf",
    ),
)


def here() -> dict[str, str]:
    """Return what this process is like, by question; no value of a variable, and no other process's."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return {
        "runtime": _text("/databricks/DBR_VERSION")
        or os.environ.get("DATABRICKS_RUNTIME_VERSION", "unknown"),
        "interpreter": f"Python {version}, {sys.executable}, over {sys.base_prefix}",
        "flags": _flags(),
        "sitecustomize": _sitecustomize(),
        f"/etc/python{version}/sitecustomize.py": _described(f"/etc/python{version}/sitecustomize.py"),
        "sys.path": ", ".join(path or "(current folder)" for path in sys.path),
        "finders before Python's": _finders(),
        "hooks of azureml-databricks": ", ".join(getattr(sys, "azureml_databricks_hooks", ())) or "none ran",
        "variables": ", ".join(name for name in VARIABLES if name in os.environ) or "none of those asked for",
        "user": "root" if os.getuid() == 0 else "not root",
        "places": ", ".join(place for place in PLACES if os.path.exists(place)) or "none of those asked for",
        "kernel": os.uname().release.partition("-")[0],
        "processes above": ", ".join(_processes_above()),
    }


def _text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def _flags() -> str:
    names = ("isolated", "ignore_environment", "no_site", "no_user_site", "safe_path", "optimize")
    said = [f"{name}={getattr(sys.flags, name)}" for name in names if getattr(sys.flags, name, 0)]
    return ", ".join(said) or "none that matters"


def _described(path: str) -> str:
    if not os.path.exists(path):
        return "is not there"
    own = "with our lines" if "azureml-databricks" in _text(path) else "without our lines"
    leads_to = os.path.realpath(path)
    return f"{'is there' if leads_to == path else f'leads to {leads_to}'}, {own}"


def _sitecustomize() -> str:
    """Return which one ran, and which one a Python would find that has no PYTHONPATH."""
    ran = getattr(sys.modules.get("sitecustomize"), "__file__", None)
    stdlib = os.path.join(sysconfig.get_path("stdlib"), "sitecustomize.py")
    of_stdlib = f"the standard library's {_described(stdlib)}"
    return f"{ran or 'none'} ran; {of_stdlib}"


def _finders() -> str:
    """Return whose import hooks come first: Databricks has its own."""
    names = [f"{it.__class__.__module__}.{it.__class__.__name__}" for it in sys.meta_path]
    own = [name for name in names if not name.startswith(("builtins.", "_frozen_importlib"))]
    return ", ".join(own) or "none"


def _processes_above() -> Iterator[str]:
    number = os.getppid()
    while number > 1:
        try:
            with open(f"/proc/{number}/comm") as file:
                yield file.read().strip()
            with open(f"/proc/{number}/stat", errors="replace") as file:
                number = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            break
    yield "the first"


def _notebook() -> dict[str, str]:
    """Return what only a notebook's kernel can tell."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return {"IPython's startup folder": "this is no notebook"}
    from IPython.core import shellapp

    program: Any = shell
    while not isinstance(program, shellapp.InteractiveShellApp) and getattr(program, "parent", None):
        program = program.parent
    of_system = getattr(shellapp, "SYSTEM_CONFIG_DIRS", ())
    looks = isinstance(program, shellapp.InteractiveShellApp) and "/etc/ipython" in of_system
    folder = "/etc/ipython/startup"
    files = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    by = f"{'looked at' if looks else 'not looked at'} by {type(program).__name__}"
    return {
        "IPython's startup folder": f"{by}; it has {', '.join(files) or 'no file'}",
        "IPython": f"{ipython.__version__}, {type(shell).__module__}.{type(shell).__name__}",
    }


def _of_session(spark: Any) -> dict[str, str]:
    kind = "Spark Connect" if ".connect." in type(spark).__module__ else "classic"
    words = ("safespark", "dependency", "environment", "pyspark.udf")
    found = {
        "session": f"{kind}, Spark {spark.version}",
        "conf of the cluster": _asked(lambda: spark.conf.get(PROBES["cluster"], "not given")),
        "conf of the session": _asked(lambda: spark.conf.get(PROBES["session"], "not given")),
    }
    names = _asked(
        lambda: ", ".join(
            sorted(
                row["key"]
                for row in spark.sql("SET").select("key").collect()
                if any(word in row["key"].lower() for word in words)
            )
        )
    )
    return {**found, "conf keys that speak of sandboxes or environments": names or "none"}


def _asked(ask: Callable[[], Any]) -> str:
    """Return an answer, or what was raised in its place."""
    try:
        return str(ask())
    except Exception as error:  # noqa: BLE001  # what a runtime forbids, it forbids in its own way
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _task() -> str:
    """Return, as JSON, what a task on an executor is like."""
    found = here()
    try:
        from pyspark import TaskContext

        context: Any = TaskContext.get()
        for what, key in PROBES.items():
            found[f"conf of the {what}"] = context.getLocalProperty(key) or "not given"
    except Exception as error:  # noqa: BLE001
        found["conf of the session"] = f"{type(error).__name__}: {error}"
    found["MLflow"] = "can be imported" if importlib.util.find_spec("mlflow") else "is not there"
    return json.dumps(found)


def _by_udf(spark: Any) -> str:
    from pyspark.sql.functions import udf

    return str(spark.range(1).select(udf(lambda _: _task(), "string")("id").alias("answer")).collect()[0][0])


def _by_map(spark: Any) -> str:
    def answers(frames: Any) -> Iterator[Any]:
        for frame in frames:
            yield frame.assign(answer=_task())[["answer"]]

    return str(spark.range(1).mapInPandas(answers, "answer string").collect()[0][0])


def _by_rdd(spark: Any) -> str:
    return str(spark.sparkContext.parallelize([0], 1).map(lambda _: _task()).collect()[0])


def rows(spark: Any = None) -> list[tuple[str, str, str]]:
    """Return where something was seen, what, and what was seen there; the same as before is left out.

    Args:
        spark: the session, which is asked by three kinds of tasks; None for none.
    """
    found = [("this process", what, seen) for what, seen in {**here(), **_notebook()}.items()]
    if spark is None:
        return [*found, ("tasks", "all of it", "there is no Spark session")]
    set_it = _asked(lambda: spark.conf.set(PROBES["session"], "seen"))
    found += [("this process", what, seen) for what, seen in _of_session(spark).items()]
    if set_it != "None":
        found.append(("this process", "setting a key of the session", set_it))
    known: dict[str, str] = {}
    for where, ask in {"a UDF": _by_udf, "mapInPandas": _by_map, "an RDD": _by_rdd}.items():
        answer = _asked(lambda ask=ask: ask(spark))  # type: ignore[misc]
        try:
            seen_there = json.loads(answer)
        except ValueError:
            seen_there = {"all of it": answer}
        new = {what: seen for what, seen in seen_there.items() if known.get(what) != seen}
        found += [(where, what, seen) for what, seen in new.items()]
        if not new:
            found.append((where, "all of it", "as above"))
        known |= seen_there
    _asked(lambda: spark.conf.unset(PROBES["session"]))
    return found


def table(found: list[tuple[str, str, str]]) -> str:
    """Return the rows as a table in Markdown, to be pasted into an issue."""
    cells = [("where", "what", "seen"), ("---",) * 3, *found]
    return "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in cells)


if __name__ == "__main__":
    print(table(rows(globals().get("spark"))))
