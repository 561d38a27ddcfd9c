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
            # Somebody set a setting for this process: worth the imports that reading it takes.
            sys.path.insert(0, release)
            try:
                from azureml_databricks.node import variables
            finally:
                sys.path.remove(release)
            wanted = variables.wanted_now()
            break
    if wanted:
        apply(release, wanted)


def apply(release: str, wanted: "Wanted") -> None:
    """Set what is wanted: the exports where unset, the overrides where a preset of Databricks stands.

    Harmless to repeat.
    """
    exports, overrides = wanted
    if release in sys.path:
        sys.path.remove(release)
    if not is_pip(sys.orig_argv):
        # At the end: the runtime's own versions win, and the bundle fills the gaps.
        sys.path.append(release)
    for name, text in exports.items():
        if not os.environ.get(name):
            os.environ[name] = text
    for name, (text, presets) in overrides.items():
        if os.environ.get(name, "") in presets:
            os.environ[name] = text


def is_pip(argv: "list[str]") -> bool:
    """Return whether a process is pip, to which the node has what the runtime ships and nothing more.

    Args:
        argv: the interpreter's, as `sys.orig_argv`.
    """
    arguments = iter(argv[1:])
    for argument in arguments:
        if argument == "-m":
            return next(arguments, "") == "pip"
        if argument in ("-W", "-X"):
            next(arguments, "")
        elif argument[:1] != "-":
            # pip, pip3, pip3.11
            name = argument.rpartition("/")[2]
            return name[:3] == "pip" and not name[3:].strip(".0123456789")
        elif argument == "-c":
            break
    return False
