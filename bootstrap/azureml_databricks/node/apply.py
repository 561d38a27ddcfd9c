"""Gives this process what it should have: the bundle at the end of `sys.path`, and its variables.

`node install` compiles it into what every Python runs first: see `start.py`, whose rules hold here too.
"""

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from azureml_databricks.node.variables import Encoded


def apply(release: str, wanted: "Encoded") -> None:
    """Set what is wanted: the exports where unset, what is given anyway, the overrides where a preset stands.

    Harmless to repeat.

    Args:
        release: the folder of the unpacked bundle.
        wanted: what this process should have.
    """
    exports, overrides, given = wanted
    if release in sys.path:
        sys.path.remove(release)
    # At the end: the runtime's own versions win, and the bundle fills the gaps.
    sys.path.append(release)
    # What `os.environ` reads and writes, which would encode each name and text anew.
    environ = posix.environ
    for name, text in exports.items():
        if not environ.get(name):
            set_variable(name, text)
    for name, text in given.items():
        set_variable(name, text)
    for name, (text, presets) in overrides.items():
        if environ.get(name, b"") in presets:
            set_variable(name, text)


def set_variable(name: bytes, text: bytes) -> None:
    """Set a variable, for this process and for those that it starts."""
    posix.putenv(name, text)
    posix.environ[name] = text
