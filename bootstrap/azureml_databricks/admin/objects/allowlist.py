"""Unity Catalog's allowlist of init scripts, which clusters in standard access mode run no others than.

It is written as a whole, and other admins have their entries in it. An entry of ours is one script.
https://docs.databricks.com/api/azure/workspace/artifactallowlists
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.catalog import ArtifactMatcher, ArtifactType, MatchType

from azureml_databricks.admin.objects.changes import Change, Kept
from azureml_databricks.admin.objects.record import Record
from azureml_databricks.admin.objects.references import References
from azureml_databricks.admin.services.databricks import telling

KIND = "allowlist entry"
_RIGHT = "MANAGE ALLOWLIST on the metastore, or its admin"


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
        there = [it.artifact for it in self._read()]
        others = [it for it in there if it not in self._record.names(KIND)]
        for script in scripts:
            if script not in there and not script.startswith(tuple(others)):
                yield Change("create", KIND, script, partial(self._add, script))

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
        # Read again: somebody else may have written in the meantime.
        listed = self._read()
        if all(matcher.artifact != entry for matcher in listed):
            self._write([*listed, ArtifactMatcher(entry, MatchType.PREFIX_MATCH)])

    def _remove(self, entry: str) -> None:
        listed = self._read()
        others = [matcher for matcher in listed if matcher.artifact != entry]
        if len(others) < len(listed):
            self._write(others)

    def _read(self) -> list[ArtifactMatcher]:
        with telling("the allowlist of init scripts cannot be read", _RIGHT):
            try:
                return self._client.artifact_allowlists.get(ArtifactType.INIT_SCRIPT).artifact_matchers or []
            except NotFound:
                return []

    def _write(self, matchers: list[ArtifactMatcher]) -> None:
        with telling("the allowlist of init scripts cannot be changed", _RIGHT):
            self._client.artifact_allowlists.update(ArtifactType.INIT_SCRIPT, matchers)
