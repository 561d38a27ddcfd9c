"""Unity Catalog's allowlist of init scripts, which clusters in standard access mode run no others than.

It is written as a whole, and other admins have their entries in it.
https://docs.databricks.com/api/azure/workspace/artifactallowlists
"""

from __future__ import annotations

from collections.abc import Iterator
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

    def changes(self, folder: str) -> Iterator[Change]:
        """Yield what lets init scripts below a folder run, if none of the entries does."""
        entry = f"{folder}/"
        if not any(entry.startswith(matcher.artifact) for matcher in self._read()):
            yield Change("create", KIND, entry, partial(self._add, entry))

    def removals(self, folder: str | None) -> Iterator[Change | Kept]:
        """Yield what becomes of our entries for other folders."""
        for entry in self._record.names(KIND):
            if folder and entry == f"{folder}/":
                continue
            if users := self._references.to(entry):
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
