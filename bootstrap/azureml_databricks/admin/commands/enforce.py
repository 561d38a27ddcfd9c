"""Bringing clusters and jobs of an older version to their policy's, in as many steps as an admin wants."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from azureml_databricks.admin import to_run
from azureml_databricks.admin.commands.output import Output
from azureml_databricks.admin.commands.site import Site
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.objects import compliance
from azureml_databricks.admin.objects.compliance import Governed
from azureml_databricks.admin.objects.inventory import Inventory
from azureml_databricks.admin.objects.under_policy import UnderPolicy


@dataclass(frozen=True)
class Step:
    """Which of those that are behind are brought to the policy's.

    Attributes:
        kinds: `jobs`, `clusters` or `stopped` (clusters that do not run); nothing for all.
        names: names or IDs; nothing for all.
    """

    kinds: Collection[str] = ()
    names: Collection[str] = ()

    def takes(self, it: Governed) -> bool:
        """Return whether it is one of them."""
        kinds = {f"{it.kind}s", *(["stopped"] if it.state == "TERMINATED" else [])}
        is_asked = not self.kinds or bool(kinds & set(self.kinds))
        return is_asked and (not self.names or it.name in self.names or it.id in self.names)


@dataclass(frozen=True)
class Behind:
    """A cluster or a job that stays as it is, and why."""

    kind: str
    id: str
    name: str
    owner: str
    why: str


def enforce(site: Site, step: Step, output: Output, *, yes: bool) -> tuple[list[Governed], list[Behind]]:
    """Show what it does to whom, ask, and do it; return who is enforced, and who stays behind.

    Args:
        site: where.
        step: which of them.
        output: where to print, and to ask.
        yes: whether not to ask.

    Raises:
        AdminError: a name is of none that is behind, or Databricks refuses to tell.
    """
    governed = _governed(site)
    if unknown := [name for name in step.names if not any(name in (it.name, it.id) for it in governed)]:
        raise AdminError(
            f"no cluster or job under the policy is called {unknown[0]!r}, or has that ID: "
            f"`{to_run.ours('status --all')}` lists them"
        )
    behind = [it for it in governed if not it.complies]
    able = [it for it in behind if it.enforceable and step.takes(it)]
    staying = [_behind(it, "not in this step") for it in behind if it.enforceable and not step.takes(it)]
    staying += [_behind(it, f"is {it.state}, so not now") for it in behind if not it.enforceable]
    for it in able:
        output.line("")
        what = f"{it.kind} {it.name} ({it.id}, of {it.owner}) {'restarts' if it.restarts else 'changes'}"
        output.line(what, "yellow" if it.restarts else "bold")
        for difference in compliance.preview(site.client, it):
            output.difference(difference)
    if able:
        output.confirm("Enforce the policy on them?", yes=yes)
        with site.lock.held():
            refused = [told for it in able if (told := _enforced(site, it, output))]
        staying += refused
        done = {(it.kind, it.id) for it in refused}
        able = [it for it in able if (it.kind, it.id) not in done]
    else:
        output.line("No cluster or job to bring to the policy's.")
    if staying:
        output.line("")
        output.line(f"Still behind: {len(staying)}", "bold")
    for left in staying:
        output.line(f"  {left.kind} {left.name} ({left.id}, of {left.owner}) {left.why}")
    return able, staying


def _governed(site: Site) -> list[Governed]:
    # Asked anew: the policies have changed since.
    inventory = Inventory(site.client)
    under = [(policy, UnderPolicy(inventory, policy.id)) for policy in site.policies]
    return [it for policy, its in under for it in compliance.governed(policy, its)]


def _enforced(site: Site, it: Governed, output: Output) -> Behind | None:
    """Enforce one, and return it if Databricks refuses: the others are enforced all the same."""
    site.lock.check()
    try:
        compliance.enforce(site.client, it)
    except AdminError as error:
        return _behind(it, str(error))
    output.line(f"{'restarted' if it.restarts else 'changed'} {it.kind} {it.name}")
    return None


def _behind(it: Governed, why: str) -> Behind:
    return Behind(it.kind, it.id, it.name, it.owner, why)
