"""Whether something in the workspace points at a place of ours, however it spells that.

Where it may be, what is there stays: so all that may mean the same counts as the same.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

_SCRIPT = re.compile(r"(/(?:Volumes|Workspace)/.+)/[0-9a-f]{12}/azureml-databricks\.sh")


def points_at(known: Any, place: str) -> bool:
    """Return whether a text in `known` has a place in it.

    Unity Catalog's names have no case of letters, a volume's path may begin with `dbfs:`, and that of a
    workspace file may be without `/Workspace`: https://learn.microsoft.com/azure/databricks/files/#uris-and-paths

    Args:
        known: of an object of the workspace, as JSON has it.
        place: a folder with a `/` at its end, or the beginning of a reference to a secret.
    """
    wanted = _plain(place).removeprefix("/workspace")
    return any(wanted in f"{_plain(text)}/" for text in texts(known))


def deployment_at(known: Any) -> str:
    """Return the location of the deployment whose init script a policy has, empty if it has none.

    Args:
        known: the policy, as JSON has it.
    """
    return next((found[1] for text in texts(known) if (found := _SCRIPT.fullmatch(text))), "")


def texts(known: Any) -> Iterator[str]:
    """Yield the names and texts in what JSON has, and those in JSON that is in a text itself."""
    if isinstance(known, dict):
        for name, value in known.items():
            yield str(name)
            yield from texts(value)
    elif isinstance(known, list):
        for value in known:
            yield from texts(value)
    elif isinstance(known, str):
        yield known
        if known.lstrip()[:1] in ("{", "["):
            # A policy's definition is JSON in a text, which may write letters by their numbers.
            try:
                yield from texts(json.loads(known))
            except (ValueError, RecursionError):
                return


def _plain(text: str) -> str:
    """Return a text as every spelling of one path has it."""
    one = unicodedata.normalize("NFC", unquote(text)).casefold()
    return re.sub(r"/(\.?/)+", "/", one)
