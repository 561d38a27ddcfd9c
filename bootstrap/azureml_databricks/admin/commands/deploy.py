"""Plan, deploy and destroy: what is wanted, what is there, and the changes between the two in a safe order.

Files come before the policy that points at them, and what is pointed at stays: a deployment that stops
half-way breaks no cluster, and goes on when it is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial

from databricks.sdk.service.iam import PermissionLevel

from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file import settings_file
from azureml_databricks.admin.file.deployment import ML, Deployment, Principal
from azureml_databricks.admin.objects import policy as policies
from azureml_databricks.admin.objects import runners, storage, writers
from azureml_databricks.admin.objects.access import (
    USE_CREDENTIAL,
    Access,
    CredentialUsers,
    PermissionList,
    SecretReaders,
    given_on,
    volume_readers,
)
from azureml_databricks.admin.objects.allowlist import Allowlist
from azureml_databricks.admin.objects.changes import Change, Kept, Plan, Unready
from azureml_databricks.admin.objects.lock import Lock
from azureml_databricks.admin.objects.record import FOLDER, Record
from azureml_databricks.admin.objects.references import References
from azureml_databricks.admin.objects.release import KIND as RELEASE
from azureml_databricks.admin.objects.release import SCRIPT, Release, Releases
from azureml_databricks.admin.objects.secret_scope import SCOPE, SecretScope, recorded_scopes
from azureml_databricks.admin.services import databricks, workspace


class Site:
    """A deployment, and the Databricks workspace that it is made in."""

    def __init__(self, deployment: Deployment, also: Sequence[str] = (), *, force: bool = False) -> None:
        """Log in, and read what we have made there.

        Args:
            deployment: what the file says.
            also: secret scopes and service credentials besides the file's from which ours is taken.
            force: whether to take the lock from who has it.

        Raises:
            AdminError: there is no login, or what has to be there is not.
        """
        self.deployment = deployment
        self.also = also
        self.client, self.user = databricks.connect(deployment.databricks)
        self.storage = storage.at(self.client, deployment.clusters.location)
        self.record = Record(self.storage)
        self.lock = Lock(self.storage, self.record, self.user, force=force)
        self.policies = policies.find(self.client, self.record, deployment.policies)
        deployed = [policy.id for policy in self.policies if policy.is_deployed]
        self.references = References(self.client, deployed)
        self.releases = Releases(self.storage, self.record, self.references)
        self.allowlist = Allowlist(self.client, self.record, self.references)
        self.scope = SecretScope(self.client, deployment.secrets.scope, self.record)

    def users_of_releases(self) -> dict[str, str]:
        """Return what points at each of our releases, by the release's name; empty for nothing."""
        users = {}
        for name in self.record.names(RELEASE):
            path = f"{self.storage.location}/{name}/"
            ours = [f"policy {it.name}" for it in self.policies if it.is_deployed and it.points_at(path)]
            users[name] = ", ".join(filter(None, [*ours, self.references.to(path)]))
        return users

    def file_readers(self) -> list[Access]:
        """Return the rights that it takes to read our files."""
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


def release(deployment: Deployment) -> Release:
    """Return the release that a deployment wants; Azure is asked for the workspace.

    Raises:
        AdminError: the workspace cannot be read.
    """
    settings = {
        "trackingUri": workspace.tracking_uri(deployment.workspace),
        **deployment.login.settings,
        **settings_file.texts(deployment.settings, f"in {deployment.path}"),
    }
    runtimes = tuple(dict.fromkeys(name.removesuffix(ML) for name in deployment.runtimes))
    return Release(deployment.clusters.location, runtimes, deployment.clusters.extras, settings)


def plan(site: Site, release: Release) -> Plan:
    """Return what it takes to make the workspace as the file says.

    Raises:
        AdminError: it cannot be made so: a secret is not there, a name is another's, ...
    """
    planned = _as_plan(_changes(site, release))
    planned.unready.extend(_strangers(site, release))
    planned.unready.extend(dict.fromkeys(_unready(site)))
    return planned


def plan_to_destroy(site: Site) -> Plan:
    """Return what it takes to remove what we have made; what something else points at is kept."""
    return _as_plan(_removals(site, None))


def apply(site: Site, plan: Plan, on_start: Callable[[Change], None]) -> Generator[Change, None, None]:
    """Make the changes, and yield each when it is made; the lock is held until it is closed.

    Args:
        site: where.
        plan: which.
        on_start: called before each.

    Raises:
        AdminError: Databricks refuses one, and those before it are made; or another admin has the lock.
    """
    with site.lock.held():
        for change in plan.changes:
            on_start(change)
            _make(site, change)
            yield change


def _make(site: Site, change: Change) -> None:
    if change.prepare:
        change.prepare()
    if change.action == "create" and change.is_ours:
        site.record.note(change.kind, change.name)
    details = change.act()
    if details:
        site.record.note(change.kind, change.name, **details)
    if change.action == "delete":
        site.record.forget((change.kind, change.name))


def _strangers(site: Site, release: Release) -> Iterator[Unready]:
    if others := site.releases.strangers(release.name):
        folder = release.script.removesuffix(f"/{SCRIPT}")
        yield Unready(
            RELEASE, release.name, f"{others} in it, which we have not put there", f"take it out of {folder}"
        )


def _unready(site: Site) -> Iterator[Unready]:
    principals = site.deployment.principals
    for policy in site.policies:
        try:
            yield from runners.unready(site.client, policy.under, site.file_readers(), principals)
        except AdminError as error:
            # It is for people's information, and nothing that a deployment needs.
            yield Unready(
                "policy",
                policy.name,
                f"who runs its init script, and cannot read it, is not known: {error}",
                "a deployment does not need it",
            )
    yield from refused(site)


def refused(site: Site) -> Iterator[Unready]:
    """Yield what policies do not say, since the workspace refuses it."""
    for policy, path in ((it, path) for it in site.policies for path in it.refused):
        yield Unready(
            "policy",
            policy.name,
            f"it does not fix {path}, since this workspace refuses that in a policy",
            f"whoever makes a cluster on runtime 19 has to leave {path} at Auto or Cluster libraries",
        )


def _as_plan(found: Iterator[Change | Kept]) -> Plan:
    plan = Plan()
    for each in found:
        if isinstance(each, Kept):
            plan.kept.append(each)
        else:
            plan.changes.append(each)
    return plan


def _changes(site: Site, release: Release) -> Iterator[Change | Kept]:
    deployment = site.deployment
    principals = deployment.principals
    wanted = [
        (policy, policies.wanted(deployment, policy.asked, release.script, site.client))
        for policy in site.policies
        if policy.asked
    ]
    if deployment.needs_secrets:
        site.scope.check(deployment.secrets.keys)
        site.scope.check_shared(deployment.secrets.readable, [it.name for it in principals])
    writers.check(site.client, site.storage, site.user, deployment.clusters.allow_writers)
    folder = release.script.removesuffix(SCRIPT)
    uploads = list(site.releases.changes(release, _seals(site, folder)))
    yield from uploads
    yield from site.allowlist.changes(_allowed_scripts(site, release))
    for readers in site.file_readers():
        yield from readers.changes(principals)
    if deployment.needs_secrets:
        yield from SecretReaders(site.client, site.scope.name).changes(principals)
    if credential := deployment.login.service_credential:
        yield from CredentialUsers(site.client, credential).changes(principals)
    for policy, to_be in wanted:
        if policy.asked and policy.is_deployed:
            yield from policy.changes(to_be, lambda: site.releases.seal, is_new=bool(uploads))
            yield from policy.users.changes(policy.asked.principals)
    yield from _removals(site, release)


def _seals(site: Site, folder: str) -> set[str] | None:
    """Return the digests that our policies have of a release's files; None if there is no policy of ours."""
    deployed = [policy for policy in site.policies if policy.is_deployed]
    pointing = {policy.seal(folder) for policy in deployed if policy.points_at(folder)}
    return (pointing or {""}) if deployed else None


def _removals(site: Site, release: Release | None) -> Iterator[Change | Kept]:
    """Yield what becomes of what is ours and not wanted: all of it, without a release."""
    deployment, record = site.deployment, site.record
    principals = deployment.principals if release else []
    for policy in site.policies:
        if release and policy.asked:
            yield from policy.users.removals(record, policy.asked.principals)
        elif policy.is_deployed:
            yield from policy.removals()
    yield from _removals_of_secrets(site, principals, is_wanted=bool(release and deployment.needs_secrets))
    location = deployment.clusters.location
    in_use = partial(site.references.to, f"{location}/") if not release else None
    for name in given_on(record, USE_CREDENTIAL):
        is_the_files = name == deployment.login.service_credential
        found = CredentialUsers(site.client, name).removals(
            record, principals if is_the_files else [], in_use
        )
        yield from found if is_the_files else _only_with_a_yes(site, "service credential", name, found)
    yield from site.file_readers()[-1].removals(record, principals, in_use)
    yield from site.allowlist.removals(_allowed_scripts(site, release) if release else [])
    yield from site.releases.removals(release)
    if not release and (others := site.record.strangers(record.names(RELEASE))):
        yield Kept(FOLDER, location, f"{others} in it, which we have not put there")


def _allowed_scripts(site: Site, release: Release) -> list[str]:
    """Return the scripts that have to be on the allowlist: the release's, and those that are in use still."""
    if "standard" not in site.deployment.access_modes:
        return []
    folders = [
        f"{site.storage.location}/{name}" for name in site.record.names(RELEASE) if name != release.name
    ]
    in_use = [f"{folder}/{SCRIPT}" for folder in folders if site.references.to(f"{folder}/")]
    return [release.script, *in_use]


def _removals_of_secrets(
    site: Site, principals: Sequence[Principal], *, is_wanted: bool
) -> Iterator[Change | Kept]:
    for name in dict.fromkeys([site.scope.name, *recorded_scopes(site.record)]):
        if is_wanted and name == site.scope.name:
            yield from SecretReaders(site.client, name).removals(site.record, principals)
        elif name == site.scope.name:
            yield from _removals_of_scope(site, name)
        else:
            yield from _only_with_a_yes(site, SCOPE, name, _removals_of_scope(site, name))


def _removals_of_scope(site: Site, name: str) -> Iterator[Change | Kept]:
    in_use = partial(site.references.to, f"{{{{secrets/{name}/")
    yield from SecretReaders(site.client, name).removals(site.record, [], in_use)
    yield from SecretScope(site.client, name, site.record).removals(in_use)


def _only_with_a_yes(
    site: Site, kind: str, name: str, found: Iterator[Change | Kept]
) -> Iterator[Change | Kept]:
    """Yield what becomes of things of which only the record says that they are ours: it may be anybody's."""
    if name in site.also:
        yield from found
    elif list(found):
        yield Kept(kind, name, f"only the record says that it is ours; if it is, give --also {name}")
