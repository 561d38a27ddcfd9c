"""What every Python on the cluster runs first: a few variables, and the bundle at the end of `sys.path`.

`node install` compiles this file into one program, with the two whose functions it calls and with one call
of `run` whose arguments are literals; the hooks execute that code. So what was known at install time costs
nothing to read, and two things must not be simplified: nothing is imported that a bare interpreter has not
loaded (each module, `__future__` too, costs some 400,000 instructions in every process of the cluster), and
nothing here prints. A wrong setting changes nothing here; the first use of MLflow tells of it, where somebody
reads it.
"""

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from azureml_databricks.node.apply import apply
    from azureml_databricks.node.conf_files import spark_confs
    from azureml_databricks.node.variables import Encoded


def run(release: str, known: "dict[bytes, bytes]", wanted: "Encoded | None") -> None:
    """Give this process the variables that point MLflow at the workspace.

    Args:
        release: the folder of the unpacked bundle.
        known: variable -> the text it had, or was given, at install time.
        wanted: what follows from `known`; None where nothing is configured.
    """
    sys.azureml_databricks = release  # type: ignore[attr-defined]  # tells the other hooks
    # Which of them ran: a `.pth` leaves no word itself, which would have to be compiled at every start.
    sys.__dict__.setdefault("azureml_databricks_hooks", [".pth"])
    environ = posix.environ  # `os.environ` would encode each name
    try:
        as_at_install = all(environ.get(name, b"") in (b"", text) for name, text in known.items())
        if not as_at_install or spark_confs():
            # Somebody set a setting for this process or cluster: worth the imports that reading it takes.
            wanted = wanted_now(release)
    except Exception:  # noqa: BLE001  # the first use of MLflow meets it again, and tells of it
        pass
    if wanted:
        apply(release, wanted)
        suit_program(release)


def wanted_now(release: str) -> "Encoded | None":
    """Return what this process should have by all that is set for it."""
    sys.path.insert(0, release)
    try:
        from azureml_databricks.node import variables
    finally:
        sys.path.remove(release)
    wanted = variables.wanted_now()
    return wanted and wanted.encoded()


def suit_program(release: str) -> None:
    """Do what two programs need besides: pip sees no bundle, Spark's daemon watches the workers it forks."""
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
