"""Plan, deploy and destroy: what is wanted, what is there, and the changes between the two in a safe order.

Files come before the policy that points at them, and what is pointed at stays: a deployment that stops
half-way breaks no cluster, and goes on when it is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from functools import partial

from azureml_databricks.admin.commands import unready
from azureml_databricks.admin.commands.site import Site
from azureml_databricks.admin.errors import AdminError, NotDoneError, Problems, RefusedError
from azureml_databricks.admin.file import settings_file
from azureml_databricks.admin.file.deployment import ML, Deployment
from azureml_databricks.admin.objects import neighbours, storage, writers
from azureml_databricks.admin.objects import policy as policies
from azureml_databricks.admin.objects import principals as principals_of_file
from azureml_databricks.admin.objects.access import (
    RIGHT,
    USE_CREDENTIAL,
    CredentialUsers,
    SecretReaders,
    given_on,
)
from azureml_databricks.admin.objects.changes import Change, Difference, Kept, Plan, Unready
from azureml_databricks.admin.objects.record import FOLDER
from azureml_databricks.admin.objects.release import KIND as RELEASE
from azureml_databricks.admin.objects.release import SCRIPT, Release
from azureml_databricks.admin.objects.secret_scope import SCOPE, SECRET, SecretScope, recorded_scopes
from azureml_databricks.admin.services import workspace


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


def release_for(site: Site) -> Release:
    """Return the release that a deployment wants.

    Raises:
        AdminError: the Azure ML workspace cannot be read; then what else is wrong is told as well.
    """
    try:
        return release(site.deployment)
    except AdminError as error:
        problems = Problems()
        problems.note(error)
        _check(site, problems)
        problems.tell()
        raise


def plan(site: Site, release: Release, *, all_of_it: bool = False, is_shown: bool = False) -> Plan:
    """Return what it takes to make the workspace as the file says.

    Args:
        site: where.
        release: which.
        all_of_it: whether all of the workspace is read in any case, and not only where a release may go.
        is_shown: whether it is not to be made now: what comes before the first deployment may be missing.

    Raises:
        AdminError: it cannot be made so: a secret is not there, a name is another's, ...
    """
    older = [name for name in site.record.names(RELEASE) if name != release.name]
    site.read_ahead(all_of_it=all_of_it or bool(older))
    before = list(_before_the_first(site)) if is_shown else []
    planned = _as_plan(_changes(site, release, may_lack=before))
    planned.unready.extend(before)
    planned.unready.extend(dict.fromkeys(unready.found(site, release)))
    return planned


def is_deployed(site: Site) -> bool:
    """Return whether there is a policy of the deployment, or a release."""
    return any(it.found for it in site.policies) or bool(site.record.names(RELEASE))


def _before_the_first(site: Site) -> Iterator[Unready]:
    """Yield what has to be done before the first deployment."""
    if is_deployed(site) or not site.deployment.needs_secrets:
        return
    keys = site.deployment.secrets
    for scope in site.scopes:
        if lacking := scope.lacks(keys.keys):
            yield Unready(SECRET, f"{scope.name}/{keys.client_secret}", *lacking)


def plan_to_destroy(site: Site) -> Plan:
    """Return what it takes to remove what we have made; what something else points at is kept.

    Raises:
        AdminError: there is no record of it.
    """
    if not site.record.is_there:
        raise AdminError(
            f"nothing to remove: there is no record of a deployment in {site.storage.location}, where "
            "nothing was made, or it was removed before (is that the right clusters.location?)"
        )
    site.read_ahead(all_of_it=True)
    return _as_plan(_removals(site, None))


def apply(site: Site, plan: Plan, on_start: Callable[[Change], None]) -> Generator[Change, None, None]:
    """Make the changes, and yield each when it is made; the lock is held until it is closed.

    Args:
        site: where.
        plan: which.
        on_start: called before each.

    Raises:
        AdminError: Databricks refuses one, and those before it are made; or another admin has the lock, or
            takes it meanwhile.
    """
    with site.lock.held():
        try:
            yield from _made(site, plan, on_start)
        finally:
            # Whose the lock is by now, theirs is the copy.
            with suppress(AdminError):
                site.lock.check()
                site.record.keep_copy()


def _made(site: Site, plan: Plan, on_start: Callable[[Change], None]) -> Generator[Change, None, None]:
    refused = Problems()
    for change in plan.changes:
        if change.kind == policies.KIND:
            # Clusters under it would not start before others have done what is for them.
            refused.tell()
        on_start(change)
        site.lock.check()
        try:
            _make(site, change)
        except RefusedError as error:
            if not change.instead:
                raise
            site.record.forget((change.kind, change.name))
            refused.note(RefusedError(f"{error}; whoever has it: {change.instead}"))
            continue
        yield change
    refused.tell()


def _make(site: Site, change: Change) -> None:
    if change.prepare:
        change.prepare()
    if change.action == "create" and change.is_ours:
        site.record.note(change.kind, change.name)
    try:
        details = change.act()
    except NotDoneError:
        if change.kind == RIGHT:
            # What others give one day is not ours to take back.
            site.record.forget((change.kind, change.name))
        raise
    if details:
        site.record.note(change.kind, change.name, **details)
    if change.action == "delete":
        site.record.forget((change.kind, change.name))


def _as_plan(found: Iterator[Change | Kept]) -> Plan:
    plan = Plan()
    for each in found:
        if isinstance(each, Kept):
            plan.kept.append(each)
        else:
            plan.changes.append(each)
    return plan


def _changes(site: Site, release: Release, *, may_lack: Sequence[Unready]) -> Iterator[Change | Kept]:
    deployment = site.deployment
    principals = deployment.principals
    yield from _adoption(site)
    problems, wanted, uploads = Problems(), [], list[Change]()
    for policy in site.policies:
        with problems:
            if policy.asked:
                to_be = policies.wanted(deployment, policy.asked, release.script, site.client)
                wanted.append((policy, policy.asked, to_be))
    _check(site, problems)
    folder = release.script.removesuffix(SCRIPT)
    with problems:
        seals, present = _seals(site, folder), _present(site)
        uploads += site.releases.changes(release, seals, present, again=site.force)
        yield from uploads
    with problems:
        yield from site.allowlist.changes(_allowed_scripts(site, release))
    for readers in site.file_readers():
        with problems:
            yield from readers.changes(principals)
    with problems:
        for scope, of_scope in deployment.scopes.items() if deployment.needs_secrets else ():
            yield from SecretReaders(site.client, scope).changes(of_scope)
    with problems:
        if credential := deployment.login.service_credential:
            yield from CredentialUsers(site.client, credential).changes(principals)
    for policy, asked, to_be in wanted:
        if policy.is_deployed:
            with problems:
                yield from policy.changes(to_be, lambda: site.releases.seal, is_new=bool(uploads))
                yield from policy.users.changes(asked.principals)
    with problems:
        yield from _removals(site, release)
    # Alone these are no errors; beside others they are more to do.
    problems.tell(but=[f"{it.why}; {it.advice}" for it in may_lack])


def _check(site: Site, problems: Problems) -> None:
    """Look whether what has to be there is there."""
    deployment = site.deployment
    with problems:
        principals_of_file.check(site.client, deployment)
    for scope in site.scopes if deployment.needs_secrets else ():
        with problems:
            scope.check(deployment.secrets.keys)
            readers = [it.name for it in deployment.scopes[scope.name]]
            scope.check_shared(deployment.secrets.readable, readers)
    with problems:
        writers.check(site.client, site.storage, site.user, deployment.clusters.allow_writers)


def _adoption(site: Site) -> Iterator[Change]:
    """Yield what writes a record of what is taken back."""
    if site.adopted:
        found = [Difference(kind, None, name) for kind, name in site.adopted]
        yield Change("create", "record", site.storage.location, site.record.save, tuple(found), is_ours=False)


def _present(site: Site) -> str:
    """Return the name of the release that our policies point at, else of the last one."""
    names = site.record.names(RELEASE)
    pointed_at = [
        name
        for name in names
        if any(it.points_at(f"{site.storage.location}/{name}/") for it in site.policies)
    ]
    return next(reversed(pointed_at or names), "")


def _seals(site: Site, folder: str) -> set[str] | None:
    """Return the digests that our policies have of a release's files; None if there is no policy of ours."""
    deployed = [policy for policy in site.policies if policy.is_deployed]
    pointing = {policy.seal(folder) for policy in deployed if policy.points_at(folder)}
    return (pointing or {""}) if deployed else None


def _removals(site: Site, release: Release | None) -> Iterator[Change | Kept]:
    """Yield what becomes of what is ours and not wanted: all of it, without a release."""
    deployment, record = site.deployment, site.record
    principals = deployment.principals if release else []
    staying = []
    for policy in site.policies:
        if release and policy.asked:
            yield from policy.users.removals(record, policy.asked.principals)
        elif policy.is_deployed:
            removals = list(policy.removals(site.references))
            staying += [f"policy {it.name}" for it in removals if isinstance(it, Kept) and policy.found]
            yield from removals
    is_wanted = bool(release and deployment.needs_secrets)
    yield from _removals_of_secrets(site, staying, is_wanted=is_wanted)
    location = deployment.clusters.location
    in_use = partial(", ".join, staying) if release else partial(site.references.to, f"{location}/")
    for name in given_on(record, USE_CREDENTIAL):
        is_the_files = name == deployment.login.service_credential
        found = CredentialUsers(site.client, name).removals(
            record, principals if is_the_files else [], in_use
        )
        yield from found if is_the_files else _only_with_a_yes(site, "service credential", name, found)
    read_by = partial(_reading, site, in_use)
    yield from site.file_readers()[-1].removals(record, principals, read_by)
    if not (release and deployment.clusters.allowlisted):
        yield from site.allowlist.removals(_allowed_scripts(site, release) if release else [])
    yield from site.releases.removals(release)
    if not release and (others := site.record.strangers(record.names(RELEASE))):
        yield Kept(FOLDER, location, f"{others} in it, which we have not put there")


def _reading(site: Site, in_use: Callable[[], str]) -> str:
    """Say who needs that our users can read the files, or others that are in the same volume."""
    location = site.storage.location
    is_volume = isinstance(site.storage, storage.Volume)
    others = neighbours.in_volume(site.listed, location) if is_volume else ()
    return ", ".join(filter(None, [in_use(), *map(str, others)]))


def _allowed_scripts(site: Site, release: Release) -> list[str]:
    """Return the scripts that have to be on the allowlist: the release's, and those that are in use still."""
    if "standard" not in site.deployment.access_modes or site.deployment.clusters.allowlisted:
        return []
    folders = [
        f"{site.storage.location}/{name}" for name in site.record.names(RELEASE) if name != release.name
    ]
    in_use = [f"{folder}/{SCRIPT}" for folder in folders if site.references.to(f"{folder}/")]
    return [release.script, *in_use]


def _removals_of_secrets(site: Site, staying: Sequence[str], *, is_wanted: bool) -> Iterator[Change | Kept]:
    scopes = site.deployment.scopes
    for name in dict.fromkeys([*scopes, *recorded_scopes(site.record)]):
        if is_wanted and name in scopes:
            in_use = partial(_reading_secrets, site, name, staying)
            yield from SecretReaders(site.client, name).removals(site.record, scopes[name], in_use)
        elif name in scopes:
            yield from _removals_of_scope(site, name)
        else:
            yield from _only_with_a_yes(site, SCOPE, name, _removals_of_scope(site, name))


def _reading_secrets(site: Site, scope: str, staying: Sequence[str]) -> str:
    """Say who needs that not only the users of a scope's policies can read it."""
    # A policy that has another scope now may have clusters of before.
    moved = [it.id for it in site.policies if it.asked and site.deployment.scope_of(it.asked) != scope]
    users = site.references.to(f"{{{{secrets/{scope}/", under=moved) if any(moved) else ""
    others = neighbours.with_secret(site.listed, scope, "", site.storage.location)
    return ", ".join(filter(None, [*staying, users, *map(str, others)]))


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
