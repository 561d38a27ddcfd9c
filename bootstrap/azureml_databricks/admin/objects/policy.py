"""The cluster policy in the workspace: https://docs.databricks.com/api/azure/workspace/clusterpolicies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound
from databricks.sdk.service import compute
from databricks.sdk.service.iam import PermissionLevel

from azureml_databricks.admin import to_run
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file.deployment import Deployment, Policy
from azureml_databricks.admin.objects import definition as definitions
from azureml_databricks.admin.objects import pointing
from azureml_databricks.admin.objects.access import RIGHT, PermissionList
from azureml_databricks.admin.objects.changes import Change, Difference, Kept, differences
from azureml_databricks.admin.objects.definition import Definition
from azureml_databricks.admin.objects.inventory import Inventory
from azureml_databricks.admin.objects.record import Record, policy_called
from azureml_databricks.admin.objects.references import References
from azureml_databricks.admin.objects.under_policy import UnderPolicy
from azureml_databricks.admin.services import databricks
from azureml_databricks.admin.services.databricks import telling

KIND = "policy"
# What a policy is of use without; no documentation says that a policy may have it.
_DISPENSABLE = (definitions.DEPENDENCY_MODE,)
_RIGHT = "the admin role of the workspace"
# At a description's end: what the release's files are, where only admins write.
_SEAL = re.compile(r" \(files ([0-9a-f]{32})\)$")


@dataclass(frozen=True)
class Wanted:
    """A policy as it is to be.

    Attributes:
        name: what users pick it by.
        description: what they read about it.
        family: the ID of the family that it starts from, None for none.
        definition: all of it; with a family, what goes on top of that.
    """

    name: str
    description: str
    family: str | None
    definition: Definition

    def without(self, paths: Collection[str]) -> Wanted:
        """Return it without some paths of its definition."""
        kept = {path: rule for path, rule in self.definition.items() if path not in paths}
        return replace(self, definition=kept)

    def as_it_is_spelt(self, found: Definition) -> Wanted:
        """Return it with the names for access modes that a policy has, where they mean the same.

        A cluster that has the older name would not be as its policy says, and could not start.
        """
        same = {
            path: found[path]
            for path, rule in self.definition.items()
            if path in found and definitions.of_today(found[path]) == definitions.of_today(rule)
        }
        return replace(self, definition={**self.definition, **same})

    def sealed(self, seal: str) -> Wanted:
        """Return it with the digest of the release's files in its description."""
        return replace(self, description=f"{self.description} (files {seal})") if seal else self

    def as_text(self) -> str:
        """Return the definition as a text."""
        return json.dumps(self.definition, indent=2, ensure_ascii=False)

    def as_arguments(self) -> dict[str, Any]:
        """Return what the API takes, and Terraform's `databricks_cluster_policy`."""
        named = {"name": self.name, "description": self.description}
        if not self.family:
            return {**named, "definition": self.as_text()}
        return {
            **named,
            "policy_family_id": self.family,
            "policy_family_definition_overrides": self.as_text(),
        }


def wanted(
    deployment: Deployment, policy: Policy, script: str, client: WorkspaceClient | None = None
) -> Wanted:
    """Return a policy as a deployment wants it.

    Args:
        deployment: what the file says.
        policy: which of its policies.
        script: the init script's path.
        client: of the Databricks workspace, which has the families; None to log in if there is need.

    Raises:
        AdminError: what it starts from is not there, or wants something else than we need.
    """
    if policy.family:
        base = _family(client or databricks.connect(deployment.databricks)[0], policy.family)
        definition = definitions.ours(deployment, policy, script, base)
        definitions.check_family(base, definition, policy)
    elif policy.definition:
        path = deployment.path.parent / policy.definition
        base = definitions.read(path)
        ours = definitions.ours(deployment, policy, script, base)
        definition = definitions.composed(base, ours, f"{path} (policy.definition)")
    else:
        definition = definitions.ours(deployment, policy, script, {})
    name = deployment.workspace.parts[2]
    description = policy.description or f"MLflow goes to the Azure Machine Learning workspace {name}."
    return Wanted(policy.name, description, policy.family, definition)


class ClusterPolicy:
    """One policy that is ours, or is to be.

    Attributes:
        asked: what the file says of it, None where the file has no such policy any more.
        found: as it is, None where it is not there.
        id: empty where it is not there.
        name: as it is, empty where it is not there.
        users: who may use it.
        under: the clusters and jobs under it.
        former: the IDs of those that were in its place and somebody has deleted.
        refused: the paths that the workspace takes in no policy, and that this one is without.
    """

    def __init__(
        self,
        inventory: Inventory,
        record: Record,
        listed: Sequence[compute.Policy],
        asked: Policy | None,
        recorded: str,
        found: compute.Policy | None,
    ) -> None:
        """Be it.

        Args:
            inventory: of the workspace.
            record: of what is ours.
            listed: all policies of the workspace.
            asked: what the file says of it, None for nothing.
            recorded: its name in the record, empty where it is not there.
            found: as it is, None where it is not there.
        """
        client = inventory.client
        self._api = client.cluster_policies
        self._record = record
        self._all = listed
        self._recorded = recorded
        self.asked = asked
        self.found = found
        self.id = (self.found and self.found.policy_id) or ""
        self.name = (self.found and self.found.name) or ""
        self.users = PermissionList(
            client,
            "cluster-policies",
            lambda: self.id,
            PermissionLevel.CAN_USE,
            policy_called(asked.name if asked else recorded),
            policy_called(recorded) if recorded else "",
        )
        self.under = UnderPolicy(inventory, self.id)
        known = record.details(KIND, recorded) or {}
        there = {it.policy_id for it in listed}
        ids = dict.fromkeys([*known.get("former", []), known.get("id", "")])
        self.former = [it for it in ids if it and it not in there]
        refused = known.get("refused", [])
        # No record takes anything else out of the policy.
        self.refused = [path for path in _DISPENSABLE if path in refused]

    @property
    def is_deployed(self) -> bool:
        """Whether it is made and changed by us, and not by Terraform or the like."""
        return not self.asked or self.asked.deployed

    @property
    def former_name(self) -> str:
        """What the record calls it, where the file calls it otherwise; else empty."""
        return self._recorded if self.asked and self.asked.name != self._recorded else ""

    def seal(self, folder: str) -> str:
        """Return the digest that the policy has of a release's files, empty if it does not point at it."""
        found = _SEAL.search((self.found and self.found.description) or "")
        return found[1] if found and self.points_at(folder) else ""

    def points_at(self, path: str) -> bool:
        """Return whether a path is in the definition."""
        return pointing.points_at(self.found and self.found.definition, path)

    def releases(self, location: str) -> list[str]:
        """Return the names of the releases in a location that its definition names."""
        of_release = re.compile(rf"{re.escape(location)}/([0-9a-f]{{12}})/")
        return [it for text in pointing.texts(self.definition) for it in of_release.findall(text)]

    @property
    def definition(self) -> Definition:
        """All that it says, its family's rules included."""
        return dict(json.loads((self.found and self.found.definition) or "{}"))

    def fixed(self, path: str) -> Any:
        """Return to which value it fixes a path, None where it fixes it to none."""
        return (self.definition.get(path) or {}).get("value")

    def changes(
        self, wanted: Wanted, seal: Callable[[], str] = str, *, is_new: bool = False
    ) -> Iterator[Change]:
        """Yield what makes the policy as it is to be.

        Args:
            wanted: as it is to be.
            seal: returns the digest of the release's files, once they are there.
            is_new: whether they are uploaded before.

        Raises:
            AdminError: there is another one of that name.
        """
        named_so = next((policy for policy in self._all if policy.name == wanted.name), None)
        if named_so and named_so.policy_id != self.id:
            location = pointing.deployment_at(named_so.as_dict())
            if location == self._record.location:
                raise AdminError(
                    f"policy {wanted.name!r} has its init script in {location}, and the record there does "
                    f"not know it: `{to_run.ours('deploy --adopt')}` takes it back"
                )
            whose = f", of the deployment in {location}" if location else ", which is not ours"
            raise AdminError(
                f"there is a policy {wanted.name!r} already{whose} (made by "
                f"{named_so.creator_user_name}): choose another name (policy.name)"
            )
        if self.found:
            wanted = wanted.as_it_is_spelt(_own_definition(self.found))
        different = tuple(_different(self.found, wanted.without(self.refused)))
        if not self.found:
            yield Change("create", KIND, wanted.name, partial(self._create, wanted, seal), different)
        elif different or is_new or not _known_id(self._record, self._recorded):
            yield Change(
                "update", KIND, wanted.name, partial(self._edit, wanted, self.found, seal), different
            )

    def missing(self, wanted: Wanted) -> list[Difference]:
        """Return what a policy that is kept elsewhere does not say and is to say; it may say more."""
        own = _own_definition(self.found) if self.found else {}
        to_be = wanted.as_it_is_spelt(own).definition
        return differences({path: rule for path, rule in own.items() if path in to_be}, to_be)

    def removals(self, references: References) -> Iterator[Change | Kept]:
        """Yield what deletes the policy; one that is in use or has nothing of ours in it stays."""
        if not self._recorded:
            return
        if users := references.to(self.id) if self.id else "":
            # What it points at is needed, too.
            references.count(self.id)
            yield Kept(KIND, self._recorded, f"under it there is {users}")
            return
        if not self.found and any(_is_recorded(self._record, it, self._recorded) for it in self._all):
            yield Kept(KIND, self._recorded, f"nothing in it points at {self._record.location}")
        else:
            yield Change("delete", KIND, self._recorded, self._delete)

    def _create(self, wanted: Wanted, seal: Callable[[], str]) -> dict[str, Any]:
        def create(it: Wanted) -> None:
            self.id = self._api.create(**it.as_arguments()).policy_id or ""

        with telling(f"policy {wanted.name} cannot be made", _RIGHT):
            self._without_what_is_refused(create, wanted.sealed(seal()))
        return self._details(wanted)

    def _edit(self, wanted: Wanted, found: compute.Policy, seal: Callable[[], str]) -> dict[str, Any]:
        def edit(it: Wanted) -> None:
            # What we leave out would be gone.
            self._api.edit(
                self.id,
                libraries=found.libraries or None,
                max_clusters_per_user=found.max_clusters_per_user,
                **it.as_arguments(),
            )

        with telling(f"policy {wanted.name} cannot be changed", _RIGHT):
            self._without_what_is_refused(edit, wanted.sealed(seal()))
        if self._recorded != wanted.name:
            self._record.rename({(KIND, self._recorded): (KIND, wanted.name)})
            self.users.rename(self._record)
            self._recorded = wanted.name
        return self._details(wanted)

    def _details(self, wanted: Wanted) -> dict[str, Any]:
        before = (self._record.details(KIND, wanted.name) or {}).get("refused", [])
        return {
            "id": self.id,
            **({"refused": self.refused} if self.refused or before else {}),
            **({"former": self.former} if self.former else {}),
        }

    def _without_what_is_refused(self, write: Callable[[Wanted], None], wanted: Wanted) -> None:
        """Write the policy; if the workspace does not know a path that we can do without, without that."""
        try:
            write(wanted)
            self.refused = []
        except BadRequest as error:
            refused = [path for path in _DISPENSABLE if path in wanted.definition and path in str(error)]
            if not refused:
                raise
            write(wanted.without(refused))
            self.refused = refused

    def _delete(self) -> None:
        if self.id:
            with telling("the policy cannot be deleted", _RIGHT):
                self._api.delete(self.id)
        # They went with it.
        self._record.forget(*((RIGHT, gone.name) for gone in self.users.removals(self._record, [])))


def listed(inventory: Inventory) -> list[compute.Policy]:
    """Return all policies of a workspace.

    Raises:
        AdminError: they cannot be listed.
    """
    with telling("policies cannot be listed", _RIGHT):
        return inventory.policies


def find(
    inventory: Inventory, record: Record, there: Sequence[compute.Policy], asked: Sequence[Policy]
) -> list[ClusterPolicy]:
    """Return the policies that the file asks for, in its order, and after them others of ours.

    Args:
        inventory: of the workspace.
        record: of what is ours.
        there: all policies of the workspace.
        asked: the policies of the file.
    """
    recorded = {name: name for name in record.names(KIND)}
    names = {it.name for it in asked}
    new = [it.name for it in asked if it.name not in recorded]
    gone = [name for name in recorded if name not in names]
    if len(new) == len(gone) == 1:
        # One policy that is not called so yet, and one that is not called so any more: it is renamed.
        recorded[new[0]] = recorded.pop(gone[0])
    others = [name for name in recorded if name not in names]
    pairs: list[tuple[Policy | None, str]] = [(it, recorded.get(it.name, "")) for it in asked]
    pairs += [(None, name) for name in others]
    free, made = list(there), list[ClusterPolicy]()
    for policy, name in pairs:
        found = _found(record, free, policy, name)
        made.append(ClusterPolicy(inventory, record, there, policy, name, found))
        free = [it for it in free if it is not found]
    return made


def _found(
    record: Record, there: Sequence[compute.Policy], asked: Policy | None, recorded: str
) -> compute.Policy | None:
    """Return the policy of the workspace that is one of ours.

    One that Terraform or the like has made is in no record: its script is in our location. Of several, it is
    the one of that name, else the first, since it may have another name there.
    """
    if ours := next((it for it in there if recorded and _is_ours(record, it, recorded)), None):
        return ours
    if not asked or asked.deployed:
        return None
    pointing_here = [it for it in there if _points_into(it, record.location)]
    return next((it for it in pointing_here if it.name == asked.name), next(iter(pointing_here), None))


def _is_ours(record: Record, policy: compute.Policy, name: str) -> bool:
    """Whether the record says so, and the policy itself, which only admins write, does too."""
    return _is_recorded(record, policy, name) and _points_into(policy, record.location)


def _points_into(policy: compute.Policy, location: str) -> bool:
    texts = pointing.texts([policy.definition, policy.policy_family_definition_overrides])
    return any(it.startswith(f"{location}/") for it in texts)


def _is_recorded(record: Record, policy: compute.Policy, name: str) -> bool:
    known = _known_id(record, name)
    return policy.policy_id == known or (not known and policy.name == name)


def _known_id(record: Record, name: str) -> str:
    """Return the ID of a policy, empty where it was interrupted while it was made."""
    return str((record.details(KIND, name) or {}).get("id", ""))


def _family(client: WorkspaceClient, id: str) -> Definition:
    with telling(f"policy family {id} cannot be read", _RIGHT):
        try:
            return dict(json.loads(client.policy_families.get(id).definition or "{}"))
        except NotFound:
            there = ", ".join(family.policy_family_id or "" for family in client.policy_families.list())
    raise AdminError(f"there is no policy family {id!r} (policy.family): there are {there}")


def _different(found: compute.Policy | None, wanted: Wanted) -> list[Difference]:
    is_to_be = {"name": wanted.name, "description": wanted.description, "family": wanted.family}
    if not found:
        return differences({}, {**is_to_be, **wanted.definition})
    description = _SEAL.sub("", found.description or "") or None
    is_now = {"name": found.name, "description": description, "family": found.policy_family_id}
    return differences({**is_now, **_own_definition(found)}, {**is_to_be, **wanted.definition})


def _own_definition(policy: compute.Policy) -> Definition:
    """Return what a policy says besides its family."""
    text = policy.policy_family_definition_overrides if policy.policy_family_id else policy.definition
    return dict(json.loads(text or "{}"))
