"""The emulated workspace answers databricks-sdk as Databricks does."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    AlreadyExists,
    BadRequest,
    InternalError,
    InvalidParameterValue,
    NotFound,
    OperationFailed,
    PermissionDenied,
    ResourceAlreadyExists,
    ResourceDoesNotExist,
    Unauthenticated,
)
from databricks.sdk.service.catalog import (
    ArtifactMatcher,
    ArtifactType,
    AzureManagedIdentity,
    CredentialPurpose,
    MatchType,
    PermissionsChange,
    Privilege,
)
from databricks.sdk.service.compute import (
    ClusterPolicyAccessControlRequest,
    ClusterPolicyPermissionLevel,
    ClusterSpec,
    DataSecurityMode,
    DependencyMode,
    InitScriptInfo,
    ListClustersFilterBy,
    State,
    VolumesStorageInfo,
    WorkspaceStorageInfo,
)
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.jobs import JobCluster, RunResultState, SparkPythonTask, SubmitTask, Task
from databricks.sdk.service.pipelines import PipelineCluster
from databricks.sdk.service.workspace import AclPermission, ImportFormat, ObjectType, ScopeBackendType

from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import build_bundle, service_principal
from tests.emulated.databricks import Caller, EmulatedDatabricks, access_modes
from tests.emulated.databricks.cluster import UNPRIVILEGED, LaunchError, started_cluster

VOLUME = "prod.mlops.azureml"
FOLDER = "/Volumes/prod/mlops/azureml"
RUNTIME = "15.4.x-scala2.12"
NODE_TYPE = "Standard_DS3_v2"
STANDARD_19: dict[str, Any] = {
    "spark_version": "19.x-scala2.13",
    "data_security_mode": DataSecurityMode.DATA_SECURITY_MODE_STANDARD,
}
CAN_USE = ClusterPolicyPermissionLevel.CAN_USE


@pytest.fixture
def admin(databricks: EmulatedDatabricks) -> WorkspaceClient:
    return databricks.client()


@pytest.fixture
def ann(databricks: EmulatedDatabricks) -> Caller:
    """Somebody who is no admin."""
    return databricks.user("ann@contoso.com", groups=["data scientists"])


class TestCallers:
    def test_a_token_is_somebodys(self, databricks: EmulatedDatabricks, ann: Caller) -> None:
        assert databricks.client().current_user.me().user_name == "admin@contoso.com"
        assert databricks.client(ann).current_user.me().user_name == "ann@contoso.com"

    def test_without_a_token_or_with_a_wrong_one_nobody_is_let_in(
        self, databricks: EmulatedDatabricks
    ) -> None:
        wrong = WorkspaceClient(host=databricks.host, token="dapi0", auth_type="pat")
        basic = WorkspaceClient(host=databricks.host, username="ann", password="x", auth_type="basic")

        with pytest.raises(PermissionDenied, match="Invalid access token"):
            wrong.current_user.me()
        with pytest.raises(Unauthenticated, match="Credential was not sent"):
            basic.current_user.me()

    def test_the_environment_is_all_that_a_process_needs(self, databricks: EmulatedDatabricks) -> None:
        code = (
            "from databricks.sdk import WorkspaceClient; print(WorkspaceClient().current_user.me().user_name)"
        )

        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"HOME": "/nowhere", **databricks.environment},
            capture_output=True,
            text=True,
            check=True,
        )

        assert (done.stdout, done.stderr) == ("admin@contoso.com\n", "")

    def test_an_admin_may_do_what_a_test_does_not_take_away(self, databricks: EmulatedDatabricks) -> None:
        client = databricks.client(databricks.another_admin("eve@contoso.com", lacks=["manage allowlist"]))

        client.cluster_policies.create(name="mine", definition="{}")
        with pytest.raises(PermissionDenied, match="User does not have MANAGE ALLOWLIST on Metastore"):
            client.artifact_allowlists.get(ArtifactType.INIT_SCRIPT)

    @pytest.mark.parametrize(
        "call",
        [
            lambda it: it.cluster_policies.create(name="x", definition="{}"),
            lambda it: it.cluster_policies.update_permissions("0"),
            lambda it: it.artifact_allowlists.update(ArtifactType.INIT_SCRIPT, []),
            lambda it: list(it.policy_compliance_for_clusters.list_compliance("0")),
            lambda it: it.policy_compliance_for_jobs.enforce_compliance(1),
            lambda it: it.credentials.create_credential("x"),
            lambda it: it.grants.update("volume", VOLUME, changes=[]),
            lambda it: it.files.upload(f"{FOLDER}/x", io.BytesIO(b"")),
            lambda it: it.secrets.put_secret("azureml", "x", string_value="y"),
            lambda it: it.clusters.create(spark_version=RUNTIME, node_type_id=NODE_TYPE, num_workers=1),
        ],
    )
    def test_a_user_may_not_do_what_takes_an_admin(
        self, databricks: EmulatedDatabricks, ann: Caller, call: Callable[[WorkspaceClient], Any]
    ) -> None:
        databricks.make_volume(VOLUME)
        databricks.client().secrets.create_scope("azureml")

        with pytest.raises(PermissionDenied):
            call(databricks.client(ann))


class TestVolumes:
    def test_files_come_back_and_folders_are_listed(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient
    ) -> None:
        databricks.make_volume(VOLUME)
        content = bytes(range(256)) * 1000
        assert list(admin.files.list_directory_contents(FOLDER)) == []

        admin.files.upload(f"{FOLDER}/one/two/bundle.tar.gz", io.BytesIO(content))

        assert [entry.name for entry in admin.files.list_directory_contents(FOLDER)] == ["one"]
        file = admin.files.download(f"{FOLDER}/one/two/bundle.tar.gz").contents
        assert file
        assert file.read() == content

    def test_what_is_not_there_and_what_is_in_the_way_is_told_by_the_services_codes(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient
    ) -> None:
        databricks.make_volume(VOLUME)
        admin.files.upload(f"{FOLDER}/a/b", io.BytesIO(b"1"))

        with pytest.raises(NotFound, match="The file being accessed is not found"):
            admin.files.download(f"{FOLDER}/nowhere")
        with pytest.raises(NotFound, match="The directory being accessed is not found"):
            list(admin.files.list_directory_contents(f"{FOLDER}/nowhere"))
        with pytest.raises(AlreadyExists):
            admin.files.upload(f"{FOLDER}/a/b", io.BytesIO(b"2"))
        with pytest.raises(BadRequest, match="not empty"):
            admin.files.delete_directory(f"{FOLDER}/a")
        with pytest.raises(NotFound, match=r"Volume 'prod\.mlops\.other' does not exist"):
            admin.files.upload("/Volumes/prod/mlops/other/x", io.BytesIO(b""))
        admin.files.upload(f"{FOLDER}/a/b", io.BytesIO(b"2"), overwrite=True)
        admin.files.delete(f"{FOLDER}/a/b")
        admin.files.delete_directory(f"{FOLDER}/a")

    def test_a_grant_lets_a_user_read(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient, ann: Caller
    ) -> None:
        databricks.make_volume(VOLUME)
        admin.files.upload(f"{FOLDER}/x", io.BytesIO(b"1"))
        client = databricks.client(ann)
        with pytest.raises(PermissionDenied, match=r"READ VOLUME on Volume 'prod\.mlops\.azureml'"):
            client.files.download(f"{FOLDER}/x")

        change = PermissionsChange(add=[Privilege.READ_VOLUME], principal="data scientists")
        admin.grants.update("volume", VOLUME, changes=[change])

        assert client.files.download(f"{FOLDER}/x").contents
        with pytest.raises(PermissionDenied, match="WRITE VOLUME"):
            client.files.upload(f"{FOLDER}/y", io.BytesIO(b""))

    def test_a_volume_is_of_no_use_without_its_catalog(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient, ann: Caller
    ) -> None:
        databricks.make_volume(VOLUME, usable_by=[])
        change = PermissionsChange(add=[Privilege.READ_VOLUME], principal=ann.user_name)
        admin.grants.update("volume", VOLUME, changes=[change])

        with pytest.raises(PermissionDenied, match="USE CATALOG on Catalog 'prod'"):
            list(databricks.client(ann).files.list_directory_contents(FOLDER))

    def test_a_grant_needs_somebody_and_something(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient
    ) -> None:
        databricks.make_volume(VOLUME)
        change = PermissionsChange(add=[Privilege.READ_VOLUME], principal="nobody")

        with pytest.raises(NotFound, match="Could not find principal with name nobody"):
            admin.grants.update("volume", VOLUME, changes=[change])
        change.principal = "users"  # a group of this workspace, of which the metastore does not know
        with pytest.raises(NotFound, match="Could not find principal with name users"):
            admin.grants.update("volume", VOLUME, changes=[change])
        with pytest.raises(NotFound, match="does not exist"):
            admin.grants.get("volume", "prod.mlops.other")


class TestAllowlist:
    def test_it_is_replaced_as_a_whole(self, admin: WorkspaceClient) -> None:
        def matcher(path: str) -> ArtifactMatcher:
            return ArtifactMatcher(path, MatchType.PREFIX_MATCH)

        admin.artifact_allowlists.update(
            ArtifactType.INIT_SCRIPT, [matcher("/Volumes/a"), matcher("/Volumes/b")]
        )
        admin.artifact_allowlists.update(ArtifactType.INIT_SCRIPT, [matcher("/Volumes/c")])

        assert admin.artifact_allowlists.get(ArtifactType.INIT_SCRIPT).artifact_matchers == [
            matcher("/Volumes/c")
        ]
        assert not admin.artifact_allowlists.get(ArtifactType.LIBRARY_JAR).artifact_matchers


class TestSecrets:
    def test_a_scope_is_its_makers_and_a_value_is_never_told(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient
    ) -> None:
        admin.secrets.create_scope("azureml")
        admin.secrets.put_secret("azureml", "clientSecret", string_value="s3cr3t")

        assert [(it.principal, it.permission) for it in admin.secrets.list_acls("azureml")] == [
            ("admin@contoso.com", AclPermission.MANAGE)
        ]
        assert [it.key for it in admin.secrets.list_secrets("azureml")] == ["clientSecret"]
        assert databricks.vault.value("azureml", "clientSecret") == "s3cr3t"
        assert "s3cr3t" not in databricks.recorded()

    def test_an_acl_lets_a_user_read(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient, ann: Caller
    ) -> None:
        admin.secrets.create_scope("azureml")
        client = databricks.client(ann)
        with pytest.raises(PermissionDenied, match="does not have READ permission on scope azureml"):
            client.secrets.list_secrets("azureml")

        admin.secrets.put_acl("azureml", "users", AclPermission.READ)

        assert list(client.secrets.list_secrets("azureml")) == []
        with pytest.raises(PermissionDenied, match="does not have WRITE permission on scope azureml"):
            client.secrets.delete_secret("azureml", "clientId")

    def test_what_is_not_there_is_told(self, admin: WorkspaceClient) -> None:
        with pytest.raises(ResourceDoesNotExist, match="Scope azureml does not exist!"):
            admin.secrets.list_secrets("azureml")
        admin.secrets.create_scope("azureml")
        with pytest.raises(ResourceAlreadyExists):
            admin.secrets.create_scope("azureml")
        with pytest.raises(ResourceDoesNotExist):
            admin.secrets.delete_secret("azureml", "clientId")
        with pytest.raises(InvalidParameterValue, match="Principal nobody does not exist"):
            admin.secrets.put_acl("azureml", "nobody", AclPermission.READ)

    def test_a_key_vaults_scope_is_read_only(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient
    ) -> None:
        databricks.vault.add_key_vault("kv", {"clientId": "1"})

        [scope] = admin.secrets.list_scopes()

        assert (scope.name, scope.backend_type) == ("kv", ScopeBackendType.AZURE_KEYVAULT)
        assert scope.keyvault_metadata
        assert [it.key for it in admin.secrets.list_secrets("kv")] == ["clientId"]
        with pytest.raises(BadRequest, match="Cannot write secrets to Azure KeyVault-backed scope"):
            admin.secrets.put_secret("kv", "clientId", string_value="2")


class TestPolicies:
    def test_an_edit_replaces_the_whole_policy(self, admin: WorkspaceClient) -> None:
        policy_id = admin.cluster_policies.create(name="ml", description="Ours", definition="{}").policy_id
        assert policy_id

        admin.cluster_policies.edit(policy_id, name="ml 2", definition='{"a": {"type": "unlimited"}}')

        policy = admin.cluster_policies.get(policy_id)
        assert (policy.name, policy.description) == ("ml 2", None)
        assert [it.name for it in admin.cluster_policies.list()] == ["ml 2"]
        admin.cluster_policies.delete(policy_id)
        with pytest.raises(ResourceDoesNotExist):
            admin.cluster_policies.get(policy_id)

    def test_a_policy_needs_a_name_of_its_own_and_a_definition(self, admin: WorkspaceClient) -> None:
        admin.cluster_policies.create(name="ml", definition="{}")

        with pytest.raises(ResourceAlreadyExists, match="Cluster Policy with name `ml` already exists"):
            admin.cluster_policies.create(name="ml", definition="{}")
        with pytest.raises(InvalidParameterValue, match="not valid JSON"):
            admin.cluster_policies.create(name="other", definition="{")
        with pytest.raises(InvalidParameterValue, match="must be set"):
            admin.cluster_policies.create(name="other")

    def test_a_malformed_definition_is_told_to_who_makes_a_cluster(self, admin: WorkspaceClient) -> None:
        policy = admin.cluster_policies.create(name="ml", definition='["a"]')

        with pytest.raises(InvalidParameterValue, match="malformed policy definition"):
            admin.clusters.create(
                spark_version=RUNTIME, node_type_id=NODE_TYPE, num_workers=1, policy_id=policy.policy_id
            )

    def test_a_family_is_inherited_and_overridden(self, admin: WorkspaceClient) -> None:
        overrides = {"autotermination_minutes": {"type": "fixed", "value": 60}}
        policy = admin.cluster_policies.create(
            name="mine",
            policy_family_id="shared-compute",
            policy_family_definition_overrides=json.dumps(overrides),
        )
        assert policy.policy_id

        definition = json.loads(admin.cluster_policies.get(policy.policy_id).definition or "")

        assert definition["autotermination_minutes"] == {"type": "fixed", "value": 60}
        assert definition["data_security_mode"]["value"] == "USER_ISOLATION"
        assert admin.policy_families.get("shared-compute").name == "Shared Compute"
        with pytest.raises(InvalidParameterValue, match="cannot be used with policy_family_id"):
            admin.cluster_policies.create(name="x", policy_family_id="shared-compute", definition="{}")

    def test_permissions_are_added_or_replaced(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient, ann: Caller
    ) -> None:
        policy_id = admin.cluster_policies.create(name="ml", definition="{}").policy_id
        assert policy_id
        client = databricks.client(ann)
        assert list(client.cluster_policies.list()) == []

        for group in ("users", "data scientists"):
            entry = ClusterPolicyAccessControlRequest(group_name=group, permission_level=CAN_USE)
            admin.cluster_policies.update_permissions(policy_id, access_control_list=[entry])

        assert self.groups(admin, policy_id) == ["users", "data scientists", "admins"]
        assert [it.name for it in client.cluster_policies.list()] == ["ml"]
        entry = ClusterPolicyAccessControlRequest(group_name="users", permission_level=CAN_USE)
        admin.cluster_policies.set_permissions(policy_id, access_control_list=[entry])
        assert self.groups(admin, policy_id) == ["users", "admins"]
        entry = ClusterPolicyAccessControlRequest(group_name="nobody", permission_level=CAN_USE)
        with pytest.raises(ResourceDoesNotExist, match=r"Principal: GroupName\(nobody\) does not exist"):
            admin.cluster_policies.update_permissions(policy_id, access_control_list=[entry])

    @staticmethod
    def groups(client: WorkspaceClient, policy_id: str) -> list[str | None]:
        entries = client.cluster_policies.get_permissions(policy_id).access_control_list
        return [entry.group_name for entry in entries or []]


class TestClusters:
    def test_a_policy_fixes_and_defaults_what_the_user_leaves_out(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient, ann: Caller
    ) -> None:
        definition = {
            "spark_version": {"type": "unlimited", "defaultValue": RUNTIME},
            "spark_conf.a.b": {"type": "fixed", "value": True, "hidden": True},
            "spark_env_vars.A": {"type": "fixed", "value": "1"},
            "init_scripts.0.workspace.destination": {"type": "fixed", "value": "/Shared/x.sh"},
            "azure_attributes.availability": {"type": "fixed", "value": "ON_DEMAND_AZURE"},
        }
        policy_id = policy(admin, definition, "users")

        made = databricks.client(ann).clusters.create(
            spark_version=None,  # type: ignore[arg-type]  # the policy has it
            node_type_id=NODE_TYPE,
            num_workers=1,
            policy_id=policy_id,
            apply_policy_default_values=True,
            spark_env_vars={"B": "2"},
        )

        cluster = made.result()
        assert cluster.state == State.RUNNING
        assert cluster.spark_version == RUNTIME
        assert cluster.spark_conf == {"a.b": "true"}
        assert cluster.spark_env_vars == {"A": "1", "B": "2"}
        assert cluster.azure_attributes
        assert cluster.init_scripts == [InitScriptInfo(workspace=WorkspaceStorageInfo("/Shared/x.sh"))]

    @pytest.mark.parametrize(
        ("rule", "said"),
        [
            ({"type": "fixed", "value": 5}, r'the value must be 5 \(is "1"\)'),
            ({"type": "forbidden"}, "the value must not be present"),
            ({"type": "allowlist", "values": [2, 3]}, r'the value must be one of 2, 3 \(is "1"\)'),
            ({"type": "blocklist", "values": [1]}, r'the value must not be one of 1 \(is "1"\)'),
            ({"type": "range", "minValue": 2}, r'the value must be at least 2 \(is "1"\)'),
            ({"type": "range", "maxValue": 0}, r'the value must be at most 0 \(is "1"\)'),
            ({"type": "regex", "pattern": "[2-9]"}, r'the value must match the pattern \[2-9\] \(is "1"\)'),
        ],
    )
    def test_a_policy_refuses(self, admin: WorkspaceClient, rule: dict[str, Any], said: str) -> None:
        policy_id = policy(admin, {"num_workers": rule})

        with pytest.raises(InvalidParameterValue, match=f"Validation failed for num_workers, {said}"):
            admin.clusters.create(
                spark_version=RUNTIME, node_type_id=NODE_TYPE, num_workers=1, policy_id=policy_id
            )

    def test_a_policy_is_for_those_who_may_use_it(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient, ann: Caller
    ) -> None:
        policy_id = policy(admin, {})

        with pytest.raises(PermissionDenied, match="is not authorized to use policy"):
            databricks.client(ann).clusters.create(
                spark_version=RUNTIME, node_type_id=NODE_TYPE, num_workers=1, policy_id=policy_id
            )

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"num_workers": None}, "Missing required field: size"),
            ({"num_workers": 0}, "NumWorkers could be 0 only for SingleNode clusters"),
            ({"num_workers": None, "is_single_node": True}, "only be used when kind is CLASSIC_PREVIEW"),
            ({"node_type_id": None}, "Missing required field: node_type_id or instance_pool_id"),
            (
                {
                    "data_security_mode": DataSecurityMode.USER_ISOLATION,
                    "spark_version": "15.4.x-cpu-ml-scala2.12",
                },
                "Standard access mode does not support 15.4.x-cpu-ml-scala2.12, an ML runtime",
            ),
            (
                {
                    "data_security_mode": DataSecurityMode.USER_ISOLATION,
                    "init_scripts": [InitScriptInfo(workspace=WorkspaceStorageInfo("/Shared/x.sh"))],
                },
                "Standard access mode does not support init scripts in workspace files: /Shared/x.sh",
            ),
            (
                {"init_scripts": [InitScriptInfo(volumes=VolumesStorageInfo(f"{FOLDER}/x.sh"))]},
                f"No isolation shared access mode does not support init scripts in volumes: {FOLDER}/x.sh",
            ),
            (
                {
                    "data_security_mode": DataSecurityMode.DATA_SECURITY_MODE_STANDARD,
                    "init_scripts": [InitScriptInfo(volumes=VolumesStorageInfo(f"{FOLDER}/x.sh"))],
                },
                f"PERMISSION_DENIED: '{FOLDER}/x.sh' is not in the artifact allowlist",
            ),
            *(
                (
                    {**STANDARD_19, "spark_conf": {key: "x"}},
                    f"Spark configuration {key} is restricted in standard access mode on 19.x-scala2.13",
                )
                for key in ("spark.executorEnv.TEAM", "spark.jars.packages", "spark.driver.extraJavaOptions")
            ),
            (
                {"dependency_mode": DependencyMode.DEPENDENCY_MODE_ENVIRONMENTS},
                "supported only in standard access mode on Databricks Runtime 19 and above, not on 15.4.x",
            ),
        ],
    )
    def test_what_does_not_go_together_is_refused(
        self, admin: WorkspaceClient, asked: dict[str, Any], said: str
    ) -> None:
        spec = {"spark_version": RUNTIME, "node_type_id": NODE_TYPE, "num_workers": 1, **asked}

        with pytest.raises(InvalidParameterValue, match=said):
            admin.clusters.create(**spec)

    def test_what_runtime_19_restricts_is_free_before_and_in_dedicated_mode(
        self, admin: WorkspaceClient
    ) -> None:
        conf = {"spark.executorEnv.TEAM": "x"}
        dedicated = {"data_security_mode": DataSecurityMode.DATA_SECURITY_MODE_DEDICATED}
        for spec in (
            {**STANDARD_19, "spark_version": "18.x-scala2.13", "spark_conf": conf},
            {**STANDARD_19, **dedicated, "spark_conf": conf},
            {**STANDARD_19, "spark_conf": {"spark.azureml.env.TEAM": "x"}},
        ):
            assert admin.clusters.create(node_type_id=NODE_TYPE, num_workers=1, **spec).cluster_id

    @pytest.mark.parametrize(
        ("asked", "mode"),
        [
            ({}, "environments"),
            ({"spark_env_vars": {"A": "b"}}, "cluster libraries"),
            ({"init_scripts": [{"volumes": {"destination": "/Volumes/a/b/c/x.sh"}}]}, "cluster libraries"),
            ({"dependency_mode": "DEPENDENCY_MODE_CLUSTER_LIBRARIES"}, "cluster libraries"),
            (
                {"dependency_mode": "DEPENDENCY_MODE_ENVIRONMENTS", "spark_env_vars": {"A": "b"}},
                "environments",
            ),
            ({"spark_version": "18.x-scala2.13"}, "cluster libraries"),
            ({"data_security_mode": "SINGLE_USER"}, "cluster libraries"),
        ],
    )
    def test_packages_come_from_an_environment_unless_the_cluster_brings_its_own(
        self, asked: dict[str, Any], mode: str
    ) -> None:
        of_today = {"spark_version": "19.x-scala2.13", "data_security_mode": "DATA_SECURITY_MODE_STANDARD"}

        assert access_modes.dependency_mode({**of_today, **asked}) == mode

    def test_they_are_listed_by_policy(self, admin: WorkspaceClient) -> None:
        policy_id = policy(admin, {})
        for of in (policy_id, None):
            admin.clusters.create(spark_version=RUNTIME, node_type_id=NODE_TYPE, num_workers=1, policy_id=of)

        listed = list(admin.clusters.list(filter_by=ListClustersFilterBy(policy_id=policy_id)))

        assert [it.policy_id for it in listed] == [policy_id]
        assert len(list(admin.clusters.list())) == 2


class TestCompliance:
    def test_a_cluster_of_an_older_version_is_brought_up_to_date(self, admin: WorkspaceClient) -> None:
        # Given a cluster that was made before the policy was changed
        policy_id = policy(admin, {"spark_env_vars.A": {"type": "fixed", "value": "1"}})
        cluster_id = admin.clusters.create(
            spark_version=RUNTIME, node_type_id=NODE_TYPE, num_workers=1, policy_id=policy_id
        ).cluster_id
        [before] = admin.policy_compliance_for_clusters.list_compliance(policy_id)
        assert before.is_compliant
        definition = {"spark_env_vars.A": {"type": "fixed", "value": "2"}}
        admin.cluster_policies.edit(policy_id, name="ml", definition=json.dumps(definition))

        # When its compliance is asked for, then enforced for show, then in earnest
        [found] = admin.policy_compliance_for_clusters.list_compliance(policy_id)
        assert found.violations == {"spark_env_vars.A": 'the value must be 2 (is "1")'}
        shown = admin.policy_compliance_for_clusters.enforce_compliance(cluster_id, validate_only=True)
        assert admin.clusters.get(cluster_id).spark_env_vars == {"A": "1"}
        done = admin.policy_compliance_for_clusters.enforce_compliance(cluster_id)

        # Then it has what the policy fixes, and was restarted
        assert shown.as_dict() == done.as_dict()
        assert done.as_dict()["changes"] == [
            {"field": "spark_env_vars.A", "previous_value": "1", "new_value": "2"}
        ]
        cluster = admin.clusters.get(cluster_id)
        assert cluster.spark_env_vars == {"A": "2"}
        assert cluster.last_restarted_time
        assert admin.policy_compliance_for_clusters.get_compliance(cluster_id).is_compliant

    def test_a_terminated_cluster_stays_terminated(self, admin: WorkspaceClient) -> None:
        policy_id = policy(admin, {})
        cluster_id = admin.clusters.create(
            spark_version=RUNTIME, node_type_id=NODE_TYPE, num_workers=1, policy_id=policy_id
        ).cluster_id
        admin.clusters.delete(cluster_id)
        definition = {"spark_env_vars.A": {"type": "fixed", "value": "2"}}
        admin.cluster_policies.edit(policy_id, name="ml", definition=json.dumps(definition))

        admin.policy_compliance_for_clusters.enforce_compliance(cluster_id)

        cluster = admin.clusters.get(cluster_id)
        assert (cluster.state, cluster.spark_env_vars) == (State.TERMINATED, {"A": "2"})

    def test_a_job_is_brought_up_to_date(self, admin: WorkspaceClient) -> None:
        policy_id = policy(admin, {"spark_env_vars.A": {"type": "fixed", "value": "1"}})
        spec = ClusterSpec(spark_version=RUNTIME, node_type_id=NODE_TYPE, num_workers=1, policy_id=policy_id)
        job_id = admin.jobs.create(
            name="nightly",
            job_clusters=[JobCluster("main", spec)],
            tasks=[Task("train", job_cluster_key="main", spark_python_task=SparkPythonTask("/x.py"))],
        ).job_id
        assert job_id
        definition = {"spark_env_vars.A": {"type": "fixed", "value": "2"}}
        admin.cluster_policies.edit(policy_id, name="ml", definition=json.dumps(definition))

        [listed] = admin.jobs.list()
        assert listed.settings
        assert not listed.settings.job_clusters  # nobody asked for them
        [found] = admin.policy_compliance_for_jobs.list_compliance(policy_id)
        done = admin.policy_compliance_for_jobs.enforce_compliance(job_id)

        assert (found.job_id, found.violations) == (
            job_id,
            {"main.spark_env_vars.A": 'the value must be 2 (is "1")'},
        )
        assert done.as_dict()["job_cluster_changes"] == [
            {"field": "main.spark_env_vars.A", "previous_value": "1", "new_value": "2"}
        ]
        assert admin.policy_compliance_for_jobs.get_compliance(job_id).is_compliant


class TestPipelines:
    def test_a_list_has_pages_and_no_specs(self, databricks: EmulatedDatabricks, ann: Caller) -> None:
        client = databricks.client(ann)
        for number in range(30):
            client.pipelines.create(name=f"ingest {number}", clusters=[PipelineCluster(num_workers=1)])

        listed = list(client.pipelines.list_pipelines())

        assert {it.name for it in listed} == {f"ingest {number}" for number in range(30)}
        pages = [it for it in databricks.journal if it.path == "/api/2.0/pipelines" and it.method == "GET"]
        assert len(pages) == 2
        assert not any("spec" in it.as_dict() for it in listed)
        found = client.pipelines.get(str(listed[0].pipeline_id))
        assert found.spec
        assert [it.num_workers for it in found.spec.clusters or []] == [1]
        with pytest.raises(InvalidParameterValue, match="between 1 and 100"):
            list(client.pipelines.list_pipelines(max_results=101))

    def test_others_see_none_of_it(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient, ann: Caller
    ) -> None:
        pipeline_id = str(admin.pipelines.create(name="nightly").pipeline_id)
        client = databricks.client(ann)

        assert list(client.pipelines.list_pipelines()) == []
        with pytest.raises(PermissionDenied):
            client.pipelines.get(pipeline_id)
        admin.pipelines.delete(pipeline_id)
        with pytest.raises(ResourceDoesNotExist):
            admin.pipelines.get(pipeline_id)

    def test_its_cluster_has_no_runtime_and_a_policy_that_there_is(self, admin: WorkspaceClient) -> None:
        cluster = {"spark_version": RUNTIME, "num_workers": 1}
        with pytest.raises(InvalidParameterValue, match="spark_version"):
            admin.api_client.do("POST", "/api/2.0/pipelines", body={"name": "x", "clusters": [cluster]})
        with pytest.raises(ResourceDoesNotExist, match="0123456789ABCDEF"):
            admin.pipelines.create(name="x", clusters=[PipelineCluster(policy_id="0123456789ABCDEF")])
        with pytest.raises(InvalidParameterValue, match="name is required"):
            admin.pipelines.create(clusters=[])


class TestPages:
    def test_clusters_and_jobs_are_listed_by_twenty_and_at_most_by_a_hundred(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient
    ) -> None:
        spec = {"spark_version": "15.4.x-scala2.12", "num_workers": 1, "node_type_id": "Standard_DS3_v2"}
        for _ in range(101):
            databricks.clusters.add(spec, databricks.admin)
        job = {"created_time": 0, "creator_user_name": "ada@contoso.com", "settings": {"name": "nightly"}}
        databricks.jobs.jobs.update({it: {**job, "job_id": it} for it in range(101)})

        def pages(of: str) -> int:
            found = len([it for it in databricks.journal if it.path.endswith(of)])
            databricks.journal.clear()
            return found

        assert (len(list(admin.clusters.list())), pages("clusters/list")) == (101, 6)
        assert (len(list(admin.clusters.list(page_size=1000))), pages("clusters/list")) == (101, 2)
        assert (len(list(admin.jobs.list())), pages("jobs/list")) == (101, 6)
        assert (len(list(admin.jobs.list(limit=100))), pages("jobs/list")) == (101, 2)
        with pytest.raises(InvalidParameterValue, match="between 1 and 100"):
            list(admin.jobs.list(limit=101))
        with pytest.raises(InvalidParameterValue, match="page_token"):
            list(admin.clusters.list(page_token="the next"))


class TestPeople:
    def test_they_are_found_by_name_several_at_once(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient
    ) -> None:
        for name in ("ada@contoso.com", "adam@contoso.com", "bob@contoso.com"):
            databricks.user(name, groups=["analysts"])

        def users(some: str) -> list[str | None]:
            return [it.user_name for it in admin.users.list(filter=some)]

        assert users('userName eq "ADA@contoso.com"') == ["ada@contoso.com"]
        both = 'userName eq "ada@contoso.com" or userName eq "bob@contoso.com"'
        assert users(both) == ["ada@contoso.com", "bob@contoso.com"]
        assert users('userName sw "ada"') == ["ada@contoso.com", "adam@contoso.com"]
        with pytest.raises(InvalidParameterValue):
            users('emails eq "ada@contoso.com"')

    def test_a_group_says_whether_the_account_knows_it(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient, ann: Caller
    ) -> None:
        databricks.user("ada@contoso.com", groups=["analysts", "team"])
        databricks.callers.local_groups.add("team")

        found = {it.display_name: it.meta and it.meta.resource_type for it in admin.groups.list()}

        assert found["analysts"] == "Group"
        assert found["team"] == found["users"] == "WorkspaceGroup"
        named = admin.groups.list(filter='displayName eq "team"')
        assert [it.display_name for it in named] == ["team"]
        with pytest.raises(PermissionDenied):
            list(databricks.client(ann).groups.list())


class TestWorkspaceFiles:
    def test_a_file_comes_back_under_its_name(self, admin: WorkspaceClient) -> None:
        admin.workspace.mkdirs("/Shared/azureml")
        admin.workspace.upload("/Workspace/Shared/azureml/x.sh", b"echo", format=ImportFormat.AUTO)

        [found] = admin.workspace.list("/Shared/azureml")

        assert (found.path, found.object_type, found.size) == ("/Shared/azureml/x.sh", ObjectType.FILE, 4)
        assert admin.workspace.download("/Shared/azureml/x.sh").read() == b"echo"
        with pytest.raises(BadRequest, match="not empty"):
            admin.workspace.delete("/Shared/azureml")
        admin.workspace.delete("/Shared/azureml", recursive=True)
        with pytest.raises(ResourceDoesNotExist):
            admin.workspace.get_status("/Shared/azureml")

    def test_a_notebook_loses_its_suffix(self, admin: WorkspaceClient) -> None:
        admin.workspace.upload("/Shared/a.py", b"# Databricks notebook source\n1", format=ImportFormat.AUTO)

        assert admin.workspace.get_status("/Shared/a").object_type == ObjectType.NOTEBOOK

    def test_a_user_reads_what_an_admin_lets_them_read(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient, ann: Caller
    ) -> None:
        admin.workspace.mkdirs("/Admins/azureml")
        admin.workspace.upload("/Admins/azureml/x.sh", b"echo", format=ImportFormat.AUTO)
        client = databricks.client(ann)
        with pytest.raises(PermissionDenied, match=r"ann@contoso\.com does not have Can Read on /Admins"):
            client.workspace.download("/Admins/azureml/x.sh")

        folder = str(admin.workspace.get_status("/Admins").object_id)
        entry = AccessControlRequest(group_name="users", permission_level=PermissionLevel.CAN_READ)
        permissions = admin.permissions.update("directories", folder, access_control_list=[entry])

        assert client.workspace.download("/Admins/azureml/x.sh").read() == b"echo"
        with pytest.raises(PermissionDenied):
            client.workspace.upload("/Admins/azureml/y", b"", format=ImportFormat.AUTO)
        assert [it.group_name for it in permissions.access_control_list or []] == ["users", "admins"]

    def test_everybody_may_write_to_what_is_shared_and_to_their_own(
        self, databricks: EmulatedDatabricks, ann: Caller
    ) -> None:
        client = databricks.client(ann)

        client.workspace.upload("/Shared/x", b"", format=ImportFormat.AUTO)
        client.workspace.upload("/Users/ann@contoso.com/x", b"", format=ImportFormat.AUTO)
        with pytest.raises(PermissionDenied):
            client.workspace.upload("/Users/admin@contoso.com/x", b"", format=ImportFormat.AUTO)

    def test_an_import_has_limits(self, admin: WorkspaceClient) -> None:
        admin.workspace.upload("/Shared/x", b"1", format=ImportFormat.AUTO)

        with pytest.raises(BadRequest, match="exceeded the limit 10485760"):
            admin.workspace.upload("/Shared/y", bytes(10485761), format=ImportFormat.AUTO)
        with pytest.raises(ResourceDoesNotExist, match=r"The parent folder \(/Shared/a\) does not exist"):
            admin.workspace.upload("/Shared/a/b", b"", format=ImportFormat.AUTO)
        with pytest.raises(ResourceAlreadyExists):
            admin.workspace.upload("/Shared/x", b"2", format=ImportFormat.AUTO)
        admin.workspace.upload("/Shared/x", b"2", format=ImportFormat.AUTO, overwrite=True)


def test_service_credentials_are_kept(admin: WorkspaceClient) -> None:
    identity = AzureManagedIdentity(access_connector_id="/subscriptions/0/.../accessConnectors/azureml")
    admin.credentials.create_credential(
        "azureml", purpose=CredentialPurpose.SERVICE, azure_managed_identity=identity
    )

    assert [it.name for it in admin.credentials.list_credentials()] == ["azureml"]
    found = admin.credentials.get_credential("azureml").azure_managed_identity
    assert found
    assert found.access_connector_id == identity.access_connector_id
    admin.credentials.delete_credential("azureml")
    with pytest.raises(NotFound):
        admin.credentials.get_credential("azureml")


class TestJournal:
    def test_a_reader_sees_what_was_asked_and_no_secret(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient
    ) -> None:
        databricks.make_volume(VOLUME)
        policy_id = policy(admin, {"spark_version": {"type": "unlimited"}})
        admin.cluster_policies.get(policy_id)
        admin.secrets.create_scope("azureml")
        admin.secrets.put_secret("azureml", "clientSecret", string_value="s3cr3t")
        admin.files.upload(f"{FOLDER}/abc123/x", io.BytesIO(b"\0"), overwrite=True)
        with pytest.raises(ResourceDoesNotExist):
            admin.cluster_policies.get("0123456789ABCDEF")

        assert databricks.recorded({"abc123": "RELEASE"}) == textwrap.dedent("""\
            POST /api/2.0/policies/clusters/create
                {
                  "definition": {
                    "spark_version": {
                      "type": "unlimited"
                    }
                  },
                  "name": "ml"
                }
            GET /api/2.0/policies/clusters/get?policy_id=POLICY-1
            POST /api/2.0/secrets/scopes/create
                {
                  "scope": "azureml"
                }
            POST /api/2.0/secrets/put
                {
                  "key": "clientSecret",
                  "scope": "azureml",
                  "string_value": "***"
                }
            PUT /api/2.0/fs/files/Volumes/prod/mlops/azureml/RELEASE/x?overwrite=true
                ...
            GET /api/2.0/policies/clusters/get?policy_id=POLICY-2 -> 404
            """)

    def test_a_reset_leaves_nothing(self, databricks: EmulatedDatabricks, admin: WorkspaceClient) -> None:
        databricks.make_volume(VOLUME)
        admin.files.upload(f"{FOLDER}/x", io.BytesIO(b""))
        admin.secrets.create_scope("azureml")
        policy(admin, {})

        databricks.reset()

        client = databricks.client()
        assert not list(client.catalogs.list())
        assert not list(client.secrets.list_scopes())
        assert not list(client.cluster_policies.list())
        databricks.make_volume(VOLUME)
        assert not list(client.files.list_directory_contents(FOLDER))


class TestFaults:
    def test_the_nth_call_fails_before_it_does_anything(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient
    ) -> None:
        databricks.faults.add(skip=1, times=1, status=500)

        admin.secrets.create_scope("one")
        with pytest.raises(InternalError):
            admin.secrets.create_scope("two")

        assert [it.name for it in admin.secrets.list_scopes()] == ["one"]

    def test_a_lost_answer_is_asked_for_again_by_the_sdk(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient
    ) -> None:
        databricks.faults.add(times=1, cut=True, after=True)

        with pytest.raises(ResourceAlreadyExists):
            admin.secrets.create_scope("one")

        assert [request.status for request in databricks.journal] == [None, 400]

    def test_a_process_can_be_killed_when_its_call_has_been_done(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient
    ) -> None:
        fault = databricks.faults.add(path="scopes/create", times=1, hang=True, after=True)
        code = "from databricks.sdk import WorkspaceClient; WorkspaceClient().secrets.create_scope('one')"

        with subprocess.Popen([sys.executable, "-c", code], env=databricks.environment) as process:
            assert fault.hit.wait(60)
            process.kill()

        assert [it.name for it in admin.secrets.list_scopes()] == ["one"]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for the volume."""
    return build_bundle(tmp_path_factory.mktemp("release") / "out", location=f"{FOLDER}/r1")


@pytest.fixture
def deployed(
    databricks: EmulatedDatabricks, azure: EmulatedAzure, release: Path
) -> Iterator[tuple[WorkspaceClient, str]]:
    """An admin's client, and a policy of standard access mode that has all that it needs."""
    databricks.azure = azure
    databricks.make_volume(VOLUME)
    client = databricks.client()
    for file in release.iterdir():
        client.files.upload(f"{FOLDER}/r1/{file.name}", io.BytesIO(file.read_bytes()))
    read = PermissionsChange(add=[Privilege.READ_VOLUME], principal="account users")
    client.grants.update("volume", VOLUME, changes=[read])
    allow(client, FOLDER)
    client.secrets.create_scope("azureml")
    variables = service_principal(azure)
    for name, value in variables.items():
        client.secrets.put_secret("azureml", name, string_value=value)
    client.secrets.put_acl("azureml", "users", AclPermission.READ)
    definition: dict[str, Any] = {
        "spark_version": {"type": "allowlist", "values": [RUNTIME], "defaultValue": RUNTIME},
        "data_security_mode": {"type": "fixed", "value": "USER_ISOLATION", "hidden": True},
        "init_scripts.0.volumes.destination": {
            "type": "fixed",
            "value": f"{FOLDER}/r1/azureml-databricks.sh",
        },
        "spark_env_vars.AZUREML_TRACKING_URI": {"type": "fixed", "value": azure.workspace.tracking_uri},
        "spark_conf.spark.team.note": {"type": "fixed", "value": "by {{secrets/azureml/AZURE_CLIENT_ID}}"},
    }
    for name in variables:
        value = f"{{{{secrets/azureml/{name}}}}}"
        definition[f"spark_env_vars.{name}"] = {"type": "fixed", "value": value, "hidden": True}
    yield client, policy(client, definition, "users")
    databricks.reset()


class TestClusterFromAPolicy:
    def test_a_users_notebook_logs_a_run(
        self,
        databricks: EmulatedDatabricks,
        azure: EmulatedAzure,
        ann: Caller,
        deployed: tuple[WorkspaceClient, str],
    ) -> None:
        client, policy_id = deployed
        cell = "import mlflow\nmlflow.log_metric('a', 1)\nmlflow.end_run()\nmlflow.get_tracking_uri()"

        with started_cluster(databricks, policy_id, who=ann, azure=azure, node_type_id=NODE_TYPE) as node:
            user = None if "other user" in node.cannot else UNPRIVILEGED
            notebook = node.run_notebook([cell], user=user)
            conf = node.path("/tmp/custom-spark.conf").read_text()
            [running] = client.clusters.list()

        assert azure.workspace.tracking_uri in notebook.cells[0].outputs[-1].data["text/plain"]
        assert azure.journal.of("*.api.azureml.ms", "runs/log-metric") or azure.journal.of("*", "log-batch")
        assert conf == f"spark.team.note by {azure.principal.client_id}\n"
        assert (running.state, running.creator_user_name) == (State.RUNNING, ann.user_name)
        [ended] = client.clusters.list()
        assert ended.state == State.TERMINATED

    def test_the_owner_has_to_be_able_to_read_the_volume(
        self, databricks: EmulatedDatabricks, ann: Caller, deployed: tuple[WorkspaceClient, str]
    ) -> None:
        client, policy_id = deployed
        change = PermissionsChange(remove=[Privilege.READ_VOLUME], principal="account users")
        client.grants.update("volume", VOLUME, changes=[change])

        with (
            pytest.raises(LaunchError, match=r"INIT_SCRIPT_FAILURE: .* does not have READ VOLUME on Volume"),
            started_cluster(databricks, policy_id, who=ann, node_type_id=NODE_TYPE),
        ):
            pass

        [ended] = client.clusters.list()
        assert ended.termination_reason
        assert ended.termination_reason.code
        assert ended.termination_reason.code.value == "INIT_SCRIPT_FAILURE"
        (event,) = client.clusters.events(str(ended.cluster_id))
        assert event.details
        assert event.details.init_scripts
        (script,) = event.details.init_scripts.cluster or []
        assert script.status
        assert (script.status.value, "does not have READ VOLUME" in str(script.error_message)) == (
            "FAILED_FETCH",
            True,
        )

    @pytest.mark.parametrize("assigned", ["bob@contoso.com", "analysts"])
    def test_of_a_dedicated_cluster_it_is_whom_it_is_assigned_to(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient, ann: Caller, assigned: str
    ) -> None:
        # Given a volume that only the cluster's owner can read
        databricks.user("bob@contoso.com", groups=["analysts"])
        databricks.make_volume(VOLUME)
        admin.files.upload(f"{FOLDER}/x.sh", io.BytesIO(b"exit 0"))
        read = PermissionsChange(add=[Privilege.READ_VOLUME], principal=ann.user_name)
        admin.grants.update("volume", VOLUME, changes=[read])
        script = {"type": "fixed", "value": f"{FOLDER}/x.sh"}
        policy_id = policy(admin, {"init_scripts.0.volumes.destination": script}, "users")
        dedicated: dict[str, Any] = {
            "data_security_mode": DataSecurityMode.DATA_SECURITY_MODE_DEDICATED,
            "spark_version": RUNTIME,
            "node_type_id": NODE_TYPE,
        }

        with started_cluster(databricks, policy_id, who=ann, single_user_name=ann.user_name, **dedicated):
            pass
        with (
            pytest.raises(LaunchError, match=r"INIT_SCRIPT_FAILURE: .* does not have READ VOLUME on Volume"),
            started_cluster(databricks, policy_id, who=ann, single_user_name=assigned, **dedicated),
        ):
            pass

    def test_the_owner_has_to_be_able_to_read_the_secrets(
        self, databricks: EmulatedDatabricks, ann: Caller, deployed: tuple[WorkspaceClient, str]
    ) -> None:
        client, policy_id = deployed
        client.secrets.delete_acl("azureml", "users")

        with (
            pytest.raises(LaunchError, match=r"SECRET_PERMISSION_DENIED: .* READ permission on scope"),
            started_cluster(databricks, policy_id, who=ann, node_type_id=NODE_TYPE),
        ):
            pass

    def test_a_secret_has_to_be_there(
        self, databricks: EmulatedDatabricks, deployed: tuple[WorkspaceClient, str]
    ) -> None:
        client, policy_id = deployed
        client.secrets.delete_secret("azureml", "AZURE_CLIENT_SECRET")

        with (
            pytest.raises(LaunchError, match="scope: azureml and key: AZURE_CLIENT_SECRET"),
            started_cluster(databricks, policy_id, node_type_id=NODE_TYPE),
        ):
            pass

    def test_the_script_has_to_be_on_the_allowlist(
        self, databricks: EmulatedDatabricks, deployed: tuple[WorkspaceClient, str]
    ) -> None:
        client, policy_id = deployed
        allow(client, "/Volumes/prod/mlops/other/")

        with (
            pytest.raises(InvalidParameterValue, match="is not in the artifact allowlist"),
            started_cluster(databricks, policy_id, node_type_id=NODE_TYPE),
        ):
            pass

    def test_the_script_has_to_succeed(
        self, databricks: EmulatedDatabricks, deployed: tuple[WorkspaceClient, str]
    ) -> None:
        client, policy_id = deployed
        script = io.BytesIO(b"exit 7")
        client.files.upload(f"{FOLDER}/r1/azureml-databricks.sh", script, overwrite=True)

        with (
            pytest.raises(LaunchError, match="failed: Script exit status is non-zero"),
            started_cluster(databricks, policy_id, node_type_id=NODE_TYPE),
        ):
            pass

    def test_workspace_files_serve_a_cluster_without_isolation(
        self, databricks: EmulatedDatabricks, admin: WorkspaceClient
    ) -> None:
        admin.workspace.mkdirs("/Shared/azureml")
        admin.workspace.upload(
            "/Shared/azureml/x.sh",
            b'cp "$(dirname /Workspace/Shared/azureml/x)/y" /y',
            format=ImportFormat.AUTO,
        )
        admin.workspace.upload("/Shared/azureml/y", b"there", format=ImportFormat.AUTO)
        script = {"type": "fixed", "value": "/Workspace/Shared/azureml/x.sh"}
        policy_id = policy(admin, {"init_scripts.0.workspace.destination": script})

        with started_cluster(databricks, policy_id, spark_version=RUNTIME, node_type_id=NODE_TYPE) as node:
            assert node.path("/y").read_text() == "there"


class TestRuns:
    def test_a_file_is_run_on_a_cluster_of_its_own_and_its_output_kept(
        self, azure: EmulatedAzure, deployed: tuple[WorkspaceClient, str]
    ) -> None:
        client, policy_id = deployed
        upload(
            client,
            """
            import mlflow, os, sys
            with mlflow.start_run():
                mlflow.log_param("argument", sys.argv[1])
            print("as", os.environ["DB_IS_JOB_CLUSTER"], sys.argv[1:])
            """,
        )

        run = client.jobs.submit_and_wait(run_name="verify", tasks=[task(policy_id)])

        assert run.state
        assert run.state.result_state == RunResultState.SUCCESS
        assert run.tasks
        assert run.tasks[0].run_id
        output = client.jobs.get_run_output(run.tasks[0].run_id)
        assert output.logs == "as TRUE ['one', 'two']\n"
        assert azure.journal.of("*.api.azureml.ms", "runs/create")
        assert run.run_id
        with pytest.raises(InvalidParameterValue, match="output of runs with multiple tasks"):
            client.jobs.get_run_output(run.run_id)
        [cluster] = client.clusters.list()
        assert cluster.state == State.TERMINATED

    def test_a_file_that_fails_tells_why(self, deployed: tuple[WorkspaceClient, str]) -> None:
        client, policy_id = deployed
        upload(client, "print('before')\nraise ValueError('no')\n")

        run = client.jobs.submit_and_wait(tasks=[task(policy_id)])

        assert run.state
        assert run.state.result_state == RunResultState.FAILED
        assert run.tasks
        assert run.tasks[0].run_id
        output = client.jobs.get_run_output(run.tasks[0].run_id)
        assert output.error == "ValueError: no"
        assert output.error_trace
        assert (output.logs or "").startswith("before\nTraceback")

    def test_a_cluster_that_does_not_start_ends_the_run(self, deployed: tuple[WorkspaceClient, str]) -> None:
        client, policy_id = deployed
        client.files.delete(f"{FOLDER}/r1/azureml-databricks.sh")
        upload(client, "")

        with pytest.raises(OperationFailed, match=r"INIT_SCRIPT_FAILURE.*azureml-databricks\.sh failed"):
            client.jobs.submit_and_wait(tasks=[task(policy_id)])

    def test_a_run_is_cancelled(self, deployed: tuple[WorkspaceClient, str]) -> None:
        client, policy_id = deployed
        upload(client, "import time\ntime.sleep(600)")

        waiter = client.jobs.submit(tasks=[task(policy_id)])
        client.jobs.cancel_run(waiter.run_id)

        run = waiter.result(timeout=timedelta(minutes=10))
        assert run.state
        assert run.state.result_state == RunResultState.CANCELED

    def test_a_run_has_its_time(self, deployed: tuple[WorkspaceClient, str]) -> None:
        client, policy_id = deployed
        upload(client, "import time\ntime.sleep(600)")

        run = client.jobs.submit_and_wait(tasks=[task(policy_id)], timeout_seconds=1)

        assert run.state
        assert run.state.result_state == RunResultState.TIMEDOUT

    def test_the_same_request_twice_is_one_run(self, deployed: tuple[WorkspaceClient, str]) -> None:
        client, policy_id = deployed
        upload(client, "")

        runs = {client.jobs.submit(tasks=[task(policy_id)], idempotency_token="t").run_id for _ in range(2)}

        assert len(runs) == 1


def policy(client: WorkspaceClient, definition: dict[str, Any], group: str = "") -> str:
    """Make a policy named `ml`, for a group if given, and return its id."""
    policy_id = client.cluster_policies.create(name="ml", definition=json.dumps(definition)).policy_id
    assert policy_id
    if group:
        entry = ClusterPolicyAccessControlRequest(group_name=group, permission_level=CAN_USE)
        client.cluster_policies.update_permissions(policy_id, access_control_list=[entry])
    return policy_id


def allow(client: WorkspaceClient, path: str) -> None:
    matcher = ArtifactMatcher(path, MatchType.PREFIX_MATCH)
    client.artifact_allowlists.update(ArtifactType.INIT_SCRIPT, [matcher])


def upload(client: WorkspaceClient, code: str) -> None:
    content = textwrap.dedent(code).encode()
    client.workspace.upload("/Shared/task.py", content, format=ImportFormat.AUTO, overwrite=True)


def task(policy_id: str) -> SubmitTask:
    return SubmitTask(
        task_key="verify",
        new_cluster=ClusterSpec(
            policy_id=policy_id, apply_policy_default_values=True, node_type_id=NODE_TYPE, num_workers=1
        ),
        spark_python_task=SparkPythonTask("/Workspace/Shared/task.py", parameters=["one", "two"]),
    )
