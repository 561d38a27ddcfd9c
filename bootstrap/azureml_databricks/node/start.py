"""What every Python on the cluster runs first: a few variables, and the bundle at the end of `sys.path`.

`node install` compiles this file into one program, with the two whose functions it calls and with one call
of `run` whose arguments are literals; the hooks execute that code. So what was known at install time costs
nothing to read, and two things must not be simplified: nothing is imported that a bare interpreter has not
loaded (each module, `__future__` too, costs some 400,000 instructions in every process of the cluster), and
nothing here prints. A wrong setting changes nothing here; the first use of MLflow tells of it, where somebody
reads it.

A function that is called once, by its parameters' names, and returns nowhere is put in place of its call
(`program.py`), so that its variables are the caller's: some 10,000 instructions less for each.
"""

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from azureml_databricks.node.apply import apply
    from azureml_databricks.node.conf_files import spark_confs
    from azureml_databricks.node.variables import Encoded


def run(release: str, names: str, known: "dict[bytes, bytes]", wanted: "Encoded | None") -> None:
    """Give this process the variables that point MLflow at the workspace.

    Args:
        release: the folder of the unpacked bundle.
        names: what can be imported from it, with spaces around each.
        known: variable -> the text it had, or was given, at install time.
        wanted: what follows from `known`; None where nothing is configured.
    """
    sys.azureml_databricks = release  # type: ignore[attr-defined]  # tells the other hooks
    # Which of them ran: a `.pth` leaves no word itself, which would have to be compiled at every start.
    sys.__dict__.setdefault("azureml_databricks_hooks", [".pth"])
    environ = posix.environ  # `os.environ` would encode each name
    try:
        is_changed = bool(spark_confs())
        for name, text in known.items():
            is_changed = is_changed or environ.get(name, b"") not in (b"", text)
        if is_changed:
            # Somebody set a setting for this process or cluster: worth the imports that reading it takes.
            sys.path.insert(0, release)
            try:
                from azureml_databricks.node import variables
            finally:
                sys.path.remove(release)
            now = variables.wanted_now()
            wanted = now.encoded() if now else None
    except Exception:  # noqa: BLE001  # the first use of MLflow meets it again, and tells of it
        pass
    if wanted is not None:
        apply(release, wanted)
        list_later(release, names)
        suit_program(release)


def list_later(release: str, names: str) -> None:
    """Leave the look into the bundle's folder to the first import that finds something there.

    Each Python looks for a `usercustomize` on all of `sys.path`, and a finder for one more folder, with the
    list of what is in it, takes 130,000 instructions.
    """
    from _frozen_importlib_external import FileFinder, PathFinder

    def find_spec(name, target=None):  # type: ignore[no-untyped-def]  # whatever the import system gives
        if f" {name} " not in names:
            return None
        sys.path_importer_cache.pop(release, None)
        finder = PathFinder._path_importer_cache(release)  # type: ignore[attr-defined]  # as Python makes it
        return finder and finder.find_spec(name, target)

    # What asks for the kind of a finder, as `pkgutil` does, knows this one.
    finder = FileFinder.__new__(FileFinder)
    finder.path, finder.find_spec = release, find_spec  # type: ignore[method-assign]
    # Where something of it was imported already, the folder is listed.
    sys.path_importer_cache.setdefault(release, finder)


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
