"""What this node knew at install time; `node install` writes it anew, and compiled it costs nothing to read.

VALUES: setting name -> text, key and origin, as in `settings.Value`.
PROBLEM: what is wrong with a setting, empty for nothing.
"""

from __future__ import annotations

VALUES: dict[str, tuple[str, str, str]] = {}
PROBLEM = ""
