"""What goes wrong on the admin's side."""

from __future__ import annotations

import logging


class AdminError(Exception):
    """What is wrong and what to do, in one line; of a file with several problems, a line each."""


def silence(library: str) -> None:
    """Keep what a library logs from the terminal: what is wrong, we say."""
    logger = logging.getLogger(library)
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
