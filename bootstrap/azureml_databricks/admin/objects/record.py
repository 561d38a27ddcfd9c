"""The record of what a deployment has made, so that nothing else is ever removed.

It lies beside the releases. A thing is noted before it is made: what was interrupted in between is known to
be ours when it is repeated.
"""

from __future__ import annotations

import json
from typing import Any

from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.objects.storage import Storage

FILE = "azureml-databricks.made.json"
_FORMAT = 1
_FOLDER = "folder"


class Record:
    """What was made in the workspace, by kind (such as `policy`) and name, with what is to be known of it."""

    def __init__(self, storage: Storage) -> None:
        """Read it.

        Raises:
            AdminError: it cannot be read.
        """
        self._storage = storage
        content = storage.read(FILE)
        self._is_new = content is None
        self._made = _parsed(content, f"{storage.location}/{FILE}") if content is not None else {}

    def names(self, kind: str) -> list[str]:
        """Return the names of what was made of a kind, in the order in which it was."""
        return [name for its_kind, name in self._made if its_kind == kind]

    def details(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return what is known of a thing, None where we have not made it."""
        return self._made.get((kind, name))

    def note(self, kind: str, name: str, **details: Any) -> None:
        """Note that something is made, or what is to be known of it."""
        known = self._made.get((kind, name))
        if known is not None and known.items() >= details.items():
            return
        if self._is_new and not self._storage.exists():
            self._storage.make()
            self._made[_FOLDER, self._storage.location] = {}
        self._made[kind, name] = {**(known or {}), **details}
        self._save()

    def forget(self, *things: tuple[str, str]) -> None:
        """Note that things, each a kind and a name, are removed; with the last, the record goes too."""
        if not any(self._made.pop(thing, None) is not None for thing in things):
            return
        if {its_kind for its_kind, _ in self._made} <= {_FOLDER}:
            self._storage.delete(FILE)
            if self._made:
                self._storage.delete("")
            self._made, self._is_new = {}, True
        else:
            self._save()

    def _save(self) -> None:
        made = [{"kind": kind, "name": name, **details} for (kind, name), details in self._made.items()]
        self._storage.write(FILE, json.dumps({"format": _FORMAT, "made": made}, indent=2).encode() + b"\n")
        self._is_new = False


def _parsed(content: bytes, path: str) -> dict[tuple[str, str], dict[str, Any]]:
    try:
        document = json.loads(content)
        if document["format"] != _FORMAT:
            raise AdminError(f"{path} is of a later version of azureml-databricks: upgrade yours")
        return {(made.pop("kind"), made.pop("name")): made for made in document["made"]}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise AdminError(
            f"{path} is damaged: it is the record of what was made here; put back an older version of it"
        ) from None
