"""What every Python on the cluster runs first: a few variables, and the bundle at the end of `sys.path`.

`node install` compiles this file together with one call of `run` whose arguments are literals, and the
hooks execute that code. So what was known at install time costs nothing to read, and two things must not
be simplified: nothing is imported that a bare interpreter has not loaded (each module, `__future__` too,
costs some 400,000 instructions in every process of the cluster), and nothing here prints. A wrong setting
changes nothing here; the first use of MLflow tells of it, where somebody reads it.
"""

import os
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from azureml_databricks.node.variables import Wanted


def run(release: str, known: "dict[bytes, bytes]", wanted: "Wanted | None") -> None:
    """Give this process the variables that point MLflow at the workspace.

    Args:
        release: the folder of the unpacked bundle.
        known: variable -> the text it had, or was given, at install time.
        wanted: what follows from `known`; None where nothing is configured.
    """
    sys.azureml_databricks = release  # type: ignore[attr-defined]  # tells the other hooks
    for name, text in known.items():
        # `os.environ` would spend eight times ten thousand instructions on encoding.
        if posix.environ.get(name, b"") not in (b"", text):
            break
    else:
        if not spark_confs():
            if wanted:
                apply(release, wanted)
            return
    # Somebody set a setting for this process or this cluster: worth the imports that reading it takes.
    sys.path.insert(0, release)
    try:
        from azureml_databricks.node import variables
    finally:
        sys.path.remove(release)
    wanted = variables.wanted_now()
    if wanted:
        apply(release, wanted)


def spark_confs() -> "list[tuple[bytes, bytes]]":
    """Return the files that speak of us in the cluster's Spark conf, path and content, the first counts most.

    Where they may be is seen, not promised: Spark's own file, the one that is there when Databricks starts
    Spark's daemons, and those by which init scripts give the driver its conf. Whoever uses what is in them
    has to see first who wrote them.
    """
    folder = posix.environ.get(b"SPARK_CONF_DIR", b"/databricks/spark/conf")
    paths = [folder + b"/spark-defaults.conf", b"/tmp/custom-spark.conf"]
    folder = b"/databricks/driver/conf/"
    if posix.access(folder, posix.R_OK):
        paths += [folder + name for name in sorted(posix.listdir(folder)) if name[-5:] == b".conf"]
    found = []
    for path in paths:
        # Asked first, since raising an error costs more.
        if posix.access(path, posix.R_OK):
            # Somebody's pipe in /tmp would else be waited for.
            file = posix.open(path, posix.O_RDONLY | posix.O_NONBLOCK)
            try:
                content = posix.read(file, 1_000_000)
            except OSError:  # a folder
                content = b""
            posix.close(file)
            if b"spark.azureml." in content:
                found.append((path, content))
    return found


def apply(release: str, wanted: "Wanted") -> None:
    """Set what is wanted: the exports where unset, what is given anyway, the overrides where a preset stands.

    Harmless to repeat.
    """
    exports, overrides, given = wanted
    if release in sys.path:
        sys.path.remove(release)
    # At the end: the runtime's own versions win, and the bundle fills the gaps.
    sys.path.append(release)
    for argument in sys.orig_argv:
        if "pip" in argument:
            from azureml_databricks.node.pip import is_pip

            if is_pip(sys.orig_argv):
                sys.path.remove(release)
            break
        if argument == "pyspark.daemon":
            from azureml_databricks.node import spark_worker

            spark_worker.watch()
            break
    for name, text in exports.items():
        if not os.environ.get(name):
            os.environ[name] = text
    for name, text in given.items():
        os.environ[name] = text
    for name, (text, presets) in overrides.items():
        if os.environ.get(name, "") in presets:
            os.environ[name] = text
