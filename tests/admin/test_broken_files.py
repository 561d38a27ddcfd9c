"""Files that are gone or changed, in the present release and in older ones; and what is told of a release."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

from tests.admin.conftest import VOLUME, Admin
from tests.admin.test_deploy import body, make_cluster
from tests.admin.workspace_state import state


def files(admin: Admin, end: str) -> list[str]:
    return [it for it in state(admin.databricks, VOLUME)["files"] if it.endswith(end)]


def unready(admin: Admin) -> list[tuple[str, str, str]]:
    document: dict[str, Any] = json.loads(admin.run("status", "--json").stdout)
    return [(it["kind"], it["name"], it["why"]) for it in document["unready"]]


def test_an_archive_of_other_bytes_and_the_same_length_is_seen_and_put_right(deployed: Admin) -> None:
    # Given an archive that somebody has damaged, of the length that it had
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    (archive,) = files(deployed, ".tar.gz")
    contents = client.files.download(archive).contents
    assert contents
    before = contents.read()
    client.files.upload(archive, io.BytesIO(b"\0" * len(before)), overwrite=True)

    # Then plan sees it
    plan = deployed.run("plan")
    assert plan.returncode == 2
    assert f"    {archive.rpartition('/')[2]}: {len(before):,} bytes, SHA-256 " in plan.stdout

    # And deploy puts it right
    deployed.run_or_fail("deploy", "--yes")
    contents = client.files.download(archive).contents
    assert contents
    assert contents.read() == before
    assert body(deployed.run_or_fail("plan").stdout) == "Nothing to change.\n"


def test_an_archive_that_nobody_has_written_since_is_not_read(deployed: Admin) -> None:
    deployed.run_or_fail("plan")

    assert not [it for it in deployed.databricks.journal if it.path.endswith(".tar.gz")]


def test_one_that_was_written_again_as_it_was_is_no_difference(deployed: Admin) -> None:
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    (archive,) = files(deployed, ".tar.gz")
    contents = client.files.download(archive).contents
    assert contents
    client.files.upload(archive, io.BytesIO(contents.read()), overwrite=True)

    assert body(deployed.run_or_fail("plan").stdout) == "Nothing to change.\n"


def test_what_is_wrong_with_an_older_release_that_is_in_use_is_told(deployed: Admin) -> None:
    # Given a cluster that has an older release, of which a file is gone, and another not what it was
    make_cluster(deployed)
    (script,) = files(deployed, ".sh")
    (settings,) = files(deployed, "azureml-databricks.json")
    deployed.write(settings='onError = "fail"')
    deployed.run_or_fail("deploy", "--yes")
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    client.files.delete(script)
    client.files.upload(settings, io.BytesIO(b"{}"), overwrite=True)

    # Then that is told, with who starts from them
    release = script.split("/")[-2]
    assert sorted(unready(deployed)) == [
        ("release", release, f"azureml-databricks.{what}, and cluster etl start from it")
        for what in ("json is not what was uploaded", "sh is gone")
    ]

    # And what it says to do helps
    deployed.run_or_fail("deploy", "--enforce", "--yes")
    assert unready(deployed) == []


def test_force_uploads_what_is_there_already(deployed: Admin) -> None:
    done = deployed.run_or_fail("deploy", "--force", "--yes")

    assert "updated release" in done.stdout
    assert "updated policy azureml" in done.stdout
    uploads = [it for it in deployed.databricks.journal if it.method == "PUT" and it.path.endswith(".tar.gz")]
    assert len(uploads) == 1


def test_clusters_under_a_policy_that_somebody_deleted_are_named(deployed: Admin) -> None:
    make_cluster(deployed)
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    (policy,) = client.cluster_policies.list()
    client.cluster_policies.delete(str(policy.policy_id))
    told = (
        "policy",
        "azureml",
        f"somebody has deleted the one that it takes the place of ({policy.policy_id}), and under that there "
        "is cluster etl",
    )

    assert unready(deployed) == [told]
    # And still when it is made anew
    deployed.run_or_fail("deploy", "--yes")
    assert unready(deployed) == [told]


# What is told of a release and of the secret --------------------------------------------------------


def test_a_plan_says_what_changes_in_a_release(deployed: Admin) -> None:
    deployed.write(settings='onError = "fail"')
    deployed.run = replace(deployed.run, version="0.2.0")

    done = deployed.run("plan")

    assert deployed.plain(body(done.stdout)).startswith(
        "+ release RELEASE-2\n    version: VERSION -> 0.2.0\n    settings.onError: (not set) -> fail\n"
    )


def test_a_rule_that_is_added_is_shown_as_added(deployed: Admin) -> None:
    fixes = '[policy.fixes]\nautotermination_minutes = {type = "fixed", value = 60}'
    deployed.write(policy=f'name = "azureml"\ngroups = ["data-scientists"]\n{fixes}')

    done = deployed.run("plan")

    assert body(done.stdout) == (
        "~ policy azureml\n    autotermination_minutes: (none) -> fixed 60\n1 to update\n"
    )


def test_the_secrets_age_is_shown_and_told_a_month_before_a_year_is_over(deployed: Admin) -> None:
    fresh = deployed.run_or_fail("status")
    assert "\nSecret azureml/clientSecret: written DATE, 0 days ago\n" in deployed.plain(fresh.stdout)
    assert unready(deployed) == []

    deployed.databricks.vault.moved_back["azureml", "clientSecret"] = 340 * 24 * 3600 * 1000
    done = deployed.run_or_fail("status")

    assert (
        "! secret azureml/clientSecret: it was written 340 days ago, and what `az` makes is valid for a "
        "year; "
        f"`az ad app credential reset --id {deployed.azure.principal.client_id} --append | "
        "azureml-databricks secrets rotate`\n"
    ) in done.stdout
