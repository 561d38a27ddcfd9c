"""Who deploys may lack rights that other teams have: what is there is enough, what is not is theirs to do."""

from __future__ import annotations

import pytest
from databricks.sdk.service.catalog import ArtifactMatcher, ArtifactType, MatchType

from tests.admin.conftest import LOCATION, Admin
from tests.admin.test_deploy import body
from tests.admin.test_situations import as_a_stranger, without_a_login_to_azure

CLUSTERS = f'runtimes = ["15.4"]\naccessMode = "standard"\nlocation = "{LOCATION}"'


def as_eve(admin: Admin) -> None:
    """Have the commands run by an admin who may not change the allowlist."""
    eve = admin.databricks.another_admin("eve@contoso.com", lacks=["manage allowlist"])
    admin.environment["DATABRICKS_TOKEN"] = eve.token


def test_with_the_tracking_uri_in_the_file_azure_is_not_asked(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets
    plain = admin.run("plan").stdout
    admin.write(workspace=f'trackingUri = "{admin.azure.workspace.tracking_uri}"')
    without_a_login_to_azure(admin)
    admin.azure.journal.clear()

    done = admin.run("plan")

    # It is the same release, too
    assert (done.returncode, done.stderr, done.stdout) == (2, "", plain)
    assert not admin.azure.journal.hosts()


def test_who_has_put_the_location_on_the_allowlist_is_believed(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets
    as_eve(admin)
    refused = admin.run("plan")

    # When the team that may has done what it was told, and the file says so
    command = refused.stderr.partition("whoever has it runs `")[2].partition("`")[0]
    lists = admin.databricks.cluster_client(admin.databricks.admin).artifact_allowlists
    lists.update(ArtifactType.INIT_SCRIPT, [ArtifactMatcher(f"{LOCATION}/", MatchType.PREFIX_MATCH)])
    admin.write(clusters=f"{CLUSTERS}\nallowlisted = true")

    assert refused.returncode == 1
    assert command.startswith("databricks artifact-allowlists get INIT_SCRIPT | jq ")
    assert f'"{LOCATION}/"' in command
    assert admin.run("deploy", "--yes").returncode == 0
    assert admin.databricks.allowlists.paths() == [f"{LOCATION}/"]
    assert body(admin.run_or_fail("plan").stdout) == "Nothing to change.\n"


def test_rights_that_others_have_to_give_are_told_and_the_policy_waits(admin_with_secrets: Admin) -> None:
    # Given a catalog and a scope on which others give rights
    admin = admin_with_secrets
    admin.databricks.faults.add(path="unity-catalog/permissions/", status=403)
    admin.write(policy='name = "azureml"\ngroups = ["data-scientists"]\nusers = ["ann@contoso.com"]')

    done = admin.run("deploy", "--yes")

    # Then all that could be made is made, and what is left is told as commands
    assert done.returncode == 1
    assert "made release " in done.stdout
    assert "made right READ on secret scope azureml for ann@contoso.com\n" in done.stdout
    commands = [line.partition("; whoever has it: ")[2] for line in done.stderr.splitlines()]
    assert commands == [
        f"GRANT {right} TO `{who}`"
        for right in (
            "USE CATALOG ON CATALOG `sales`",
            "USE SCHEMA ON SCHEMA `sales`.`ml`",
            "READ VOLUME ON VOLUME `sales`.`ml`.`azureml`",
        )
        for who in ("data-scientists", "ann@contoso.com")
    ]
    client = admin.databricks.cluster_client(admin.databricks.admin)
    assert not list(client.cluster_policies.list())
    # When they are given, the next deploy does the rest
    admin.databricks.faults.clear()
    admin.run_or_fail("deploy", "--yes")
    assert [it.name for it in client.cluster_policies.list()] == ["azureml"]


@pytest.mark.parametrize("has_role", [True, False])
def test_all_that_is_wrong_is_told_at_once(admin: Admin, has_role: bool) -> None:
    # Given no secret, no such group, an allowlist that may not be read, and perhaps no role in Azure
    admin.write(policy='name = "azureml"\ngroups = ["data-scientist"]')
    as_eve(admin)
    if not has_role:
        as_a_stranger(admin)

    done = admin.run("plan")

    told = [
        "policy.groups has 'data-scientist': there is no such group",
        "there is no secret scope azureml: clusters would not start",
        *(
            ["the allowlist of init scripts cannot be read: it takes MANAGE ALLOWLIST"]
            if has_role
            else ["may not be read with this login: it takes the role Reader"]
        ),
    ]
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == len(told)
    for it in told:
        assert it in done.stderr
