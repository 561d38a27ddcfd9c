"""The record of what a deployment has made, so that nothing else is ever removed.

It lies beside the releases. A thing is noted before it is made: what was interrupted in between is known to
be ours when it is repeated. Whoever can write to the location can write the record: it is taken for nothing
but a list of what may be ours, in the forms that we write. What is there is asked before it is touched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from azureml_databricks.admin import to_run
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.objects.record_copy import RecordCopy
from azureml_databricks.admin.objects.storage import Storage

FILE = "azureml-databricks.made.json"
LOCK = "azureml-databricks.lock"
# What clusters of `verify` deliver for a while.
LOGS = "verify-logs"
_FORMAT = 1
FOLDER = "folder"
_NAME = r"[\w.@-]{1,128}"
# What we write, by kind; LOCATION stands for the folder that the record is in.
_FORMS = {
    FOLDER: "LOCATION",
    "release": "[0-9a-f]{12}",
    "policy": r"[^\x00-\x1f]{1,100}",
    "allowlist entry": r"LOCATION/([0-9a-f]{12}/azureml-databricks\.sh)?",
    "secret scope": _NAME,
    "secret": f"{_NAME}/{_NAME}",
    "right": r"(READ VOLUME on [^/]+|CAN READ on folder LOCATION|CAN USE on (the policy|policy [^\x00-\x1f]+)"
    rf"|READ on secret scope {_NAME}|ACCESS on service credential [^/]+) for [^\x00-\x1f]+",
}
_ID = re.compile(r"[0-9A-Za-z-]*", re.ASCII)


class DamagedError(AdminError):
    """A record is not as we write it."""


def policy_called(name: str) -> str:
    """Return what a policy is called in the name of a right, so that no other one can be meant."""
    is_plain = re.fullmatch(r'[^\s"]+', name)
    return f"policy {name if is_plain else json.dumps(name, ensure_ascii=False)}"


class Record:
    """What was made in the workspace, by kind (such as `policy`) and name, with what is to be known of it.

    Attributes:
        workspace: the Azure ML workspace that it was made for, empty where that is not known.
        known_by: what the deployment was known by when it was written last, such as `policy ml`; of an older
            version's record nothing.
        is_there: whether there was one that could be read.
        has_folder: whether there was the folder that it belongs into.
    """

    def __init__(
        self,
        storage: Storage,
        workspace: str = "",
        copy: RecordCopy | None = None,
        *,
        names: Sequence[str] = (),
        lenient: bool = False,
    ) -> None:
        """Read it.

        Args:
            storage: the folder that it is in.
            workspace: the Azure ML workspace that the deployment is for, as it is noted with what is made.
            copy: what keeps a second copy of it.
            names: what the deployment is known by, as it is noted with what is made.
            lenient: whether one that is damaged counts as if there were none.

        Raises:
            AdminError: it cannot be read.
        """
        self._storage = storage
        self._workspace = workspace
        self._copy = copy
        self._names = [*names]
        self._content = storage.read(FILE)
        self._made: dict[tuple[str, str], dict[str, Any]] = {}
        self.workspace = ""
        self.known_by: list[str] = []
        self.is_there = self._content is not None
        # Of several who find none at once, one makes it, and another may get the lock.
        self.has_folder = self.is_there or storage.exists()
        if self._content is not None:
            try:
                self._made, self.workspace, self.known_by = _parsed(self._content, storage.location)
            except DamagedError:
                if not lenient:
                    raise
                self.is_there = False

    def take_back(
        self, copy: bytes | None, found: Iterable[tuple[str, str, dict[str, Any]]]
    ) -> list[tuple[str, str]]:
        """Take for ours what a copy of it has, and what is found; return what was not in it. Saves nothing.

        Raises:
            AdminError: the copy is not what we write.
        """
        before = set(self._made)
        copied = _parsed(copy, self._storage.location)[0] if copy else {}
        self._made = {**copied, **self._made}
        for kind, name, details in found:
            self._made[kind, name] = {**self._made.get((kind, name), {}), **details}
        return [thing for thing in self._made if thing not in before]

    def save(self) -> None:
        """Write it, as it is known by now."""
        self._save()

    def keep_copy(self) -> None:
        """Make the copy as it is, or delete it where nothing of ours is left.

        Who may write secrets and the volume only leaves it to the next who deploys.
        """
        if self._copy:
            with suppress(AdminError):
                self._copy.keep(None if self._is_empty else self._content)

    @property
    def location(self) -> str:
        """The folder that it is in."""
        return self._storage.location

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
        self._made[kind, name] = {**(known or {}), **details}
        self._save()

    def rename(self, names: Mapping[tuple[str, str], tuple[str, str]]) -> None:
        """Note that things have other names, each a kind and a name."""
        if names:
            self._made = {names.get(thing, thing): details for thing, details in self._made.items()}
            self._save()

    def forget(self, *things: tuple[str, str]) -> None:
        """Note that things, each a kind and a name, are removed; with the last, the record goes too."""
        if not any(self._made.pop(thing, None) is not None for thing in things):
            return
        if not self._is_empty:
            self._save()
        self.close()

    def check_as_read(self) -> None:
        """Look whether it is as it was read.

        Raises:
            AdminError: another admin has changed it since.
        """
        if self._storage.read(FILE) != self._content:
            raise AdminError(
                f"{self._storage.location} was changed by another admin since it was looked at: run this "
                "again, and see what is to be done now"
            )

    def note_folder(self) -> None:
        """Note that we have made the folder that it is in."""
        self._made[FOLDER, self._storage.location] = {}
        self._save()

    def strangers(self, releases: Collection[str]) -> str:
        """Say what is in the folder that is not ours, where we have made the folder; empty for nothing."""
        if (FOLDER, self._storage.location) not in self._made:
            return ""
        return ", ".join(it for it in self._storage.entries("") if it not in {FILE, LOCK, LOGS, *releases})

    def close(self) -> None:
        """Delete the record, if nothing is in it but the folder."""
        if self._is_empty and self._content is not None:
            # A copy without a record would be taken for a loss.
            self.keep_copy()
            self._storage.delete(FILE)
            self._content = None

    def delete_folder(self) -> None:
        """Delete the folder, if we have made it, the record is gone and nobody has put anything there."""
        if self._made and self._content is None and not set(entries := self._storage.entries("")) - {LOGS}:
            if LOGS in entries:
                self._storage.delete_all(LOGS)
            self._storage.delete("")
            self._made = {}

    @property
    def _is_empty(self) -> bool:
        return {its_kind for its_kind, _ in self._made} <= {FOLDER}

    def _save(self) -> None:
        made = [{"kind": kind, "name": name, **details} for (kind, name), details in self._made.items()]
        document = {
            "format": _FORMAT,
            "workspace": self._workspace or self.workspace,
            "names": self._names or self.known_by,
            "made": made,
        }
        content = json.dumps(document, indent=2).encode() + b"\n"
        self._storage.write(FILE, content)
        self._content = content


def _parsed(content: bytes, location: str) -> tuple[dict[tuple[str, str], dict[str, Any]], str, list[str]]:
    path = f"{location}/{FILE}"
    try:
        document = json.loads(content)
        if document["format"] != _FORMAT:
            raise AdminError(f"{path} is of a later version of azureml-databricks: upgrade yours")
        made = {(each.pop("kind"), each.pop("name")): each for each in document["made"]}
        known_by = [str(name) for name in document.get("names", [])]
        wrong = next(
            (thing for thing, details in made.items() if not _is_ours(*thing, details, location)), None
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DamagedError(
            f"{path} is damaged: it is the record of what was made here; `{to_run.ours('deploy --adopt')}` "
            "makes it anew"
        ) from None
    if wrong:
        raise DamagedError(
            f"{path} has {wrong[0]} {wrong[1]!r}, which azureml-databricks never writes: see who may write "
            f"there; `{to_run.ours('deploy --adopt')}` makes it anew"
        )
    of_today = {_of_today(thing, made): it for thing, it in made.items()}
    return of_today, str(document.get("workspace", "")), known_by


def _of_today(thing: tuple[str, str], made: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Return a thing by the name that it has since there may be several policies."""
    kind, name = thing
    policy = next((its_name for its_kind, its_name in made if its_kind == "policy"), "")
    if kind == "right" and policy:
        right = f"CAN USE on {policy_called(policy)}"
        return kind, re.sub("^CAN USE on the policy(?= for )", lambda _: right, name)
    return thing


def _is_ours(kind: str, name: str, details: dict[str, Any], location: str) -> bool:
    """Whether this is something that we would have written."""
    form = _FORMS[kind].replace("LOCATION", re.escape(location)) if kind in _FORMS else "(?!)"
    files, times, made_of = (details.get(it, {}) for it in ("files", "times", "of"))
    return (
        re.fullmatch(form, name, re.ASCII if kind != "right" else 0) is not None
        and all(_ID.fullmatch(it) for it in (details.get("id", ""), *details.get("former", [])))
        and all(isinstance(it, int) for it in times.values())
        and all(isinstance(it, str) for it in made_of.values())
        and all("/" not in file and isinstance(state, str) for file, state in files.items())
    )
