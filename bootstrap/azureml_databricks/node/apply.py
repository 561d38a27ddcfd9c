"""Gives this process what it should have: the bundle at the end of `sys.path`, and its variables.

`node install` compiles it into what every Python runs first: see `start.py`, whose rules hold here too.
"""

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from azureml_databricks.node.variables import Encoded


def apply(release: str, wanted: "Encoded") -> None:
    """Set each variable that is wanted, unless a choice of somebody's stands there.

    Harmless to repeat.

    Args:
        release: the folder of the unpacked bundle.
        wanted: what this process should have.
    """
    if release in sys.path:
        sys.path.remove(release)
    # At the end: the runtime's own versions win, and the bundle fills the gaps.
    sys.path.append(release)
    # What `os.environ` reads and writes, which would encode each name and text anew.
    environ = posix.environ
    for name, text, presets in wanted:
        if presets is None or environ.get(name, b"") in presets:
            posix.putenv(name, text)
            environ[name] = text
