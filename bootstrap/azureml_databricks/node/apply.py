"""Gives this process what it should have: the bundle at the end of `sys.path`, and its variables.

`node install` compiles it into what every Python runs first: see `start.py`, whose rules hold here too.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from azureml_databricks.node.variables import Wanted


def apply(release: str, wanted: "Wanted") -> None:
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
    for name, text in exports.items():
        if not os.environ.get(name):
            os.environ[name] = text
    for name, text in given.items():
        os.environ[name] = text
    for name, (text, presets) in overrides.items():
        if os.environ.get(name, "") in presets:
            os.environ[name] = text
