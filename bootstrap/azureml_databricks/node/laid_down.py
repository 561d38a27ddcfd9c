"""What this node knew at install time; `node install` writes it anew, and compiled it costs nothing to read.

VALUES: setting name -> text, key and origin, as in `settings.Value`.
FILE_PROBLEM: what is wrong with the settings file as such, empty for nothing.
"""

from __future__ import annotations

VALUES: dict[str, tuple[str, str, str]] = {}
FILE_PROBLEM = ""
