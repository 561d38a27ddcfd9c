"""What goes wrong between an admin and two clouds, each told in one line, with nothing half done."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from databricks.sdk.service.catalog import PermissionsChange, Privilege
from databricks.sdk.service.workspace import AclPermission

from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.objects.storage import WorkspaceFolder
from tests.admin.conftest import LOCATION, VOLUME, Admin
from tests.admin.workspace_state import state
from tests.emulated.databricks.callers import Right


def by_name(admin: Admin, **changed: str) -> None:
    it = admin.azure.workspace
    names = {"name": it.name, "resourceGroup": it.resource_group, "subscriptionId": it.subscription_id}
    admin.write(
        workspace="\n".join(f'{key} = "{value}"' for key, value in {**names, **changed}.items()),
        # One location has one workspace, which the secrets' record knows by now.
        clusters=CLUSTERS.format(f"{LOCATION}/of-another-workspace"),
    )


def as_an_admin_who_lacks(right: Right) -> Callable[[Admin], None]:
    def become(admin: Admin) -> None:
        eve = admin.databricks.another_admin("eve@contoso.com", lacks=[right])
        client = admin.databricks.cluster_client(admin.databricks.admin)
        client.secrets.put_acl("azureml", eve.user_name, AclPermission.MANAGE)
        admin.environment["DATABRICKS_TOKEN"] = eve.token

    return become


def without_a_login_to_azure(admin: Admin) -> None:
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        del admin.environment[name]


def as_a_stranger(admin: Admin) -> None:
    it = admin.azure.stranger
    admin.environment.update(AZURE_CLIENT_ID=it.client_id, AZURE_CLIENT_SECRET=it.client_secret)


def with_a_policy_of_eves(admin: Admin) -> None:
    eve = admin.databricks.another_admin("eve@contoso.com")
    admin.databricks.cluster_client(eve).cluster_policies.create(name="azureml", definition="{}")


def with_a_record(content: str) -> Callable[[Admin], None]:
    def put(admin: Admin) -> None:
        client = admin.databricks.cluster_client(admin.databricks.admin)
        with open(admin.folder / "record", "wb+") as file:
            file.write(content.encode())
            file.seek(0)
            client.files.upload(f"{LOCATION}/azureml-databricks.made.json", file, overwrite=True)

    return put


def without_a_key(admin: Admin) -> None:
    admin.databricks.cluster_client(admin.databricks.admin).secrets.delete_secret("azureml", "clientSecret")


def with_a_profile(admin: Admin) -> None:
    del admin.environment["DATABRICKS_TOKEN"]
    admin.write(databricks='profile = "prod"')


def with_users_who_write(to: str) -> Callable[[Admin], None]:
    def give(admin: Admin) -> None:
        client = admin.databricks.cluster_client(admin.databricks.admin)
        everything = PermissionsChange(add=[Privilege.ALL_PRIVILEGES], principal=to)
        client.grants.update("catalog", "sales", changes=[everything])

    return give


WRITERS = (
    "may write to volume sales.ml.azureml, and what lies there runs as root on every cluster: take that "
    "right from them, use a location that only admins may write to (clusters.location), or name them in "
    "clusters.allowWriters"
)
NOT_THERE = "there is no Azure ML workspace"
SITUATIONS: dict[str, tuple[Callable[[Admin], object], str]] = {
    "no login to Azure": (
        without_a_login_to_azure,
        "no login to Azure: `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET of a "
        "service principal",
    ),
    "a login that Azure refuses": (
        lambda it: it.environment.update(AZURE_CLIENT_SECRET="wr0ng"),
        "Azure refuses the login: AADSTS7000215: Invalid client secret provided. Ensure the secret "
        "being sent in "
        "the request is the client secret value, not the client secret ID, for a secret added to app "
        "'{client}'",
    ),
    "no way to Azure": (
        lambda it: it.environment.update(HTTPS_PROXY="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9"),
        "the login to Azure fails (EnvironmentCredential: Authentication failed: ('Unable to connect "
        "to proxy', "
        "NewConnectionError(\"HTTPSConnection(host='127.0.0.1', port=9): Failed to establish a new "
        "connection: "
        '[Errno 111] Connection refused"))): does the network (HTTPS_PROXY) let it through?',
    ),
    "a login that may not read the workspace": (
        as_a_stranger,
        "Azure ML workspace 'forecasting' (resource group 'analytics', subscription {subscription}) "
        "may not be "
        "read with this login: it takes the role Reader (or AzureML Data Scientist) on the workspace",
    ),
    "no such workspace": (
        lambda it: by_name(it, name="foretelling"),
        f"{NOT_THERE} 'foretelling' (resource group 'analytics', subscription {{subscription}}): The "
        f"Resource "
        "'Microsoft.MachineLearningServices/workspaces/foretelling' under resource group 'analytics' "
        "was not found",
    ),
    "no such resource group": (
        lambda it: by_name(it, resourceGroup="synthetics"),
        f"{NOT_THERE} 'forecasting' (resource group 'synthetics', subscription {{subscription}}): "
        f"Resource group "
        "'synthetics' could not be found",
    ),
    "no such subscription": (
        lambda it: by_name(it, subscriptionId="11111111-2222-3333-4444-555555555555"),
        f"{NOT_THERE} 'forecasting' (resource group 'analytics', subscription "
        f"11111111-2222-3333-4444-555555555555)"
        ": The subscription '11111111-2222-3333-4444-555555555555' could not be found",
    ),
    "a wrong token": (
        lambda it: it.environment.update(DATABRICKS_TOKEN="dapi0"),
        "HOST refuses the login (Invalid access token): `databricks auth login --host HOST`, or set "
        "DATABRICKS_TOKEN",
    ),
    "no token": (
        lambda it: it.environment.pop("DATABRICKS_TOKEN"),
        "no login to HOST (default auth: cannot configure default credentials): `databricks auth "
        "login --host "
        "HOST`, or set DATABRICKS_TOKEN",
    ),
    "a profile that is not there": (
        with_a_profile,
        "no login to the host of profile prod (default auth: cannot configure default credentials): "
        "`databricks auth login --profile prod`, or set DATABRICKS_TOKEN",
    ),
    "an address of something else": (
        lambda it: it.write(databricks=f'host = "{it.azure.mlflow_url}"'),
        "MLFLOW does not answer as a workspace does: 404 Not Found",
    ),
    "no such volume": (
        lambda it: it.write(clusters=CLUSTERS.format("/Volumes/sales/ml/none")),
        "there is no volume sales.ml.none (clusters.location): create it, so that only admins may "
        "write to it, "
        "or name another",
    ),
    "a volume of others": (
        as_an_admin_who_lacks("admin of the metastore"),
        f"{LOCATION} cannot be read: it takes READ VOLUME on sales.ml.azureml, and USE on its catalog "
        f"and schema "
        "(User does not have USE CATALOG on Catalog 'sales')",
    ),
    "no right on the allowlist": (
        as_an_admin_who_lacks("manage allowlist"),
        "the allowlist of init scripts cannot be read: it takes MANAGE ALLOWLIST on the metastore, "
        "or its admin "
        "(User does not have MANAGE ALLOWLIST on Metastore 'metastore'); whoever has it runs "
        "`databricks artifact-allowlists get INIT_SCRIPT | jq '{artifact_matchers: "
        f'((.artifact_matchers // []) + [{{artifact: "{LOCATION}/", match_type: "PREFIX_MATCH"}}])}}\' | '
        "databricks artifact-allowlists update INIT_SCRIPT --json @/dev/stdin` once, and you say "
        "allowlisted = true under [clusters]",
    ),
    "no admin of the workspace": (
        as_an_admin_who_lacks("admin of the workspace"),
        "policy azureml cannot be made: it takes the admin role of the workspace (eve@contoso.com is not "
        "authorized to change cluster policies. Only workspace admins are)",
    ),
    "a policy of that name": (
        with_a_policy_of_eves,
        "there is a policy 'azureml' already, which is not ours (made by eve@contoso.com): choose "
        "another name "
        "(policy.name)",
    ),
    "a group that is not there": (
        lambda it: it.write(policy='name = "azureml"\ngroups = ["scientists"]'),
        "azureml-databricks.toml:14: policy.groups has 'scientists': there is no such group in this "
        "workspace; did you mean data-scientists?",
    ),
    "a secret that is not there": (
        without_a_key,
        "secret scope azureml has no clientSecret: clusters would not start; `azureml-databricks "
        "secrets set` "
        "puts the service principal there",
    ),
    "a scope that is not there": (
        lambda it: it.write(secrets='scope = "prod"'),
        "there is no secret scope prod: clusters would not start; `azureml-databricks secrets set` puts the "
        "service principal there",
    ),
    "a service credential that is not there": (
        lambda it: it.write(login='auth = "service-credential"\nserviceCredential = "mlflow"'),
        "Unity Catalog has no service credential 'mlflow' (login.serviceCredential): create it, or "
        "name another",
    ),
    "users who write to the volume": (
        with_users_who_write("data-scientists"),
        f"data-scientists {WRITERS}",
    ),
    "everybody who writes to the volume": (
        with_users_who_write("account users"),
        f"account users {WRITERS}",
    ),
    "a damaged record": (
        with_a_record("{"),
        f"{LOCATION}/azureml-databricks.made.json is damaged: it is the record of what was made here; "
        "`azureml-databricks deploy --adopt` makes it anew",
    ),
    "a record of later times": (
        with_a_record('{"format": 2, "made": []}'),
        f"{LOCATION}/azureml-databricks.made.json is of a later version of azureml-databricks: upgrade yours",
    ),
    "a workspace that fails": (
        lambda it: it.databricks.faults.add(path="policies/clusters/create", status=500),
        "policy azureml cannot be made: {'code': 'InjectedFault', 'message': 'A test asked for this "
        "answer.'}",
    ),
}
CLUSTERS = 'runtimes = ["15.4"]\naccessMode = "standard"\nlocation = "{}"'


@pytest.mark.parametrize("what", SITUATIONS)
def test_it_is_told_in_one_line(admin_with_secrets: Admin, what: str) -> None:
    admin = admin_with_secrets
    arrange, said = SITUATIONS[what]
    arrange(admin)

    done = admin.run("deploy", "--yes")

    names = {"client": admin.azure.principal.client_id, "subscription": admin.azure.workspace.subscription_id}
    told = said.replace("{client}", names["client"]).replace("{subscription}", names["subscription"])
    shown = done.stderr.replace(admin.databricks.host, "HOST").replace(admin.azure.mlflow_url, "MLFLOW")
    assert shown == f"Error: {told}\n"
    assert done.returncode == 1


def test_what_is_wrong_in_azure_is_told_before_anything_is_changed(admin_with_secrets: Admin) -> None:
    before = state(admin_with_secrets.databricks, VOLUME)
    as_a_stranger(admin_with_secrets)

    admin_with_secrets.run("deploy", "--yes")

    assert state(admin_with_secrets.databricks, VOLUME) == before


def test_a_workspace_that_is_busy_is_waited_for(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets
    admin.databricks.faults.add(
        path="policies/clusters/create", status=429, headers={"Retry-After": "1"}, times=1
    )

    admin.run_or_fail("deploy", "--yes")


def test_verify_needs_something_to_verify(admin_with_secrets: Admin) -> None:
    assert admin_with_secrets.run("verify").stderr == (
        "Error: nothing is deployed yet: `azureml-databricks deploy` comes first\n"
    )


def test_a_file_that_is_too_large_for_a_workspace_says_so(admin: Admin) -> None:
    client = admin.databricks.cluster_client(admin.databricks.admin)
    folder = WorkspaceFolder(client, "/Workspace/Admins/azureml")
    folder.make()

    with pytest.raises(AdminError) as raised:
        folder.write("archive.tar.gz", b"\0" * 10_485_761)

    assert str(raised.value) == (
        "/Workspace/Admins/azureml/archive.tar.gz has 10,485,761 bytes, and a workspace file at most "
        "10,485,760: "
        "use a volume (clusters.location)"
    )


def test_what_is_asked_wrong_is_no_difference_between_file_and_workspace(admin: Admin) -> None:
    done = admin.run("plan", "--jsn")

    assert done.returncode == 1
    assert "Error: No such option" in done.stderr


def test_errors_are_in_json_runs_too_and_not_on_standard_output(admin: Admin) -> None:
    as_a_stranger(admin)

    done = admin.run("plan", "--json")

    assert done.stdout == ""
    with pytest.raises(json.JSONDecodeError):
        json.loads(done.stdout)
    # A line each for all that is wrong, and no traceback
    assert [line[:7] for line in done.stderr.splitlines()] == ["Error: "] * 2, done.stderr
