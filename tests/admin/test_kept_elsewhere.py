"""Policies that Terraform or a bundle keeps: printed with what belongs to them, found in the workspace."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient

from tests.admin.conftest import LOCATION, Admin
from tests.admin.test_deploy import body, make_cluster

POLICY = 'name = "azureml"\ngroups = ["data-scientists"]\nusers = ["bob@contoso.com"]\ndeployed = false'
# What each resource takes, by the provider's documentation: what it needs, and what it may have.
# https://registry.terraform.io/providers/databricks/databricks/latest/docs
RESOURCES: dict[str, tuple[set[str], set[str]]] = {
    "databricks_cluster_policy": (
        {"name"},
        {"description", "definition", "policy_family_id", "policy_family_definition_overrides", "depends_on"},
    ),
    "databricks_permissions": ({"access_control"}, {"cluster_policy_id", "directory_path"}),
    "databricks_file": ({"path"}, {"source"}),
    "databricks_workspace_file": ({"path"}, {"source"}),
    "databricks_directory": ({"path"}, set()),
    "databricks_artifact_allowlist": ({"artifact_type", "dynamic"}, set()),
    "databricks_grant": ({"principal", "privileges"}, {"volume", "credential"}),
    "databricks_secret_acl": ({"scope", "principal", "permission"}, set()),
}


def texts(value: Any) -> Iterator[str]:
    """Yield all texts in what JSON has."""
    if isinstance(value, dict):
        for it in value.values():
            yield from texts(it)
    elif isinstance(value, list):
        for it in value:
            yield from texts(it)
    elif isinstance(value, str):
        yield value


def check_module(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Look at a module as `terraform validate` does, and return its resources."""
    documents = [json.loads(path.read_text()) for path in folder.glob("*.tf.json")]
    resources: dict[str, dict[str, dict[str, Any]]] = {}
    for document in documents:
        assert document.keys() <= {"terraform", "variable", "resource"}
        for kind, named in document["resource"].items():
            assert not resources.get(kind, {}).keys() & named.keys()
            resources.setdefault(kind, {}).update(named)
    known = {f"{kind}.{name}" for kind, named in resources.items() for name in named}
    variables = {name for document in documents for name in document.get("variable", {})}
    for kind, named in resources.items():
        needed, possible = RESOURCES[kind]
        for name, arguments in named.items():
            assert re.fullmatch(r"[A-Za-z_][\w-]*", name)
            assert needed <= arguments.keys() <= needed | possible
            assert set(arguments.get("depends_on", [])) <= known
            for text in texts(arguments):
                for used in re.findall(r"(?<!\$)\$\{(databricks_\w+\.\w+)\.", text):
                    assert used in known
                assert set(re.findall(r"var\.(\w+)", text)) <= variables
            if source := arguments.get("source"):
                assert (folder / source.removeprefix("${path.module}/")).is_file()
    return resources


def test_terraform_gets_who_may_use_it_too(admin: Admin) -> None:
    admin.write(policy=POLICY)

    printed = json.loads(admin.run_or_fail("policy", "render", "--format", "terraform").stdout)

    assert printed["resource"]["databricks_permissions"] == {
        "azureml": {
            "cluster_policy_id": "${databricks_cluster_policy.azureml.id}",
            "access_control": [
                {"group_name": "data-scientists", "permission_level": "CAN_USE"},
                {"user_name": "bob@contoso.com", "permission_level": "CAN_USE"},
            ],
        }
    }


def test_a_bundle_gets_it_as_a_resource_of_its_own(admin: Admin) -> None:
    admin.write(policy=POLICY)

    printed = json.loads(admin.run_or_fail("policy", "render", "--format", "bundle").stdout)

    (policy,) = printed["resources"]["cluster_policies"].values()
    assert json.loads(policy["definition"]) == json.loads(admin.run_or_fail("policy", "render").stdout)
    assert policy["permissions"] == [
        {"group_name": "data-scientists", "level": "CAN_USE"},
        {"user_name": "bob@contoso.com", "level": "CAN_USE"},
    ]


def test_a_bundle_gets_no_variable_of_its_own(admin: Admin) -> None:
    admin.write(policy=f"{POLICY}\ndescription = 'for ${{workspace.current_user.userName}}'")

    done = admin.run("policy", "render", "--format", "bundle")

    assert done.returncode == 1
    assert "policy azureml has ${, which a bundle would take for a variable of its own" in done.stderr


@pytest.mark.parametrize("location", [LOCATION, "/Workspace/Admins/azureml"])
def test_all_of_it_is_a_module(admin: Admin, location: str) -> None:
    mode = "standard" if location == LOCATION else "no-isolation"
    admin.write(
        policy=POLICY, clusters=f'runtimes = ["15.4"]\naccessMode = "{mode}"\nlocation = "{location}"'
    )

    done = admin.run_or_fail("policy", "render", "--format", "terraform", "--all", "module")

    assert {Path(line).name for line in done.stdout.splitlines()} >= {"azureml-databricks.tf.json"}
    made = check_module(admin.folder / "module")
    in_volume = {"databricks_file", "databricks_artifact_allowlist", "databricks_grant"}
    in_folder = {"databricks_workspace_file", "databricks_directory"}
    assert made.keys() == {
        *("databricks_cluster_policy", "databricks_permissions", "databricks_secret_acl"),
        *(in_volume if location == LOCATION else in_folder),
    }
    files = made["databricks_file" if location == LOCATION else "databricks_workspace_file"]
    script = json.loads(made["databricks_cluster_policy"]["azureml"]["definition"])
    destination = next(it["value"] for path, it in script.items() if path.startswith("init_scripts"))
    assert destination.removeprefix("/Workspace") in [it["path"] for it in files.values()]
    assert len(made["databricks_cluster_policy"]["azureml"]["depends_on"]) == len(files) == 4


def test_a_module_keeps_the_older_release_until_its_file_is_deleted(admin: Admin) -> None:
    admin.write(policy=POLICY)
    admin.run_or_fail("policy", "render", "--format", "terraform", "--all", "module")
    admin.write(policy=POLICY, settings='onError = "fail"')

    admin.run_or_fail("policy", "render", "--format", "terraform", "--all", "module")

    made = check_module(admin.folder / "module")
    assert len(made["databricks_file"]) == 8
    assert len(made["databricks_cluster_policy"]) == 1


def apply_elsewhere(admin: Admin, client: WorkspaceClient, policy_id: str | None = None) -> str:
    """Do with the policy what Terraform does."""
    printed = json.loads(admin.run_or_fail("policy", "render", "--format", "terraform").stdout)
    arguments = printed["resource"]["databricks_cluster_policy"]["azureml"]
    if policy_id:
        client.cluster_policies.edit(policy_id, **arguments)
        return policy_id
    return client.cluster_policies.create(**{**arguments, "name": "ours in terraform"}).policy_id or ""


def test_clusters_under_such_a_policy_are_seen_and_enforced(admin_with_secrets: Admin) -> None:
    # Given a policy that Terraform has made, under another name
    admin = admin_with_secrets
    admin.databricks.user("bob@contoso.com")
    admin.write(policy=POLICY)
    admin.run_or_fail("deploy", "--yes")
    assert "! policy azureml: it is kept elsewhere, and no policy points at" in admin.run("plan").stdout
    client = admin.databricks.cluster_client(admin.databricks.admin)
    policy_id = apply_elsewhere(admin, client)
    cluster_id = make_cluster(admin, policy="ours in terraform")
    assert body(admin.run_or_fail("plan").stdout) == "Nothing to change.\n"
    assert "under the policy: 1 as it says, 0 not" in admin.run_or_fail("status").stdout

    # When a new release is deployed, and applied there too
    admin.write(policy=POLICY, settings='onError = "fail"')
    told = admin.run_or_fail("deploy", "--yes").stdout
    apply_elsewhere(admin, client, policy_id)

    # Then it was told that it is behind, and its clusters are brought to it
    assert "! policy ours in terraform: it is kept elsewhere, and not as it is to be: init_scripts.0" in told
    enforced = json.loads(admin.run_or_fail("deploy", "--enforce", "--yes", "--json").stdout)["enforced"]
    assert [it["id"] for it in enforced] == [cluster_id]
    assert [it.policy_id for it in client.cluster_policies.list()] == [policy_id]
