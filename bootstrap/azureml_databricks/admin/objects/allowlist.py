"""Unity Catalog's allowlist of init scripts, which clusters in standard access mode run no others than.

It is written as a whole, and other admins have their entries in it. An entry of ours is one script.
https://docs.databricks.com/api/azure/workspace/artifactallowlists
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.catalog import ArtifactMatcher, ArtifactType, MatchType

from azureml_databricks.admin.errors import AdminError, RefusedError
from azureml_databricks.admin.objects.changes import Change, Kept
from azureml_databricks.admin.objects.record import Record
from azureml_databricks.admin.objects.references import References
from azureml_databricks.admin.services.databricks import telling

KIND = "allowlist entry"
_ATTEMPTS = 5
_RIGHT = "MANAGE ALLOWLIST on the metastore, or its admin"


def entries(client: WorkspaceClient) -> list[str]:
    """Return all entries of the metastore's list.

    Raises:
        AdminError: it cannot be read.
    """
    return _names(_read(client))


class Allowlist:
    """The entries in the metastore's list that are ours."""

    def __init__(self, client: WorkspaceClient, record: Record, references: References) -> None:
        """Name where it is."""
        self._client = client
        self._record = record
        self._references = references

    def changes(self, scripts: Sequence[str]) -> Iterator[Change]:
        """Yield what lets init scripts run, each one where no entry of another admin's does."""
        if not scripts:
            return
        try:
            there = _names(self._read())
        except RefusedError as error:
            location = f"{self._record.location}/"
            raise RefusedError(
                f"{error}; whoever has it runs `{_command(location)}` once, and you say allowlisted = true "
                "under [clusters]"
            ) from None
        others = [it for it in there if it not in self._record.names(KIND)]
        for script in scripts:
            if script not in there and not script.startswith(tuple(others)):
                yield Change("create", KIND, script, partial(self._add, script), instead=_command(script))

    def removals(self, scripts: Sequence[str]) -> Iterator[Change | Kept]:
        """Yield what becomes of our entries for anything else.

        Args:
            scripts: all that are to run; without any, an entry that something points at stays.
        """
        for entry in self._record.names(KIND):
            if entry in scripts:
                continue
            if not scripts and (users := self._references.to(entry)):
                yield Kept(KIND, entry, users)
            else:
                yield Change("delete", KIND, entry, partial(self._remove, entry))

    def _add(self, entry: str) -> None:
        ours = ArtifactMatcher(entry, MatchType.PREFIX_MATCH)
        self._merge(lambda listed: listed if entry in _names(listed) else [*listed, ours])

    def _remove(self, entry: str) -> None:
        self._merge(lambda listed: [matcher for matcher in listed if matcher.artifact != entry])

    def _merge(self, merged: Callable[[list[ArtifactMatcher]], list[ArtifactMatcher]]) -> None:
        """Change the list as it is right before, and again if somebody who read it earlier wrote it after us.

        It has no version that a write could name. What somebody writes in the moment between our reading and
        our writing is lost, unless they look again as we do.

        Raises:
            AdminError: it is changed all the time.
        """
        for _ in range(_ATTEMPTS):
            listed = self._read()
            wanted = merged(listed)
            if wanted == listed:
                return
            self._write(wanted)
        if merged(listed := self._read()) != listed:
            raise AdminError(
                "the allowlist of init scripts is changed by somebody else all the time: run this again when "
                "they are done"
            )

    def _read(self) -> list[ArtifactMatcher]:
        return _read(self._client)

    def _write(self, matchers: list[ArtifactMatcher]) -> None:
        with telling("the allowlist of init scripts cannot be changed", _RIGHT):
            self._client.artifact_allowlists.update(ArtifactType.INIT_SCRIPT, matchers)


def _read(client: WorkspaceClient) -> list[ArtifactMatcher]:
    with telling("the allowlist of init scripts cannot be read", _RIGHT):
        try:
            return client.artifact_allowlists.get(ArtifactType.INIT_SCRIPT).artifact_matchers or []
        except NotFound:
            return []


def _command(entry: str) -> str:
    """Return how somebody else adds an entry, who may; the list is written as a whole."""
    entries = f'[{{artifact: {json.dumps(entry)}, match_type: "PREFIX_MATCH"}}]'
    merge = f"{{artifact_matchers: ((.artifact_matchers // []) + {entries})}}"
    return (
        f"databricks artifact-allowlists get INIT_SCRIPT | jq {shlex.quote(merge)} | "
        "databricks artifact-allowlists update INIT_SCRIPT --json @/dev/stdin"
    )


def _names(matchers: list[ArtifactMatcher]) -> list[str]:
    return [matcher.artifact for matcher in matchers]
