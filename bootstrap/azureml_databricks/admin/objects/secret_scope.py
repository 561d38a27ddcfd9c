"""A secret scope of the Databricks workspace: its keys, never their values.

https://docs.databricks.com/api/azure/workspace/secrets
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.workspace import ScopeBackendType

from azureml_databricks.admin import to_run
from azureml_databricks.admin.errors import AdminError, ElsewhereError
from azureml_databricks.admin.objects.access import READ_SECRETS, given_on
from azureml_databricks.admin.objects.changes import Change, Kept
from azureml_databricks.admin.objects.record import Record
from azureml_databricks.admin.services.databricks import telling

SCOPE, SECRET = "secret scope", "secret"


def recorded_scopes(record: Record) -> list[str]:
    """Return the names of the scopes in which something is ours."""
    return [
        *record.names(SCOPE),
        *(name.partition("/")[0] for name in record.names(SECRET)),
        *given_on(record, READ_SECRETS),
    ]


class SecretScope:
    """A scope, which may be there or not.

    Attributes:
        name: its name.
        exists: whether it is there.
        keys: the names of its secrets.
    """

    def __init__(self, client: WorkspaceClient, name: str, record: Record, policy: str = "") -> None:
        """Look for it.

        Args:
            client: of the workspace.
            name: its name.
            record: of what is ours.
            policy: by which commands know it from others of the deployment; empty where there are none.
        """
        self.name = name
        self._policy = policy
        self._secrets = client.secrets
        self._record = record
        self._rights = f"MANAGE on secret scope {name}"
        with telling(f"secret scope {name} cannot be read", f"READ on secret scope {name}"):
            self._found = next((scope for scope in self._secrets.list_scopes() if scope.name == name), None)
            self.exists = self._found is not None
            listed = list(self._secrets.list_secrets(name)) if self.exists else []
        self.keys = {it.key or "" for it in listed}
        self._written = {it.key or "": it.last_updated_timestamp or 0 for it in listed}

    def command(self, verb: str) -> str:
        """Return the command of ours, `set` or `rotate`, that puts a secret into it."""
        option = f" --policy {shlex.quote(self._policy)}" if self._policy else ""
        return f"secrets {verb}{option}"

    def lacks(self, keys: list[str]) -> tuple[str, str] | None:
        """Return what is missing of some keys, and what to do; None if nothing is."""
        missing = [key for key in keys if key not in self.keys]
        if not missing:
            return None
        what = f"secret scope {self.name} has no {missing[0]}" if self.exists else ""
        given = f"`{to_run.ours(self.command('set'))}` puts the service principal there"
        return (
            f"{what or f'there is no secret scope {self.name}'}: clusters would not start",
            # There `secrets set` would only lead on to what can be said now.
            self._by_hand(missing) if self._is_of_a_key_vault else given,
        )

    def check(self, keys: list[str]) -> None:
        """Look for keys.

        Raises:
            AdminError: one is not there: a cluster whose policy refers to it would not start.
        """
        if lacking := self.lacks(keys):
            raise ElsewhereError("; ".join(lacking), "" if self._is_of_a_key_vault else self.command("set"))

    def check_shared(self, keys: Collection[str], readers: Sequence[str]) -> None:
        """Look whether there is something in it that is not for those who get READ, which is on all of it.

        Args:
            keys: what they may read.
            readers: who they are.

        Raises:
            AdminError: there is something else in it.
        """
        others = sorted(self.keys - set(keys))
        if others and readers:
            raise AdminError(
                f"secret scope {self.name} has {', '.join(others)} besides, and READ is on a whole scope: "
                f"{', '.join(readers)} could read that, too; use a scope of its own (secrets.scope), or say "
                f"alsoReadable = {json.dumps(others)} under [secrets]"
            )

    def check_writable(self, keys: list[str]) -> None:
        """Look whether secrets can be put into it.

        Raises:
            AdminError: a Key Vault is behind it, into which Databricks cannot write.
        """
        if self._is_of_a_key_vault:
            raise ElsewhereError(
                f"secret scope {self.name} is backed by a Key Vault, which Databricks cannot write to: "
                f"{self._by_hand(keys)}",
                "",
            )

    @property
    def _is_of_a_key_vault(self) -> bool:
        return self._found is not None and self._found.backend_type == ScopeBackendType.AZURE_KEYVAULT

    def _by_hand(self, keys: list[str]) -> str:
        vault = self._found and self._found.keyvault_metadata
        name = ((vault and vault.dns_name) or "").removeprefix("https://").partition(".")[0]
        return f"put {', '.join(keys)} there, `az keyvault secret set --vault-name {name} ...`"

    def is_ours(self, key: str) -> bool:
        """Return whether we have put a key there."""
        return f"{self.name}/{key}" in self._record.names(SECRET)

    def changes(self, values: Mapping[str, str], ids: Collection[str] = ()) -> Iterator[Change]:
        """Yield what puts secrets into the scope.

        Args:
            values: by key.
            ids: the keys whose values are no secrets, and to be known later.
        """
        if not self.exists and values:
            yield Change("create", SCOPE, self.name, self._create)
        for key, value in values.items():
            action = "update" if key in self.keys else "create"
            act = partial(self._put, key, value, is_id=key in ids)
            yield Change(action, SECRET, f"{self.name}/{key}", act)  # type: ignore[arg-type]

    def known(self, key: str) -> str:
        """Return the ID that we have put there, empty where that is not known: nobody can read a secret."""
        return str((self._record.details(SECRET, f"{self.name}/{key}") or {}).get("is", ""))

    def written(self, key: str) -> datetime | None:
        """Return when a key was written last, None where the workspace does not say."""
        milliseconds = self._written.get(key, 0)
        return datetime.fromtimestamp(milliseconds / 1000, timezone.utc) if milliseconds else None

    def age(self, key: str) -> timedelta | None:
        """Return how long ago a key was written, None where the workspace does not say."""
        written = self.written(key)
        return datetime.now(timezone.utc) - written if written else None

    def is_overwritten(self, key: str) -> bool:
        """Return whether somebody else has written a key of ours since."""
        ours = (self._record.details(SECRET, f"{self.name}/{key}") or {}).get("at")
        return bool(ours and self._written.get(key)) and self._written[key] != ours

    def removals(self, in_use: Callable[[], str]) -> Iterator[Change | Kept]:
        """Yield what becomes of our secrets, and of the scope, if that is ours and has no others.

        Args:
            in_use: says what refers to them, and nothing if nothing does.
        """
        ours = [name for name in self._record.names(SECRET) if name.startswith(f"{self.name}/")]
        is_ours = self.name in self._record.names(SCOPE)
        users = in_use() if ours or is_ours else ""
        if users:
            yield Kept(SCOPE, self.name, users)
            return
        for name in ours:
            yield Change("delete", SECRET, name, partial(self._delete, name.partition("/")[2]))
        if is_ours:
            others = self.keys - {name.partition("/")[2] for name in ours}
            if others:
                yield Kept(SCOPE, self.name, f"{', '.join(sorted(others))} in it")
            else:
                yield Change("delete", SCOPE, self.name, self._delete_scope)

    def _create(self) -> None:
        with telling(f"secret scope {self.name} cannot be made", "the right to make secret scopes"):
            self._secrets.create_scope(self.name)

    def _put(self, key: str, value: str, *, is_id: bool) -> dict[str, Any]:
        with telling(f"{self.name}/{key} cannot be written", f"WRITE on secret scope {self.name}"):
            self._secrets.put_secret(self.name, key, string_value=value)
            if not is_id:
                return {}
            # By its time it is known again: nobody reads it.
            listed = self._secrets.list_secrets(self.name)
            return {"is": value, "at": next(it.last_updated_timestamp for it in listed if it.key == key)}

    def _delete(self, key: str) -> None:
        if key in self.keys:
            with telling(f"{self.name}/{key} cannot be deleted", f"WRITE on secret scope {self.name}"):
                self._secrets.delete_secret(self.name, key)

    def _delete_scope(self) -> None:
        if self.exists:
            with telling(f"secret scope {self.name} cannot be deleted", self._rights):
                self._secrets.delete_scope(self.name)
