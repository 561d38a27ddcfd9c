"""What goes wrong on the admin's side."""

from __future__ import annotations


class AdminError(Exception):
    """What is wrong and what to do, in one line; of a file with several problems, a line each."""
