"""Only admins may write where the files are, and only what is the clusters' is read with the scope."""

from __future__ import annotations

import pytest
from databricks.sdk.service.catalog import PermissionsChange, Privilege
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel

from tests.admin.conftest import LOCATION, VOLUME, Admin

CLUSTERS = f'runtimes = ["15.4"]\naccessMode = "standard"\nlocation = "{LOCATION}"'


@pytest.mark.parametrize(
    ("kind", "name", "privilege"),
    [
        ("volume", VOLUME, Privilege.WRITE_VOLUME),
        ("volume", VOLUME, Privilege.MANAGE),
        ("schema", "sales.ml", Privilege.WRITE_VOLUME),
        ("catalog", "sales", Privilege.ALL_PRIVILEGES),
    ],
)
def test_whoever_could_write_to_the_volume_is_named_unless_the_file_accepts_them(
    admin_with_secrets: Admin, kind: str, name: str, privilege: Privilege
) -> None:
    # Given people of whom the policy says nothing: a user, and a group that one of its users is in
    admin = admin_with_secrets
    admin.databricks.user("bob@contoso.com", groups=["data-scientists", "etl"])
    client = admin.databricks.cluster_client(admin.databricks.admin)
    for principal in ("bob@contoso.com", "etl"):
        change = PermissionsChange(add=[privilege], principal=principal)
        client.grants.update(kind, name, changes=[change])

    # When the admin plans, then they are named
    done = admin.run("plan")
    assert done.returncode == 1
    said = done.stderr.partition(" may write to volume")[0].removeprefix("Error: ")
    assert sorted(said.split(", ")) == ["bob@contoso.com", "etl"]

    # When the file accepts them, in whatever letter case, then it goes on
    admin.write(clusters=f'{CLUSTERS}\nallowWriters = ["Bob@Contoso.com", "etl"]')
    assert admin.run("plan").returncode == 2


def test_the_owner_the_admins_and_who_deploys_may_write(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets
    client = admin.databricks.cluster_client(admin.databricks.admin)
    user = admin.databricks.admin.user_name
    everything = PermissionsChange(add=[Privilege.ALL_PRIVILEGES], principal=user)
    client.grants.update("volume", VOLUME, changes=[everything])

    assert admin.run("plan").returncode == 2


def test_rights_that_a_folder_inherits_count(admin_with_secrets: Admin) -> None:
    # Given a folder above the location in which a group may write, and no location yet
    admin = admin_with_secrets
    admin.databricks.user("bob@contoso.com", groups=["etl"])
    client = admin.databricks.cluster_client(admin.databricks.admin)
    client.workspace.mkdirs("/Workspace/Admins")
    above = str(client.workspace.get_status("/Workspace/Admins").object_id)
    may_write = AccessControlRequest(group_name="etl", permission_level=PermissionLevel.CAN_EDIT)
    client.permissions.update("directories", above, access_control_list=[may_write])
    clusters = 'runtimes = ["15.4"]\naccessMode = "dedicated"\nlocation = "/Workspace/Admins/azureml"'
    admin.write(clusters=clusters)

    for _ in range(2):
        done = admin.run("plan")
        assert done.returncode == 1
        assert done.stderr.startswith("Error: etl may write to folder /Workspace/Admins/azureml, and what")
        client.workspace.mkdirs("/Workspace/Admins/azureml")  # and then there is one

    admin.write(clusters=f'{clusters}\nallowWriters = ["etl"]')
    assert admin.run("plan").returncode == 2


def test_a_scope_with_other_keys_is_told_and_needs_a_line_in_the_file(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets
    client = admin.databricks.cluster_client(admin.databricks.admin)
    client.secrets.put_secret("azureml", "db-password", string_value="theirs")

    done = admin.run("deploy", "--yes")

    assert done.stderr == (
        "Error: secret scope azureml has db-password besides, and READ is on a whole scope: data-scientists "
        "could read that, too; use a scope of its own (secrets.scope), or say "
        'alsoReadable = ["db-password"] under [secrets]\n'
    )
    admin.write(secrets='alsoReadable = ["db-password"]')
    assert admin.run("plan").returncode == 2
