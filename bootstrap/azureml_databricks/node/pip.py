"""pip has on its path what the runtime ships, and nothing of ours.

`pip freeze` then says what it said before us, and `%pip install` resolves as it would without us.
"""

from __future__ import annotations

from collections.abc import Sequence


def is_pip(argv: Sequence[str]) -> bool:
    """Return whether a process is pip.

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
