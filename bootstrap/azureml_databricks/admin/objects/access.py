"""Who may use the policy, read the files and read the secrets: what they lack is given, no more."""

from __future__ import annotations

import json
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, suppress
from functools import cached_property, partial

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.catalog import (
    CatalogInfo,
    EffectivePrivilegeAssignment,
    PermissionsChange,
    Privilege,
    SchemaInfo,
    VolumeInfo,
)
from databricks.sdk.service.iam import AccessControlRequest, AccessControlResponse, PermissionLevel
from databricks.sdk.service.workspace import AclPermission

from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file.deployment import Principal
from azureml_databricks.admin.objects.changes import Change, Kept
from azureml_databricks.admin.objects.record import Record
from azureml_databricks.admin.services.databricks import telling

RIGHT = "right"
_FOR = " for "
READ_SECRETS, USE_CREDENTIAL = "READ on secret scope ", "ACCESS on service credential "
# The group of everybody in a workspace, and what Unity Catalog has in its place.
EVERYBODY, _EVERYBODY_OF_UNITY_CATALOG = "users", "account users"


class Access(ABC):
    """A right on one object of the workspace, and who has it.

    Attributes:
        right: such as `READ VOLUME on sales.ml.azureml`.
        needs: what it takes to give it.
        recorded: what the record calls it, which may be a name from before.
        is_ours: whether it is taken back when it is not wanted any more.
    """

    right: str
    recorded = ""
    needs: str
    is_ours = True

    def changes(self, wanted: Sequence[Principal]) -> Iterator[Change]:
        """Yield what gives the right to those who are to have it and do not."""
        with self._telling("be read"):
            holders = self._holders() if wanted else set()
        for principal in wanted:
            if not holders & {principal.name, EVERYBODY}:
                name = f"{self.right}{_FOR}{principal.name}"
                yield Change(
                    "create",
                    RIGHT,
                    name,
                    partial(self._give_to, principal),
                    is_ours=self.is_ours,
                    instead=self._command(principal),
                )

    def removals(
        self, record: Record, wanted: Sequence[Principal], in_use: Callable[[], str] | None = None
    ) -> Iterator[Change | Kept]:
        """Yield what becomes of the right of others to whom we gave it.

        Args:
            record: whom we gave it to.
            wanted: who is to have it.
            in_use: says what needs that they have it all the same, and nothing if nothing does.
        """
        for holder in self._given(record):
            name = f"{self.right}{_FOR}{holder}"
            if any(holder == principal.name for principal in wanted):
                continue
            if in_use and (users := in_use()):
                yield Kept(RIGHT, name, users)
            else:
                yield Change("delete", RIGHT, name, partial(self._take_from, holder))

    def rename(self, record: Record) -> None:
        """Let the record call it by the name of today."""
        given = [f"{_FOR}{holder}" for holder in self._given(record)]
        record.rename({(RIGHT, self.recorded + it): (RIGHT, self.right + it) for it in given})

    def _given(self, record: Record) -> list[str]:
        """Return to whom the record says that we gave it."""
        head = f"{self.recorded or self.right}{_FOR}"
        return [name.removeprefix(head) for name in record.names(RIGHT) if name.startswith(head)]

    def is_lacked_by(self, names: Set[str]) -> bool:
        """Return whether nobody of these has the right; they are somebody's name and their groups'."""
        return not self._known_holders & {*names, EVERYBODY}

    def is_everybodys(self) -> bool:
        """Return whether everybody in the workspace has the right."""
        return EVERYBODY in self._known_holders

    @cached_property
    def _known_holders(self) -> set[str]:
        with self._telling("be read"):
            return self._holders()

    def _give_to(self, principal: Principal) -> None:
        with self._telling("be given"):
            self._give(principal)

    def _take_from(self, name: str) -> None:
        with self._telling("be taken back"), suppress(NotFound):
            self._take(name)

    def _telling(self, what: str) -> AbstractContextManager[None]:
        return telling(f"{self.right} cannot {what}", self.needs)

    @abstractmethod
    def _command(self, principal: Principal) -> str:
        """Return how somebody else gives it, who may."""

    @abstractmethod
    def _holders(self) -> set[str]: ...

    @abstractmethod
    def _give(self, principal: Principal) -> None: ...

    @abstractmethod
    def _take(self, name: str) -> None: ...


class UnityCatalogAccess(Access):
    """A privilege on a catalog, a schema or a volume."""

    def __init__(self, client: WorkspaceClient, securable: str, name: str, privilege: Privilege) -> None:
        """Name the object and the privilege."""
        self._client = client
        self._grants = client.grants
        self._of = (securable, name)
        self._privilege = privilege
        self.right = f"{privilege.value.replace('_', ' ')} on {name}"
        self.needs = f"MANAGE on {securable} {name}, or its owner"
        # By now they may read other things in a catalog or schema by it.
        self.is_ours = securable not in ("catalog", "schema")

    def _holders(self) -> set[str]:
        return self._who_has(self._privilege)

    def is_lacked_by(self, names: Set[str]) -> bool:
        """Return whether nobody of these has the right; an owner has it without a grant."""
        return super().is_lacked_by(names) and self._owner not in names

    @cached_property
    def _owner(self) -> str:
        securable, name = self._of
        owned: dict[str, Callable[[str], CatalogInfo | SchemaInfo | VolumeInfo]] = {
            "catalog": self._client.catalogs.get,
            "schema": self._client.schemas.get,
            "volume": self._client.volumes.read,
        }
        with self._telling("be read"):
            return (owned[securable](name).owner or "") if securable in owned else ""

    def _command(self, principal: Principal) -> str:
        """Return SQL: https://learn.microsoft.com/azure/databricks/sql/language-manual/security-grant."""
        securable, name = self._of
        what = "SERVICE CREDENTIAL" if securable == "credential" else securable.upper()
        quoted = ".".join(map(_quoted, [name] if securable == "credential" else name.split(".")))
        right, who = self._privilege.value.replace("_", " "), _quoted(in_unity_catalog(principal.name))
        return f"GRANT {right} ON {what} {quoted} TO {who}"

    def _who_has(self, privilege: Privilege) -> set[str]:
        holders = {
            assignment.principal or ""
            for assignment in self._assignments
            if {privilege, Privilege.ALL_PRIVILEGES} & {it.privilege for it in assignment.privileges or []}
        }
        return holders | ({EVERYBODY} if _EVERYBODY_OF_UNITY_CATALOG in holders else set())

    @cached_property
    def _assignments(self) -> list[EffectivePrivilegeAssignment]:
        return self._grants.get_effective(*self._of).privilege_assignments or []

    def _give(self, principal: Principal) -> None:
        change = PermissionsChange(add=[self._privilege], principal=in_unity_catalog(principal.name))
        self._grants.update(*self._of, changes=[change])

    def _take(self, name: str) -> None:
        change = PermissionsChange(remove=[self._privilege], principal=in_unity_catalog(name))
        self._grants.update(*self._of, changes=[change])


def volume_readers(client: WorkspaceClient, volume: str) -> list[Access]:
    """Return the rights that it takes to read a volume; the last is on the volume itself."""
    catalog, schema, _ = volume.split(".")
    return [
        UnityCatalogAccess(client, "catalog", catalog, Privilege.USE_CATALOG),
        UnityCatalogAccess(client, "schema", f"{catalog}.{schema}", Privilege.USE_SCHEMA),
        UnityCatalogAccess(client, "volume", volume, Privilege.READ_VOLUME),
    ]


class CredentialUsers(UnityCatalogAccess):
    """Who may log in with a service credential."""

    def __init__(self, client: WorkspaceClient, name: str) -> None:
        """Name the service credential."""
        super().__init__(client, "credential", name, Privilege.ACCESS)
        self.right = f"{USE_CREDENTIAL}{name}"
        self._credentials = client.credentials

    def _holders(self) -> set[str]:
        _, name = self._of
        try:
            self._credentials.get_credential(name)
        except NotFound:
            raise AdminError(
                f"Unity Catalog has no service credential {name!r} (login.serviceCredential): create "
                f"it, or name "
                "another"
            ) from None
        return super()._holders()


class SecretReaders(Access):
    """Who may read the secrets of a scope."""

    def __init__(self, client: WorkspaceClient, scope: str) -> None:
        """Name the scope."""
        self._secrets = client.secrets
        self._scope = scope
        self.right = f"{READ_SECRETS}{scope}"
        self.needs = f"MANAGE on secret scope {scope}"

    def _holders(self) -> set[str]:
        with suppress(NotFound):
            return {acl.principal for acl in self._secrets.list_acls(self._scope)}
        return set()

    def _command(self, principal: Principal) -> str:
        return f"databricks secrets put-acl {shlex.join([self._scope, principal.name, 'READ'])}"

    def _give(self, principal: Principal) -> None:
        self._secrets.put_acl(self._scope, principal.name, AclPermission.READ)

    def _take(self, name: str) -> None:
        # Somebody may have given them more since: that is not ours.
        if self._secrets.get_acl(self._scope, name).permission == AclPermission.READ:
            self._secrets.delete_acl(self._scope, name)


def given_on(record: Record, kind: str) -> list[str]:
    """Return the objects on which we gave a kind of right, such as `READ on secret scope `."""
    rights = (name.partition(_FOR)[0] for name in record.names(RIGHT))
    return [right.removeprefix(kind) for right in rights if right.startswith(kind)]


class PermissionList(Access):
    """The list of permissions that policies, folders and most other objects have.

    https://docs.databricks.com/api/azure/workspace/permissions/set

    Args:
        type: such as `cluster-policies`.
        id: returns the object's ID, empty while there is none.
        level: the permission.
        name: what the object is called.
        recorded: what the record calls it, if that may be something else.
    """

    needs = "the admin role of the workspace"

    def __init__(
        self,
        client: WorkspaceClient,
        type: str,
        id: Callable[[], str],
        level: PermissionLevel,
        name: str,
        recorded: str = "",
    ) -> None:
        """Name the object and the right."""
        self._permissions = client.permissions
        self._type = type
        self._id = id
        self._level = level
        self.right = f"{level.value.replace('_', ' ')} on {name}"
        self.recorded = f"{level.value.replace('_', ' ')} on {recorded or name}"

    def _holders(self) -> set[str]:
        if not self._id():
            return set()
        return {_name(entry) for entry in self._entries()}

    def _command(self, principal: Principal) -> str:
        entry = {principal.kind: principal.name, "permission_level": self._level.value}
        document = json.dumps({"access_control_list": [entry]}, ensure_ascii=False)
        # There is none for what is not made yet, which whoever makes it may give rights to.
        arguments = [self._type, self._id(), "--json", document]
        return f"databricks permissions update {shlex.join(arguments)}" if self._id() else ""

    def _give(self, principal: Principal) -> None:
        request = AccessControlRequest(permission_level=self._level, **{principal.kind: principal.name})
        self._permissions.update(self._type, self._id(), access_control_list=[request])

    def _take(self, name: str) -> None:
        # The API only adds or replaces: the others' entries are put back as they are.
        others = [
            AccessControlRequest(
                group_name=entry.group_name,
                service_principal_name=entry.service_principal_name,
                user_name=entry.user_name,
                permission_level=permission.permission_level,
            )
            for entry in self._entries()
            for permission in entry.all_permissions or []
            if not permission.inherited
            and (_name(entry) != name or permission.permission_level != self._level)
        ]
        self._permissions.set(self._type, self._id(), access_control_list=others)

    def _entries(self) -> list[AccessControlResponse]:
        return self._permissions.get(self._type, self._id()).access_control_list or []


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _name(entry: AccessControlResponse) -> str:
    return entry.user_name or entry.group_name or entry.service_principal_name or ""


def in_unity_catalog(name: str) -> str:
    """Return what Unity Catalog calls a principal."""
    return _EVERYBODY_OF_UNITY_CATALOG if name == EVERYBODY else name
