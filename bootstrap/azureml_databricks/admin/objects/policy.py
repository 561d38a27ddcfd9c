"""The cluster policy in the workspace: https://docs.databricks.com/api/azure/workspace/clusterpolicies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound
from databricks.sdk.service import compute
from databricks.sdk.service.iam import PermissionLevel

from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file.deployment import Deployment
from azureml_databricks.admin.objects import definition as definitions
from azureml_databricks.admin.objects import pointing
from azureml_databricks.admin.objects.access import RIGHT, PermissionList
from azureml_databricks.admin.objects.changes import Change, Difference, Kept, differences
from azureml_databricks.admin.objects.definition import Definition
from azureml_databricks.admin.objects.record import Record
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


def wanted(deployment: Deployment, script: str, client: WorkspaceClient | None = None) -> Wanted:
    """Return the policy that a deployment wants.

    Args:
        deployment: what the file says.
        script: the init script's path.
        client: of the Databricks workspace, which has the families; None to log in if there is need.

    Raises:
        AdminError: what it starts from is not there, or wants something else than we need.
    """
    policy = deployment.policy
    if policy.family:
        base = _family(client or databricks.connect(deployment.databricks)[0], policy.family)
        definition = definitions.ours(deployment, script, base)
        definitions.composed(base, definition, f"policy family {policy.family}")
    elif policy.definition:
        path = deployment.path.parent / policy.definition
        base = definitions.read(path, deployment.path.parent)
        ours = definitions.ours(deployment, script, base)
        definition = definitions.composed(base, ours, f"{path} (policy.definition)")
    else:
        definition = definitions.ours(deployment, script, {})
    name = deployment.workspace.parts[2]
    description = policy.description or f"MLflow goes to the Azure Machine Learning workspace {name}."
    return Wanted(policy.name, description, policy.family, definition)


class ClusterPolicy:
    """The policy that is ours, if it is there.

    Attributes:
        found: as it is, None where it is not there.
        id: empty where it is not there.
        name: as it is, empty where it is not there.
        users: who may use it.
        refused: the paths that the workspace takes in no policy, and that this one is without.
    """

    def __init__(self, client: WorkspaceClient, record: Record) -> None:
        """Look for it."""
        self._api = client.cluster_policies
        self.users = PermissionList(
            client, "cluster-policies", lambda: self.id, PermissionLevel.CAN_USE, "the policy"
        )
        self._record = record
        with telling("policies cannot be listed", _RIGHT):
            self._all = list(self._api.list())
        self.found = next((policy for policy in self._all if self._is_ours(policy)), None)
        self.id = (self.found and self.found.policy_id) or ""
        # Not so where it was interrupted while it was made.
        self._is_known = self.id in (self._known_id(name) for name in record.names(KIND))
        self.name = (self.found and self.found.name) or ""
        refused = (record.details(KIND, self.name) or {}).get("refused", [])
        # No record takes anything else out of the policy.
        self.refused = [path for path in _DISPENSABLE if path in refused]

    def seal(self, folder: str) -> str:
        """Return the digest that the policy has of a release's files, empty if it does not point at it."""
        found = _SEAL.search((self.found and self.found.description) or "")
        return found[1] if found and self.points_at(folder) else ""

    def points_at(self, path: str) -> bool:
        """Return whether a path is in the definition."""
        return pointing.points_at(self.found and self.found.definition, path)

    def fixed(self, path: str) -> Any:
        """Return to which value it fixes a path, None where it fixes it to none."""
        definition = json.loads((self.found and self.found.definition) or "{}")
        return (definition.get(path) or {}).get("value")

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
            raise AdminError(
                f"there is a policy {wanted.name!r} already, which is not ours (made by "
                f"{named_so.creator_user_name}): choose another name (policy.name), or delete it"
            )
        if self.found:
            wanted = wanted.as_it_is_spelt(_own_definition(self.found))
        different = tuple(_different(self.found, wanted.without(self.refused)))
        if not self.found:
            yield Change("create", KIND, wanted.name, partial(self._create, wanted, seal), different)
        elif different or is_new or not self._is_known:
            yield Change(
                "update", KIND, wanted.name, partial(self._edit, wanted, self.found, seal), different
            )

    def removals(self) -> Iterator[Change | Kept]:
        """Yield what deletes the policy; one that has nothing of ours in it stays."""
        for name in self._record.names(KIND):
            if any(self._is_recorded(policy, name) and not self._is_ours(policy) for policy in self._all):
                yield Kept(KIND, name, f"nothing in it points at {self._record.location}")
            else:
                yield Change("delete", KIND, name, self._delete)

    def _is_ours(self, policy: compute.Policy) -> bool:
        """Whether the record says so, and the policy itself, which only admins write, does too."""
        is_recorded = any(self._is_recorded(policy, name) for name in self._record.names(KIND))
        texts = pointing.texts([policy.definition, policy.policy_family_definition_overrides])
        return is_recorded and any(text.startswith(f"{self._record.location}/") for text in texts)

    def _is_recorded(self, policy: compute.Policy, name: str) -> bool:
        known = self._known_id(name)
        return policy.policy_id == known or (not known and policy.name == name)

    def _known_id(self, name: str) -> str:
        return str((self._record.details(KIND, name) or {}).get("id", ""))

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
        if found.name != wanted.name:
            self._record.note(KIND, wanted.name, id=self.id)
            self._record.forget((KIND, found.name or ""))
        return self._details(wanted)

    def _details(self, wanted: Wanted) -> dict[str, Any]:
        before = (self._record.details(KIND, wanted.name) or {}).get("refused", [])
        return {"id": self.id, **({"refused": self.refused} if self.refused or before else {})}

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
