"""Runtime 19 in standard access mode, from the file to a notebook: what it restricts, what works."""

from __future__ import annotations

import json

import pytest
from databricks.sdk.errors import InvalidParameterValue
from databricks.sdk.service.compute import DependencyMode

from azureml_databricks.admin.bundle.archives import RUNTIMES
from tests.admin.conftest import LOCATION, Admin
from tests.emulated.databricks import started_cluster
from tests.emulated.databricks.cluster import UNPRIVILEGED

NODE_TYPE = "Standard_DS3_v2"
pytestmark = pytest.mark.skipif("19" not in RUNTIMES, reason="there is no bundle for 19 yet")


@pytest.fixture
def deployed_for_19(admin_with_secrets: Admin) -> Admin:
    admin = admin_with_secrets
    admin.write(clusters=f'runtimes = ["19"]\naccessMode = "standard"\nlocation = "{LOCATION}"')
    admin.run_or_fail("deploy", "--yes")
    return admin


def policy_id(admin: Admin) -> str:
    (policy,) = admin.databricks.cluster_client(admin.databricks.admin).cluster_policies.list()
    return str(policy.policy_id)


@pytest.mark.thorough  # a runtime's packages, which no other test of these needs, take most of a minute
def test_a_notebook_logs_to_azure_ml_though_the_script_sees_none_of_our_variables(
    deployed_for_19: Admin,
) -> None:
    admin = deployed_for_19
    cell = "import mlflow\nmlflow.log_metric('a', 1)\nmlflow.end_run()\nprint(mlflow.get_tracking_uri())"

    with started_cluster(
        admin.databricks, policy_id(admin), azure=admin.azure, node_type_id=NODE_TYPE
    ) as node:
        assert node.access_mode == "standard"
        said = [log.read_text() for log in node.path("/databricks/init_scripts").glob("*.stderr.log")]
        user = None if "other user" in node.cannot else UNPRIVILEGED
        notebook = node.run_notebook([cell], user=user)

    assert said == [""]
    assert admin.azure.workspace.tracking_uri in str(notebook.cells[0].outputs)
    assert json.loads(admin.run_or_fail("status", "--json").stdout)["unready"] == []


def test_what_would_be_refused_or_go_past_us_is_not_to_be_had_under_the_policy(
    deployed_for_19: Admin,
) -> None:
    of_policy = policy_id(deployed_for_19)
    for asked, said in (
        ({"spark_conf": {"spark.executorEnv.A": "b"}}, "spark.executorEnv.A is restricted"),
        ({"dependency_mode": DependencyMode.DEPENDENCY_MODE_ENVIRONMENTS}, "failed for dependency_mode"),
    ):
        with (
            pytest.raises(InvalidParameterValue, match=said),
            started_cluster(deployed_for_19.databricks, of_policy, node_type_id=NODE_TYPE, **asked),
        ):
            pass
