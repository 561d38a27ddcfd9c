"""The access modes' names in the API, of today and older ones that mean the same.

https://docs.databricks.com/api/azure/workspace/clusters/create, data_security_mode
"""

from __future__ import annotations

from typing import Any

PATH = "data_security_mode"
STANDARD, DEDICATED = "DATA_SECURITY_MODE_STANDARD", "DATA_SECURITY_MODE_DEDICATED"
NAMES = {"standard": STANDARD, "dedicated": DEDICATED, "no-isolation": "NONE"}
_OF_TODAY = {"USER_ISOLATION": STANDARD, "SINGLE_USER": DEDICATED}


def of_today(name: Any) -> Any:
    """Return what a name, or anything else, is called today."""
    return _OF_TODAY.get(name, name) if isinstance(name, str) else name


def spellings(name: str) -> list[str]:
    """Return a name of today, and the older ones that mean the same."""
    return [name, *(older for older, now in _OF_TODAY.items() if now == name)]
