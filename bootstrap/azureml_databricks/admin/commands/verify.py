"""Proof on the admin's own workspace: a one-time run on a small new cluster under the policy.

https://docs.databricks.com/api/azure/workspace/jobs/submit
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from databricks.sdk.service import compute, jobs

from azureml_databricks.admin.commands.deploy import Site
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.objects.policy import ClusterPolicy
from azureml_databricks.admin.objects.release import KIND as RELEASE
from azureml_databricks.admin.objects.release import TASK
from azureml_databricks.admin.services.databricks import telling
from azureml_databricks.checkup.findings import Finding, Verdict

_REPORT = "azureml-databricks verify: "
_RIGHT = "CAN USE on the policy"
# https://learn.microsoft.com/azure/databricks/compute/configure#single-node-compute
SINGLE_NODE: dict[str, Any] = {
    "num_workers": 0,
    "spark_conf": {"spark.databricks.cluster.profile": "singleNode", "spark.master": "local[*]"},
    "custom_tags": {"ResourceClass": "SingleNode"},
}


def verify(
    site: Site, node_type: str | None, timeout_minutes: int, on_state: Callable[[str], None]
) -> list[Finding]:
    """Run the doctor on a cluster, which is gone when this returns.

    Args:
        site: what is deployed.
        node_type: the cluster's; None for the smallest.
        timeout_minutes: after which it is given up.
        on_state: called with the run's state and page when they change.

    Raises:
        AdminError: the cluster did not start, or the run did not end well.
    """
    client, (policy, task) = site.client, _task(site)
    with telling("the run cannot be started", _RIGHT):
        cluster = compute.ClusterSpec(
            policy_id=policy.id,
            apply_policy_default_values=True,
            node_type_id=node_type or client.clusters.select_node_type(min_memory_gb=8),
            **SINGLE_NODE,
        )
        python_task = jobs.SparkPythonTask(python_file=task)
        submitted = client.jobs.submit(
            run_name="azureml-databricks verify",
            timeout_seconds=timeout_minutes * 60,
            tasks=[jobs.SubmitTask(task_key="verify", new_cluster=cluster, spark_python_task=python_task)],
        )
    run_id = submitted.run_id
    with telling("the run cannot be followed", "CAN VIEW on it"), _cancelled_if_interrupted(site, run_id):
        run = _ended(site, run_id, on_state)
        output = client.jobs.get_run_output((run.tasks or [])[0].run_id or 0)
    return _findings(run, output)


def _task(site: Site) -> tuple[ClusterPolicy, str]:
    for policy, release in itertools.product(site.policies, site.record.names(RELEASE)):
        folder = f"{site.storage.location}/{release}/"
        if policy.points_at(folder):
            return policy, folder + TASK
    raise AdminError("nothing is deployed yet: `azureml-databricks deploy` comes first")


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
def _cancelled_if_interrupted(site: Site, run_id: int) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # With the run goes its cluster.
        site.client.jobs.cancel_run(run_id)
        raise


def _findings(run: jobs.Run, output: jobs.RunOutput) -> list[Finding]:
    line = next((line for line in (output.logs or "").splitlines() if line.startswith(_REPORT)), None)
    if line:
        return [_finding(it) for it in json.loads(line.removeprefix(_REPORT))["findings"]]
    state = run.state
    result = state and state.result_state
    said = output.error or (state and state.state_message) or "nothing more is known"
    if result == jobs.RunResultState.TIMEDOUT:
        raise AdminError(
            f"the run was not done in time: see {run.run_page_url}, or give --timeout more minutes"
        )
    if state and state.life_cycle_state == jobs.RunLifeCycleState.INTERNAL_ERROR:
        raise AdminError(f"the cluster did not start: {said.splitlines()[0]}")
    raise AdminError(f"the run failed: {said.splitlines()[0]} (see {run.run_page_url})")


def _finding(fields: dict[str, Any]) -> Finding:
    return Finding(**{**fields, "verdict": Verdict(fields["verdict"])})
