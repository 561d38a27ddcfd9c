"""The service principal of the clusters, from what `az` prints into the secret scope."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from collections.abc import Callable

import pytest

from azureml_databricks.admin.commands import service_principal
from tests.admin.command import SCRIPT, Done
from tests.admin.conftest import VOLUME, Admin
from tests.admin.test_lost_record import record
from tests.admin.workspace_state import state

SECRETS_MADE = """\
made secret scope azureml
made secret azureml/subscriptionid
made secret azureml/resourcegroup
made secret azureml/workspacename
made secret azureml/tenantId
made secret azureml/clientId
made secret azureml/clientSecret
made right READ on secret scope azureml for data-scientists
"""


def assert_never_printed(admin: Admin, done: Done) -> None:
    """The secret is in no output, no recorded call, no file and no variable but the admin's own."""
    secret = admin.azure.principal.client_secret
    files = [
        path.read_text() for path in admin.folder.rglob("*") if path.is_file() and path.name != "sp.json"
    ]
    for text in (done.stdout, done.stderr, admin.databricks.recorded(), *files):
        assert secret not in text
    assert secret not in str(admin.azure.journal)


def test_what_az_prints_becomes_the_keys_of_the_usual_way(admin: Admin) -> None:
    done = admin.run("secrets", "set", stdin=admin.service_principal)

    assert (done.returncode, done.stdout, done.stderr) == (0, SECRETS_MADE, "")
    now = state(admin.databricks, VOLUME)
    workspace, principal = admin.azure.workspace, admin.azure.principal
    assert now["secrets"] == {
        "azureml": {
            "tenantId": principal.tenant_id,
            "clientId": principal.client_id,
            "clientSecret": principal.client_secret,
            "subscriptionid": workspace.subscription_id,
            "resourcegroup": workspace.resource_group,
            "workspacename": workspace.name,
        }
    }
    assert now["acls"]["azureml"] == [("admin@contoso.com", "MANAGE"), ("data-scientists", "READ")]
    assert_never_printed(admin, done)


def test_the_form_of_sdk_auth_is_read_from_a_file(admin: Admin) -> None:
    it = admin.azure.principal
    printed = {
        "clientId": it.client_id,
        "clientSecret": it.client_secret,
        "subscriptionId": admin.azure.workspace.subscription_id,
        "tenantId": it.tenant_id,
        "activeDirectoryEndpointUrl": "https://login.microsoftonline.com",
    }
    (admin.folder / "sp.json").write_text(json.dumps(printed))

    done = admin.run_or_fail("secrets", "set", "--from", "sp.json", "--json")

    assert [it["name"] for it in json.loads(done.stdout)["changes"]][-2:] == [
        "azureml/clientSecret",
        "READ on secret scope azureml for data-scientists",
    ]
    assert admin.databricks.vault.value("azureml", "clientSecret") == it.client_secret
    assert_never_printed(admin, done)


def test_names_of_keys_and_scope_are_those_of_the_file(admin: Admin) -> None:
    admin.write(secrets='scope = "prod"\nclientSecret = "sp-secret"')

    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    admin.run_or_fail("deploy", "--yes")

    assert admin.databricks.vault.value("prod", "sp-secret") == admin.azure.principal.client_secret
    definition = state(admin.databricks, VOLUME)["policies"]["azureml"]["definition"]
    assert definition["spark_env_vars.AZURE_CLIENT_SECRET"] == {
        "type": "fixed",
        "value": "{{secrets/prod/sp-secret}}",
        "hidden": True,
    }


def test_on_a_terminal_the_secret_is_asked_for_and_not_shown(admin: Admin) -> None:
    it = admin.azure.principal
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [SCRIPT, "secrets", "set"],
        cwd=admin.folder,
        env=admin.environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    for answer in (it.tenant_id, it.client_id, it.client_secret):
        while not shown.endswith(b": "):
            shown += os.read(ours, 1000)
        os.write(ours, f"{answer}\n".encode())
        shown += b"\n"
    while chunk := _read(ours):
        shown += chunk

    assert process.wait() == 0, shown.decode()
    assert it.client_secret not in shown.decode()
    assert b"Secret (password), not shown: " in shown
    assert admin.databricks.vault.value("azureml", "clientSecret") == it.client_secret


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1000)
    except OSError:  # the other end is closed
        return b""


def writes(admin: Admin) -> list[str]:
    """What was written in the workspace."""
    return [it.path for it in admin.databricks.journal if it.method not in ("GET", "HEAD")]


def way_out(admin: Admin, command: str = "secrets set", client_id: str = "") -> str:
    """The end of an error, which says how one gets another secret; with a command of ours, or none."""
    made = f"az ad app credential reset --id {client_id or admin.azure.principal.client_id} --append"
    return (
        "; the secret is not in the scope: if that was its only copy, "
        f"`{made}{f' | azureml-databricks {command}' if command else ''}` makes another\n"
    )


def test_a_service_principal_that_azure_does_not_know_yet_is_waited_for(admin: Admin) -> None:
    # Given an application that Entra ID has made a moment ago
    client_id = admin.azure.principal.client_id
    admin.azure.not_known_yet[client_id] = [700016, 7000229, 90033, 7000215]

    done = admin.run_or_fail("secrets", "set", stdin=admin.service_principal)

    assert done.stdout == SECRETS_MADE
    # And what is waited for is said at once, and how to end it
    assert done.progress == [
        f"Azure does not know {client_id} or its secret (AADSTS700016), as it is for a minute after they "
        "were made: trying again, two minutes at most; Ctrl-C ends that, and nothing is changed"
    ]
    assert admin.azure.not_known_yet[client_id] == []
    assert_never_printed(admin, done)


def test_a_secret_that_azure_does_not_know_in_two_minutes_is_not_put_there(admin: Admin) -> None:
    wrong = json.loads(admin.service_principal) | {"password": "wr0ng~secret"}

    done = admin.run("secrets", "set", stdin=json.dumps(wrong))

    assert done.returncode == 1
    assert done.stderr == (
        f"Error: service principal {admin.azure.principal.client_id} cannot log in to Azure, nothing "
        f"was changed: "
        "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request "
        "is the client "
        "secret value, not the client secret ID, for a secret added to app "
        f"'{admin.azure.principal.client_id}'{way_out(admin)}"
    )
    assert len(admin.azure.journal.of("login.microsoftonline.com", "oauth2/v2.0/token")) == 16
    assert not writes(admin)


def test_what_azure_refuses_for_good_is_not_waited_for(admin: Admin) -> None:
    expired = json.loads(admin.service_principal) | {"password": admin.azure.principal.expired_secret}

    done = admin.run("secrets", "set", stdin=json.dumps(expired))

    assert "AADSTS7000222" in done.stderr
    assert done.stderr.endswith(way_out(admin))
    assert len(admin.azure.journal.of("login.microsoftonline.com", "oauth2/v2.0/token")) == 1
    assert not writes(admin)


LOST = {
    "no file in this folder": (lambda admin: admin.file.unlink(), "azureml-databricks.toml cannot be read"),
    "a file with an error": (lambda admin: admin.write(policy="name = 7"), ":13: policy.name is 7"),
    "no login to Databricks": (
        lambda admin: admin.environment.update(DATABRICKS_TOKEN="dapi0"),
        "refuses the login",
    ),
    "a scope of a Key Vault": (
        lambda admin: admin.databricks.vault.add_key_vault("azureml", {}),
        "is backed by a Key Vault",
    ),
    "no answer to the writing": (
        lambda admin: admin.databricks.faults.add(path="secrets/put", status=403),
        "cannot be written",
    ),
}


@pytest.mark.parametrize(("spoil", "said"), LOST.values(), ids=LOST)
def test_whatever_goes_wrong_the_way_to_another_secret_is_told(
    admin: Admin, spoil: Callable[[Admin], object], said: str
) -> None:
    spoil(admin)

    done = admin.run("secrets", "set", stdin=admin.service_principal)

    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.endswith(way_out(admin, command="" if "Key Vault" in said else "secrets set"))
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_option_loses_nothing(admin: Admin) -> None:
    done = admin.run("secrets", "set", "--fil", "x.toml", stdin=admin.service_principal)

    assert done.returncode == 1
    assert done.stderr.startswith("Error: No such option '--fil'")
    assert done.stderr.endswith(way_out(admin))
    assert len(done.stderr.splitlines()) == 1
    # And where another option is wrong, the file is still the one that was given
    done = admin.run("secrets", "set", "--file=prod.toml", "--jsn", stdin=admin.service_principal)
    assert done.stderr.endswith(way_out(admin, "secrets set --file prod.toml"))


def test_the_way_out_has_the_options_that_were_given(admin: Admin) -> None:
    done = admin.run("secrets", "rotate", "--file", "prod.toml", stdin=admin.service_principal)

    assert done.stderr.endswith(way_out(admin, "secrets rotate --file prod.toml"))


def test_all_that_can_be_looked_at_is_looked_at_before_azure_is_asked(admin: Admin) -> None:
    admin.databricks.vault.add_key_vault("azureml", {})

    admin.run("secrets", "set", stdin=admin.service_principal)

    assert not admin.azure.journal.of("login.microsoftonline.com", "oauth2/v2.0/token")


def test_a_secret_that_is_in_the_scope_is_not_said_to_be_lost(admin: Admin) -> None:
    # Given a right that cannot be given, once the secret is written
    admin.databricks.faults.add(path="secrets/acls/put", status=400)

    done = admin.run("secrets", "set", stdin=admin.service_principal)

    assert done.returncode == 1
    assert "made secret azureml/clientSecret" in done.stdout
    assert "az ad app" not in done.stderr
    # And a right that was not given is none of ours to take back
    assert not [it for it in record(admin) if it["kind"] == "right"]


def test_a_group_that_is_not_there_is_told_before_anything_is_written(admin: Admin) -> None:
    admin.write(policy='name = "azureml"\ngroups = ["data-scientist"]')

    done = admin.run("secrets", "set", stdin=admin.service_principal)

    assert done.stderr == (
        "Error: azureml-databricks.toml:14: policy.groups has 'data-scientist': there is no such group in "
        f"this workspace; did you mean data-scientists?{way_out(admin)}"
    )
    assert not writes(admin)
    assert not admin.azure.journal.of("login.microsoftonline.com", "oauth2/v2.0/token")


def test_a_service_principal_without_a_role_is_told(admin: Admin) -> None:
    # Given a service principal that logs in, and has no role on the Azure ML workspace, or none yet
    it = admin.azure.stranger
    printed = json.dumps({"tenant": it.tenant_id, "appId": it.client_id, "password": it.client_secret})

    done = admin.run_or_fail("secrets", "set", stdin=printed)

    # Then its secret is not lost, and what is missing is said with the command that gives it
    first, *rest = done.stdout.splitlines(keepends=True)
    assert first.startswith(f"! service principal {it.client_id}: ")
    assert "it takes the role Reader (or AzureML Data Scientist) on the workspace" in first
    assert first.endswith(
        f'`az role assignment create --assignee {it.client_id} --role "AzureML Data Scientist" --scope '
        f"{admin.azure.workspace.resource_id}` gives it\n"
    )
    assert "".join(rest) == SECRETS_MADE


def test_rotate_does_not_mix_two_service_principals_and_tells_a_way_for_each(deployed: Admin) -> None:
    before = state(deployed.databricks, VOLUME)
    it, there = deployed.azure.stranger, deployed.azure.principal.client_id
    printed = json.dumps({"tenant": it.tenant_id, "appId": it.client_id, "password": it.client_secret})
    file = deployed.folder / "prod one.toml"
    file.write_text(deployed.file.read_text())

    done = deployed.run("secrets", "rotate", "--file", file.name, stdin=printed)

    ours = "azureml-databricks"
    assert done.stderr == (
        f"Error: secret scope azureml has service principal {there}, and this secret is of {it.client_id}: "
        f"`az ad app credential reset --id {there} --append | {ours} secrets rotate --file 'prod one.toml'` "
        f"replaces the secret that is there; to log in as {it.client_id} instead, name other keys in "
        f"[secrets], then `az ad app credential reset --id {it.client_id} --append | {ours} secrets set "
        f"--file 'prod one.toml'`, and `{ours} deploy --file 'prod one.toml'`\n"
    )
    assert state(deployed.databricks, VOLUME) == before


def test_rotate_names_the_command_whose_output_it_reads(admin: Admin) -> None:
    done = admin.run("secrets", "rotate", stdin="AppId  Password\na  s3cr3t")

    assert done.stderr.startswith("Error: there is no secret scope azureml")
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    assert admin.run("secrets", "rotate", stdin="AppId  Password\na  s3cr3t").stderr.startswith(
        "Error: standard input is not JSON: give what `az ad app credential reset --append` prints (with "
        "--output json); the secret is not in the scope: "
    )


def test_rotate_replaces_the_secret_by_one_that_logs_in(deployed: Admin) -> None:
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    before = state(deployed.databricks, VOLUME)
    client.secrets.put_secret("azureml", "clientSecret", string_value="an old one")
    deployed.databricks.journal.clear()

    done = deployed.run_or_fail("secrets", "rotate", stdin=deployed.service_principal)

    # Nothing is written but the secret, so that no cluster can get the ID of one and the secret of another.
    assert done.stdout == (
        "updated secret azureml/clientSecret\n"
        f"The secret of service principal {deployed.azure.principal.client_id} is replaced. "
        "Clusters that run keep the old one until they restart: delete it in Entra ID after that.\n"
    )
    assert [(it.method, it.path) for it in deployed.databricks.journal if it.method == "POST"] == [
        ("POST", "/api/2.0/secrets/put")
    ]
    assert_never_printed(deployed, done)
    assert state(deployed.databricks, VOLUME) == before


def test_rotate_proves_the_role_before_it_writes(admin: Admin) -> None:
    # Given a service principal in the scope that logs in, and has no role on the workspace
    it = admin.azure.stranger
    other = {"tenant": it.tenant_id, "appId": it.client_id, "password": it.client_secret}
    admin.run_or_fail("secrets", "set", stdin=json.dumps(other))
    admin.databricks.journal.clear()

    done = admin.run("secrets", "rotate", stdin=json.dumps(other))

    assert done.returncode == 1
    assert "it takes the role" in done.stderr
    assert it.client_secret not in done.stderr
    assert not [it for it in admin.databricks.journal if it.method == "POST"]


def test_rotate_refuses_a_secret_that_cannot_log_in(deployed: Admin) -> None:
    before = state(deployed.databricks, VOLUME)
    wrong = json.loads(deployed.service_principal) | {"password": "wr0ng~secret"}

    done = deployed.run("secrets", "rotate", stdin=json.dumps(wrong))

    assert done.returncode == 1
    assert "cannot log in to Azure, nothing was changed: AADSTS7000215" in done.stderr
    assert done.stderr.endswith(way_out(deployed, "secrets rotate"))
    assert "wr0ng~secret" not in done.stdout + done.stderr
    assert state(deployed.databricks, VOLUME) == before
    assert not writes(deployed)


def test_rotate_needs_something_to_replace(admin: Admin) -> None:
    done = admin.run("secrets", "rotate", stdin=admin.service_principal)

    assert done.stderr == (
        "Error: there is no secret scope azureml: clusters would not start; "
        "`azureml-databricks secrets set` puts the service principal there"
        f"{way_out(admin, 'secrets set')}"
    )


def test_what_somebody_else_put_there_is_not_replaced_unasked(admin: Admin) -> None:
    client = admin.databricks.cluster_client(admin.databricks.admin)
    client.secrets.create_scope("azureml")
    client.secrets.put_secret("azureml", "clientId", string_value="somebody's")

    done = admin.run("secrets", "set", stdin=admin.service_principal)

    assert done.stderr == (
        "Error: secret scope azureml has clientId already, which we have not put there: use it as it is, or "
        f"name other keys in [secrets]{way_out(admin)}"
    )
    assert admin.databricks.vault.value("azureml", "clientId") == "somebody's"


def test_a_scope_of_a_key_vault_is_used_and_not_written(admin: Admin) -> None:
    it = admin.azure.principal
    values = {"tenantId": it.tenant_id, "clientId": it.client_id, "clientSecret": it.client_secret}
    admin.databricks.vault.add_key_vault("azureml", values)

    refused = admin.run("secrets", "set", stdin=admin.service_principal)
    admin.run_or_fail("deploy", "--yes")

    assert refused.stderr == (
        "Error: secret scope azureml is backed by a Key Vault, which Databricks cannot write to: put "
        "tenantId, "
        "clientId, clientSecret there, `az keyvault secret set --vault-name azureml ...`"
        f"{way_out(admin, command='')}"
    )
    assert not [
        it
        for it in admin.databricks.journal
        if it.path.startswith("/api/2.0/secrets/") and it.method == "POST"
    ]


WARNING = "WARNING: The output includes credentials that you must protect. {See} the docs.\n"
AS_WINDOWS_HANDS_IT_OVER = {
    "UTF-16, as > in PowerShell 5 writes": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
    "a mark before UTF-8": lambda text: text.encode("utf-8-sig"),
    "a warning before it": lambda text: f"{WARNING}{text}\n".encode(),
    "a warning before and a line after it": lambda text: f"{WARNING}\n  {text}\nDone.\n".encode("utf-16"),
}


@pytest.mark.parametrize("handed", AS_WINDOWS_HANDS_IT_OVER.values(), ids=AS_WINDOWS_HANDS_IT_OVER)
def test_what_az_prints_is_read_in_any_form(handed: Callable[[str], bytes]) -> None:
    printed = {"appId": "app", "displayName": "Modèle €", "password": "s3cr3t", "tenant": "tenant"}

    given = service_principal.parse(
        handed(json.dumps(printed, indent=2, ensure_ascii=False)), "sp.json", "az"
    )

    assert given == service_principal.ServicePrincipal("tenant", "app", "s3cr3t")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "AppId  Password\na  s3cr3t",
            "standard input is not JSON: give what `az ad sp create-for-rbac` prints (with --output json)",
        ),
        (
            '["s3cr3t"]',
            "standard input is not JSON: give what `az ad sp create-for-rbac` prints (with --output json)",
        ),
        (
            "",
            "standard input is empty: give what `az ad sp create-for-rbac` prints, "
            "if that failed see what it said",
        ),
        (
            '{"appId": "a", "tenant": "t"}',
            "standard input has no password or clientSecret: give what `az ad sp create-for-rbac` prints",
        ),
        (
            '{"password": "s3cr3t"}',
            "standard input has no tenant or tenantId: give what `az ad sp create-for-rbac` prints",
        ),
        (
            '{"appId": "a", "fileWithCertAndPrivateKey": "/x.pem", "tenant": "t"}',
            "standard input is a service principal with a certificate: clusters need one with a password",
        ),
    ],
)
def test_what_is_no_service_principal_is_refused_and_not_shown(admin: Admin, text: str, said: str) -> None:
    done = admin.run("secrets", "set", stdin=text)

    lost = way_out(admin, client_id="APP_ID") if text else "\n"
    assert (done.returncode, done.stderr) == (1, f"Error: {said}{lost}")


def test_where_no_secret_is_needed_none_is_asked_for(admin: Admin) -> None:
    clusters = 'runtimes = ["15.4"]\naccessMode = "dedicated"\nlocation = "/Volumes/sales/ml/azureml"'
    admin.write(clusters=clusters, login='auth = "managed-identity"')

    done = admin.run("secrets", "set", stdin="")

    assert done.stderr == 'Error: clusters need no secret with auth = "managed-identity" ([login])\n'


def test_a_secret_is_in_no_argument_so_no_list_of_processes_shows_it(admin: Admin) -> None:
    help_texts = [admin.run("secrets", it, "--help").stdout for it in ("set", "rotate")]

    for text in help_texts:
        assert not re.search(r"--[a-z-]*(secret|password)", text)


@pytest.mark.parametrize("command", ["set", "rotate"])
def test_a_file_is_told_the_way_out_of_too_whatever_goes_wrong_before_it_is_looked_at(
    admin: Admin, command: str
) -> None:
    (admin.run.folder / "sp.json").write_text(admin.service_principal)
    client_id = admin.azure.principal.client_id

    for given in (["--file", "missing.toml"], ["--policy", "nope"], ["--json", "--file=missing.toml"]):
        done = admin.run("secrets", command, "--from", "sp.json", *given)

        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert f"az ad app credential reset --id {client_id} --append | " in done.stderr


def test_the_way_out_of_a_file_that_is_none_reads_what_is_piped(admin: Admin) -> None:
    (admin.run.folder / "sp.json").write_text('{"appId": ')

    for given in (["--from", "sp.json"], ["--from=sp.json"]):
        done = admin.run("secrets", "set", *given, "--json")

        assert done.returncode == 1
        assert done.stderr.endswith(" --append | azureml-databricks secrets set --json` makes another\n"), (
            done.stderr
        )
