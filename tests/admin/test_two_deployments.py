"""Two deployments in one workspace, dev and prod: each keeps its own, and what is the other's is named."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from tests.admin.conftest import LOCATION, VOLUME, Admin
from tests.admin.test_deploy import body
from tests.admin.workspace_state import state

PROD = f"{LOCATION}/prod"
RECORD = f"{LOCATION}/azureml-databricks.made.json"
CLUSTERS = f'runtimes = ["15.4"]\naccessMode = "standard"\nlocation = "{PROD}"'
OWN = {"policy": 'name = "azureml-prod"\ngroups = ["data-scientists"]', "secrets": 'scope = "azureml-prod"'}
DEV = f"the deployment in {LOCATION} (policy azureml)"


@pytest.fixture
def prod(deployed: Admin) -> Admin:
    """The admin of a second deployment, whose file has the first one's names but for the location."""
    folder = deployed.folder / "prod"
    folder.mkdir()
    prod = Admin(folder, deployed.databricks, deployed.azure)
    prod.write(clusters=CLUSTERS)
    return prod


def other_principal(admin: Admin) -> str:
    """What `az` prints of another service principal than the first deployment's."""
    it = admin.azure.stranger
    return json.dumps({"tenant": it.tenant_id, "appId": it.client_id, "password": it.client_secret})


def unready(admin: Admin, command: str = "plan") -> list[tuple[str, str, str]]:
    document = json.loads(admin.run(command, "--json").stdout)
    return [(it["kind"], it["name"], it["why"]) for it in document["unready"]]


def test_the_others_service_principal_is_not_replaced(deployed: Admin, prod: Admin) -> None:
    before = state(deployed.databricks, VOLUME)

    for command in ("set", "rotate"):
        done = prod.run("secrets", command, stdin=other_principal(prod))

        assert done.returncode == 1
        assert done.stderr.startswith(
            f"Error: secret scope azureml has service principal {prod.azure.principal.client_id} of {DEV}, "
            f"and {prod.azure.stranger.client_id} would take its place: give this deployment a scope of its "
            'own, scope = "azureml-forecasting" under [secrets], then `azureml-databricks secrets set`, and '
            "`azureml-databricks deploy`; the secret is not in the scope: "
        )
    assert state(deployed.databricks, VOLUME) == before


def test_the_others_policy_is_named_with_its_location(prod: Admin) -> None:
    done = prod.run("plan")

    assert done.stderr == (
        f"Error: there is a policy 'azureml' already, of the deployment in {LOCATION} (made by "
        "admin@contoso.com): choose another name (policy.name)\n"
    )


def test_a_scope_that_both_use_is_told(deployed: Admin, prod: Admin) -> None:
    prod.write(clusters=CLUSTERS, policy=OWN["policy"])

    told = (
        f"{DEV} has its secret there, too: clusters of both log in as one service principal, "
        f"{prod.azure.principal.client_id}"
    )

    assert unready(prod) == [("secret scope", "azureml", told)]
    assert unready(deployed) == []


def test_with_names_of_its_own_neither_sees_the_other(deployed: Admin, prod: Admin) -> None:
    # When prod is deployed beside dev, with its own service principal
    before: dict[str, Any] = state(deployed.databricks, VOLUME)
    prod.write(clusters=CLUSTERS, **OWN)
    prod.run_or_fail("secrets", "set", stdin=other_principal(prod))
    prod.run_or_fail("deploy", "--yes")

    assert unready(prod) == []
    assert body(deployed.run_or_fail("plan").stdout) == "Nothing to change.\n"
    # Then dev's removal takes nothing that prod needs, though both are in one volume
    done = deployed.run("destroy", "--yes")
    assert f"right READ VOLUME on {VOLUME} for data-scientists stays: " in done.stdout
    assert f"the deployment in {PROD} (policy azureml-prod)" in done.stdout
    after = state(deployed.databricks, VOLUME)
    assert after["grants"] == before["grants"]
    assert list(after["policies"]) == ["azureml-prod"]
    assert body(prod.run_or_fail("plan").stdout) == "Nothing to change.\n"


def test_a_location_that_has_the_deployment_of_another_workspace_is_refused(prod: Admin) -> None:
    # Given a file that was copied, and of which only the Azure ML workspace was changed
    it = prod.azure.workspace
    prod.write(workspace=f'id = "{it.resource_id}-prod"')
    path = f"{it.subscription_id}/{it.resource_group}/{it.name}"

    for command in ("plan", "deploy", "destroy", "secrets set"):
        done = prod.run(*command.split(), stdin=prod.service_principal)

        assert done.returncode == 1
        assert done.stderr.startswith(
            f"Error: {LOCATION} has the deployment for the Azure ML workspace {path}, and "
            f"azureml-databricks.toml is for {path}-prod: one location has one deployment; choose "
            "another location (clusters.location), or, if clusters there are to go to the other workspace "
            "from now on, `azureml-databricks deploy --adopt`"
        )


def test_the_first_ones_location_is_refused_before_anything_is_changed(deployed: Admin, prod: Admin) -> None:
    # Given prod's file, of the same Azure ML workspace, with names of its own and the location left as it was
    prod.write(**OWN)
    before = state(deployed.databricks, VOLUME)

    for command in ("plan", "deploy --yes", "destroy --yes", "status", "secrets set", "secrets rotate"):
        done = prod.run(*command.split(), stdin=prod.service_principal)

        assert done.returncode == 1
        assert done.stderr.startswith(
            f"Error: {LOCATION} has another deployment (policy azureml, secret scope azureml), and "
            "azureml-databricks.toml is for policy azureml-prod, secret scope azureml-prod: one location has "
            "one deployment; choose another location (clusters.location), or, "
        )
    assert state(deployed.databricks, VOLUME) == before
    # And as well by the record of an older version, which does not say what it is known by
    files = deployed.databricks.cluster_client(deployed.databricks.admin).files
    contents = files.download(RECORD).contents
    assert contents
    document = json.loads(contents.read())
    assert document.pop("names") == ["policy azureml", "secret scope azureml"]
    files.upload(RECORD, io.BytesIO(json.dumps(document).encode()), overwrite=True)
    assert f"Error: {LOCATION} has another deployment (policy azureml, " in prod.run("plan").stderr


def test_a_scope_alone_says_whose_location_it_is(admin_with_secrets: Admin) -> None:
    # Given dev, of which there is a secret and no policy yet
    before = state(admin_with_secrets.databricks, VOLUME)
    admin_with_secrets.write(**OWN)

    done = admin_with_secrets.run("secrets", "set", stdin=admin_with_secrets.service_principal)

    assert f"Error: {LOCATION} has another deployment (policy azureml, secret scope azureml)" in done.stderr
    assert state(admin_with_secrets.databricks, VOLUME) == before


def test_names_may_change_one_after_the_other_and_the_plan_tells_whose_policy_gets_another(
    deployed: Admin,
) -> None:
    (policy,) = deployed.databricks.client().cluster_policies.list()

    deployed.write(policy=OWN["policy"])
    told = unready(deployed)
    deployed.run_or_fail("deploy", "--yes")
    deployed.write(**OWN)
    deployed.run_or_fail("secrets", "set", stdin=deployed.service_principal)
    deployed.run_or_fail("deploy", "--yes")

    file = "azureml-databricks.toml"
    assert told == [
        (
            "policy",
            "azureml",
            f"{file} calls it azureml-prod from now on: it keeps its ID, and what is under it",
        )
    ]
    assert [it.policy_id for it in deployed.databricks.client().cluster_policies.list()] == [policy.policy_id]
    assert unready(deployed) == []


def test_a_client_id_that_somebody_has_written_since_is_told(deployed: Admin) -> None:
    # Given somebody who puts another service principal there, as the manual way tells
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    client.secrets.put_secret("azureml", "clientId", string_value=deployed.azure.stranger.client_id)

    ((kind, name, why),) = unready(deployed)

    assert (kind, name) == ("secret", "azureml/clientId")
    assert why.startswith("somebody has written it since (20")
    assert why.endswith(f"as another service principal than {deployed.azure.principal.client_id}")
    assert unready(deployed, "status") == [(kind, name, why)]
    # When it is put back
    deployed.run_or_fail("secrets", "set", stdin=deployed.service_principal)
    assert unready(deployed) == []
