"""A deployment, and the Databricks workspace that it is made in: what is read before anything is planned."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property

import requests
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.iam import PermissionLevel

from azureml_databricks.admin import to_run
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file.deployment import Deployment
from azureml_databricks.admin.objects import adoption, storage
from azureml_databricks.admin.objects import policy as policies
from azureml_databricks.admin.objects.access import Access, PermissionList, volume_readers
from azureml_databricks.admin.objects.allowlist import Allowlist
from azureml_databricks.admin.objects.inventory import Inventory
from azureml_databricks.admin.objects.lock import Lock
from azureml_databricks.admin.objects.record import Record
from azureml_databricks.admin.objects.record_copy import RecordCopy
from azureml_databricks.admin.objects.references import References
from azureml_databricks.admin.objects.release import KIND as RELEASE
from azureml_databricks.admin.objects.release import Releases
from azureml_databricks.admin.objects.secret_scope import SCOPE, SecretScope, recorded_scopes
from azureml_databricks.admin.services import databricks


class Site:
    """A deployment, and the Databricks workspace that it is made in."""

    def __init__(
        self, deployment: Deployment, also: Sequence[str] = (), *, force: bool = False, adopt: bool = False
    ) -> None:
        """Log in, and read what we have made there.

        Args:
            deployment: what the file says.
            also: secret scopes and service credentials besides the file's from which ours is taken.
            force: whether to take the lock from who has it, and to upload what is there already.
            adopt: whether to take for ours what points at the location or was made for another workspace.

        Raises:
            AdminError: there is no login, or what has to be there is not.
        """
        self.deployment = deployment
        self.also = also
        self.force = force
        self.client, self.user = databricks.connect(deployment.databricks)
        self.storage = storage.at(self.client, deployment.clusters.location)
        self.copy = RecordCopy(self.client, self.storage.location)
        of = "/".join(deployment.workspace.parts)
        self.record = Record(self.storage, of, self.copy, names=deployment.names, lenient=adopt)
        self.lock = Lock(self.storage, self.record, self.user, force=force)
        self.inventory = Inventory(self.client)
        self.listed = policies.listed(self.inventory)
        self.adopted = _taken_back(self) if adopt else []
        if not adopt:
            _check_workspace(deployment, self.record)
            _check_names(deployment, self.record)
            _check_record(self)
        self.policies = policies.find(self.inventory, self.record, self.listed, deployment.policies)
        deployed = [policy.id for policy in self.policies if policy.is_deployed]
        self.references = References(self.inventory, deployed)
        self.releases = Releases(self.storage, self.record, self.references)
        self.allowlist = Allowlist(self.client, self.record, self.references)
        self.scopes = [
            SecretScope(self.client, name, self.record, _policy_of_scope(deployment, name))
            for name in deployment.scopes
        ]

    def read_ahead(self, *, all_of_it: bool) -> None:
        """Read at once what is needed of the workspace; what is refused is told where it is needed.

        Args:
            all_of_it: or only what is under our policies.
        """
        with suppress(DatabricksError, requests.RequestException, TimeoutError):
            if all_of_it:
                self.inventory.read_all()
            elif ids := [it.id for it in self.policies if it.id]:
                self.inventory.read_under(ids)

    def users_of_releases(self) -> dict[str, str]:
        """Return what points at each of our releases, by the release's name; empty for nothing."""
        users = {}
        for name in self.record.names(RELEASE):
            path = f"{self.storage.location}/{name}/"
            ours = [f"policy {it.name}" for it in self.policies if it.is_deployed and it.points_at(path)]
            users[name] = ", ".join(filter(None, [*ours, self.references.to(path)]))
        return users

    def file_readers(self) -> list[Access]:
        """Return the rights that it takes to read our files, each of which asks once who has it."""
        return self._file_readers

    @cached_property
    def _file_readers(self) -> list[Access]:
        if isinstance(self.storage, storage.Volume):
            return volume_readers(self.client, self.storage.name)
        assert isinstance(self.storage, storage.WorkspaceFolder)
        return [
            PermissionList(
                self.client,
                "directories",
                self.storage.object_id,
                PermissionLevel.CAN_READ,
                f"folder {self.storage.location}",
            )
        ]


def _policy_of_scope(deployment: Deployment, scope: str) -> str:
    """Return a policy by which commands know a secret scope from others; empty where there are none."""
    named = (it.name for it in deployment.policies if deployment.scope_of(it) == scope)
    return next(named) if len(deployment.scopes) > 1 else ""


def _taken_back(site: Site) -> list[tuple[str, str]]:
    """Take for ours what was in the record, and return it, each a kind and a name."""
    names = [it.name for it in site.deployment.policies if it.deployed]
    copy = None if site.record.is_there else site.copy.read()
    found = adoption.found(site.client, site.storage, site.listed, names)
    return site.record.take_back(copy, found)


def _check_record(site: Site) -> None:
    """Look whether there was a record that is gone: without it all that we made would be a stranger's."""
    if site.record.is_there:
        return
    elsewhere = {it.name for it in site.deployment.policies if not it.deployed}
    pointing = adoption.pointing_here(site.listed, site.storage.location)
    signs = [f"policy {it.name} has its init script there" for it in pointing if it.name not in elsewhere]
    signs += [f"a copy of it is {site.copy.path}"] if site.copy.read() is not None else []
    if signs:
        raise AdminError(
            f"the record of what was made in {site.storage.location} is gone, and {' and '.join(signs)}: "
            f"`{to_run.ours('deploy --adopt')}` takes back what is ours"
        )


def _check_workspace(deployment: Deployment, record: Record) -> None:
    wanted = deployment.workspace.parts
    if record.workspace.casefold() not in ("", "/".join(wanted).casefold()):
        raise AdminError(
            f"{record.location} has the deployment for the Azure ML workspace {record.workspace}, and "
            f"{deployment.path} is for {'/'.join(wanted)}: one location has one deployment; choose another "
            "location (clusters.location), or, if clusters there are to go to the other workspace from now "
            f"on, `{to_run.ours('deploy --adopt')}`"
        )


def _check_names(deployment: Deployment, record: Record) -> None:
    """Look whether it is the deployment of the file: that may get other names, but not all at once."""
    names = dict.fromkeys(record.known_by)
    names |= dict.fromkeys(f"policy {name}" for name in record.names(policies.KIND))
    names |= dict.fromkeys(f"{SCOPE} {name}" for name in recorded_scopes(record))
    if names and not names.keys() & set(deployment.names):
        raise AdminError(
            f"{record.location} has another deployment ({', '.join(names)}), and {deployment.path} is for "
            f"{', '.join(deployment.names)}: one location has one deployment; choose another location "
            "(clusters.location), or, if it is the same one that gets other names, change them one after the "
            "other, each with a deploy"
        )
