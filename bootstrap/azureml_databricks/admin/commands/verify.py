"""Proof on the admin's own workspace: a one-time run on a small new cluster under the policy.

https://docs.databricks.com/api/azure/workspace/jobs/submit
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import requests
from databricks.sdk.errors import BadRequest
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service import compute, jobs

from azureml_databricks.admin import progress, to_run
from azureml_databricks.admin.commands.site import Site
from azureml_databricks.admin.errors import AdminError, Problems
from azureml_databricks.admin.objects import demands, init_script_logs
from azureml_databricks.admin.objects.definition import spark_versions
from azureml_databricks.admin.objects.policy import ClusterPolicy
from azureml_databricks.admin.objects.release import KIND as RELEASE
from azureml_databricks.admin.objects.release import TASK
from azureml_databricks.admin.printable import last_lines
from azureml_databricks.admin.services.databricks import telling
from azureml_databricks.checkup.findings import Finding, Verdict

_REPORT = "azureml-databricks verify: "
_RIGHT = "CAN USE on the policy"
# Of an init script that could be read, and has failed.
_EXECUTED = compute.InitScriptExecutionDetailsInitScriptExecutionStatus.FAILED_EXECUTION.value


@dataclass(frozen=True)
class Proof:
    """What the doctor says of a cluster under a policy.

    Attributes:
        policy: its name.
        runtime: which, empty for the one that the policy presets.
        page: the run's address.
        findings: what was found.
    """

    policy: str
    runtime: str
    page: str
    findings: list[Finding]


@dataclass(frozen=True)
class _Run:
    """A run that has begun."""

    policy: str
    runtime: str
    id: int


def verify(
    site: Site,
    *,
    runtimes: Sequence[str],
    chosen: Mapping[str, Any],
    timeout_minutes: int,
    on_state: Callable[[str], None],
) -> list[Proof]:
    """Run the doctor on a cluster for each policy and runtime, at once; all are gone when this returns.

    Args:
        site: what is deployed.
        runtimes: which; none for the one that each policy presets.
        chosen: what clusters are to have, by path, besides what the policy demands.
        timeout_minutes: after which one is given up.
        on_state: called with a run's state and page when they change.

    Raises:
        AdminError: a cluster did not start, or a run did not end well; a line for each.
    """
    begun: list[_Run] = []
    problems, proofs = Problems(), list[Proof]()
    with init_script_logs.folder(site.storage) as logs, _cancelled_if_interrupted(site, begun):
        for policy, task in _tasks(site):
            for runtime in _runtimes(site, policy, runtimes):
                begun.append(_submitted(site, policy, runtime, task, chosen, logs, timeout_minutes))
        for run in begun:
            with problems, telling("the run cannot be followed", "CAN VIEW on it"):
                ended = _ended(site, run.id, on_state)
                output = site.client.jobs.get_run_output((ended.tasks or [])[0].run_id or 0)
                found = _findings(site, ended, output)
                proofs.append(Proof(run.policy, run.runtime, ended.run_page_url or "", found))
    problems.tell()
    return proofs


def _submitted(
    site: Site,
    policy: ClusterPolicy,
    runtime: str,
    task: str,
    chosen: Mapping[str, Any],
    logs: str,
    timeout_minutes: int,
) -> _Run:
    delivery = init_script_logs.delivered_to(logs, [*policy.definition, *chosen])
    submit = partial(_submit, site, policy, runtime, task, timeout_minutes)
    with telling("the run cannot be started", _RIGHT):
        try:
            return submit({**delivery, **chosen})
        except BadRequest as error:
            # Without logs it proves as much.
            if not delivery or init_script_logs.CONF not in str(error):
                raise
            return submit(chosen)


def _submit(
    site: Site,
    policy: ClusterPolicy,
    runtime: str,
    task: str,
    timeout_minutes: int,
    chosen: Mapping[str, Any],
) -> _Run:
    version = {"spark_version": spark_versions(runtime)[0]} if runtime else {}
    asked = demands.spec(
        policy.definition,
        {**version, **chosen},
        lambda: site.client.clusters.select_node_type(min_memory_gb=8),
    )
    fields = {**asked, "policy_id": policy.id, "apply_policy_default_values": True}
    submitted = site.client.jobs.submit(
        run_name="azureml-databricks verify",
        timeout_seconds=timeout_minutes * 60,
        tasks=[
            jobs.SubmitTask(
                task_key="verify",
                new_cluster=compute.ClusterSpec.from_dict(fields),
                spark_python_task=jobs.SparkPythonTask(python_file=task),
            )
        ],
    )
    return _Run(policy.name, runtime, submitted.run_id)


def _runtimes(site: Site, policy: ClusterPolicy, asked: Sequence[str]) -> Sequence[str]:
    """Return which runtimes to try under a policy: of those that are asked for, those that it has."""
    if not asked:
        return [""]
    named = [it.asked for it in site.policies if it.asked]
    every = {runtime for it in named for runtime in site.deployment.clusters_of(it).runtimes}
    if unknown := [it for it in asked if it not in every]:
        raise AdminError(f"--runtime is {unknown[0]}: the policies have {', '.join(sorted(every))}")
    own = site.deployment.clusters_of(policy.asked).runtimes if policy.asked else ()
    return [it for it in asked if it in own]


def _tasks(site: Site) -> list[tuple[ClusterPolicy, str]]:
    """Return our policies, each with what a run under it executes."""
    found = []
    for policy in site.policies:
        # In a record, or put there by Terraform with all else.
        names = [*site.record.names(RELEASE), *policy.releases(site.storage.location)]
        folders = (f"{site.storage.location}/{name}/" for name in names)
        if folder := next(filter(policy.points_at, folders), ""):
            found.append((policy, folder + TASK))
    if not found:
        raise AdminError(f"nothing is deployed yet: `{to_run.ours('deploy')}` comes first")
    return found


def _ended(site: Site, run_id: int, on_state: Callable[[str], None]) -> jobs.Run:
    for seconds in itertools.chain((1, 1, 2, 3, 5), itertools.repeat(10)):
        run = site.client.jobs.get_run(run_id)
        state = run.state and run.state.life_cycle_state
        on_state(f"{state.value.lower() if state else 'unknown'}: {run.run_page_url}")
        if run.end_time:
            return run
        time.sleep(seconds)
    raise AssertionError


@contextmanager
def _cancelled_if_interrupted(site: Site, begun: Iterable[_Run]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # With a run goes its cluster.
        for run in begun:
            with suppress(DatabricksError, requests.RequestException, TimeoutError):
                site.client.jobs.cancel_run(run.id)
        raise


def _findings(site: Site, run: jobs.Run, output: jobs.RunOutput) -> list[Finding]:
    line = next((line for line in (output.logs or "").splitlines() if line.startswith(_REPORT)), None)
    if line:
        return [_finding(it) for it in json.loads(line.removeprefix(_REPORT))["findings"]]
    state = run.state
    result = state and state.result_state
    said = output.error or (state and state.state_message) or "nothing more is known"
    page = f"see {run.run_page_url}"
    if result == jobs.RunResultState.TIMEDOUT:
        raise AdminError(f"the run was not done in time: {page}, or give --timeout more minutes")
    if state and state.life_cycle_state == jobs.RunLifeCycleState.INTERNAL_ERROR:
        found = next((it.cluster_instance for it in run.tasks or [] if it.cluster_instance), None)
        cluster_id = (found and found.cluster_id) or ""
        events = "".join(f"; {it}" for it in _of_init_scripts(site, cluster_id))
        lines = _as_lines(_said_by_script(site, cluster_id)) if _EXECUTED in events else ""
        raise AdminError(f"the cluster did not start: {said.splitlines()[0]}{events} ({page}){lines}")
    last = _as_lines(last_lines(output.logs or ""))
    raise AdminError(f"the run failed: {said.splitlines()[0]} ({page}){last}")


def _as_lines(lines: Iterable[str]) -> str:
    return "".join(f"\n  {it}" for it in lines)


def _said_by_script(site: Site, cluster_id: str) -> list[str]:
    """Return the last lines of our init script, none where they cannot be read; no other's."""
    progress.tell("waiting for what the init script has written")
    with suppress(AdminError, DatabricksError, requests.RequestException, TimeoutError):
        return init_script_logs.last_lines(site.client, cluster_id)
    return []


def _of_init_scripts(site: Site, cluster_id: str) -> Iterator[str]:
    """Yield what the cluster's events say of init scripts that failed.

    https://docs.databricks.com/api/azure/workspace/clusters/events
    """
    kinds = [compute.EventType.INIT_SCRIPTS_FINISHED]
    with suppress(DatabricksError, requests.RequestException, TimeoutError):
        for event in site.client.clusters.events(cluster_id, event_types=kinds):
            scripts = event.details and event.details.init_scripts
            for it in [*((scripts and scripts.cluster) or []), *((scripts and scripts.global_) or [])]:
                status = it.status.value if it.status else ""
                if status not in ("SUCCEEDED", "SKIPPED"):
                    said = f": {it.error_message}" if it.error_message else ""
                    yield f"event INIT_SCRIPTS_FINISHED: {status}{said}"


def _finding(fields: dict[str, Any]) -> Finding:
    return Finding(**{**fields, "verdict": Verdict(fields["verdict"])})
