"""Groups, users and service principals that the file names: a plan looks whether they are there."""

from __future__ import annotations

from tests.admin.conftest import LOCATION, Admin
from tests.admin.test_deploy import reads_only

APPLICATION = "11111111-0000-0000-0000-000000000000"


def test_each_that_is_not_there_is_told_with_its_line_and_what_may_be_meant(admin: Admin) -> None:
    # Given a group of the account, a group of the workspace only, a user, and one who is there
    databricks = admin.databricks
    databricks.user("ada@contoso.com", groups=["team"])
    databricks.callers.local_groups.add("team")
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    admin.write(
        policy='name = "azureml"\ngroups = [\n  "data-scientist",\n  "team",\n  "data-scientists",\n]\n'
        'users = ["Ada@contoso.com", "eda@contoso.com", "adam@contoso.com"]\n'
        f'servicePrincipals = ["{APPLICATION}"]'
    )
    databricks.journal.clear()

    done = admin.run("plan")

    lines = admin.file.read_text().splitlines()
    groups, users, service_principals = (
        next(number for number, line in enumerate(lines, start=1) if line.startswith(key))
        for key in ("groups", "users", "servicePrincipals")
    )
    no_such = "there is no such {} in this workspace; "
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.removeprefix(f"Error: {admin.file.name}:") for line in done.stderr.splitlines()] == [
        f"{groups}: policy.groups has 'data-scientist': {no_such.format('group')}"
        "did you mean data-scientists?",
        f"{groups}: policy.groups has 'team': it is a group of this workspace only, and Unity Catalog gives "
        "rights to groups of the account: name one of those",
        f"{users}: policy.users has 'adam@contoso.com': {no_such.format('user')}"
        "did you mean ada@contoso.com or admin@contoso.com?",
        f"{users}: policy.users has 'eda@contoso.com': {no_such.format('user')}"
        "give the name that they log in with, such as ada@example.com, once they are in it",
        f"{service_principals}: policy.servicePrincipals has '{APPLICATION}': "
        f"{no_such.format('service principal')}give its application ID, once it is in it",
    ]
    assert reads_only(admin)


def test_a_group_of_the_workspace_is_good_for_workspace_files(admin: Admin) -> None:
    admin.databricks.user("ada@contoso.com", groups=["team"])
    admin.databricks.callers.local_groups.add("team")
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    folder = LOCATION.replace("/Volumes/sales/ml", "/Workspace/Admins")
    admin.write(
        policy='name = "azureml"\ngroups = ["team"]',
        clusters=f'runtimes = ["15.4"]\naccessMode = "no-isolation"\nlocation = "{folder}"',
    )

    assert admin.run("plan").returncode == 2


def test_of_many_names_a_request_asks_for_twenty(admin: Admin) -> None:
    names = [f"group {number}" for number in range(41)]
    admin.databricks.callers.groups.update(names)
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    admin.databricks.journal.clear()
    admin.write(policy=f'name = "azureml"\ngroups = {names}')

    assert admin.run("plan").returncode == 2
    asked = [it for it in admin.databricks.journal if it.path.endswith("/Groups")]
    # For each filter there is a second page, which is empty.
    assert len(asked) <= 3 * 2
