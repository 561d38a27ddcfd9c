"""What is in use stays, however it is spelt and whoever uses it; what others put there stays, too."""

from __future__ import annotations

import io
import json
import unicodedata

import pytest
from databricks.sdk.service.compute import DataSecurityMode, InitScriptInfo, VolumesStorageInfo
from databricks.sdk.service.pipelines import PipelineCluster
from databricks.sdk.service.workspace import ImportFormat

from azureml_databricks.admin.objects.pointing import points_at
from tests.admin.conftest import LOCATION, VOLUME, Admin
from tests.admin.test_deploy import make_cluster
from tests.admin.test_status import make_job
from tests.admin.workspace_state import state

RELEASE = "0123456789ab"


@pytest.mark.parametrize(
    ("location", "spelt"),
    [
        ("/Volumes/sales/ml/azureml", "/Volumes/sales/ml/azureml"),
        ("/Volumes/Sales/ML/azureml", "/Volumes/sales/ml/azureml"),
        ("/Volumes/sales/ml/azureml", "/volumes/SALES/ml/AzureML"),
        ("/Volumes/sales/ml/azureml", "dbfs:/Volumes/sales/ml/azureml"),
        ("/Volumes/sales/ml/azureml", "/dbfs/Volumes/sales/ml/azureml"),
        ("/Volumes/sales/ml/azureml", "/Volumes//sales/./ml/azureml"),
        ("/Volumes/sales/ml/our files", "/Volumes/sales/ml/our files"),
        ("/Volumes/sales/ml/our files", "dbfs:/Volumes/sales/ml/our%20files"),
        ("/Volumes/sales/ml/für alle", "/Volumes/sales/ml/für alle"),
        ("/Volumes/sales/ml/für alle", unicodedata.normalize("NFD", "/Volumes/sales/ml/für alle")),
        ('/Volumes/sales/ml/a"b\\c', '/Volumes/sales/ml/a"b\\c'),
        ("/Workspace/Admins/azureml", "/Admins/azureml"),
        ("/Workspace/Admins/azureml", "/Workspace/Admins/azureml"),
    ],
)
@pytest.mark.parametrize("file", ["/azureml-databricks.sh", "/", ""])
def test_a_release_is_known_by_any_spelling_of_its_place(location: str, spelt: str, file: str) -> None:
    path = f"{spelt}/{RELEASE}{file}"
    definition = {"init_scripts.0.volumes.destination": {"type": "fixed", "value": path}}

    for known in (
        {"init_scripts": [{"volumes": {"destination": path}}]},
        {"definition": json.dumps(definition)},
        {"definition": json.dumps(definition, ensure_ascii=False)},
        {"spark_env_vars": {"SETUP": f"bash '{path}'" if file.endswith("sh") else path}},
    ):
        assert points_at(known, f"{location}/{RELEASE}/")


@pytest.mark.parametrize(
    "other",
    [
        "/Volumes/sales/ml/azureml2/0123456789ab/azureml-databricks.sh",
        "/Volumes/sales/ml/azureml/0123456789ac/azureml-databricks.sh",
        "/Volumes/sales/azureml/0123456789ab/azureml-databricks.sh",
        "",
    ],
)
def test_and_not_by_anothers(other: str) -> None:
    assert not points_at({"init_scripts": [{"volumes": {"destination": other}}]}, f"{LOCATION}/{RELEASE}/")


def script_of(admin: Admin) -> str:
    (script,) = [path for path in state(admin.databricks, VOLUME)["files"] if path.endswith(".sh")]
    return str(script)


def users_of_the_old_release(admin: Admin) -> str:
    """What a plan says of the release that was there before a setting is changed."""
    admin.write(settings='onError = "fail"')
    kept = json.loads(admin.run("plan", "--json").stdout)["kept"]
    return ", ".join(it["why"] for it in kept if it["kind"] == "release")


def test_a_cluster_that_spells_it_otherwise_keeps_its_release(deployed: Admin) -> None:
    # Given a cluster of an admin's, whose path of the script has other letters
    script = f"dbfs:{script_of(deployed).replace('/sales/ml/', '/Sales/ML/')}"
    deployed.databricks.cluster_client(deployed.databricks.admin).clusters.create(
        cluster_name="etl",
        spark_version="15.4.x-scala2.12",
        node_type_id="Standard_DS3_v2",
        num_workers=1,
        data_security_mode=DataSecurityMode.SINGLE_USER,
        single_user_name="ann@contoso.com",
        init_scripts=[InitScriptInfo(volumes=VolumesStorageInfo(destination=script))],
    )

    assert users_of_the_old_release(deployed) == "cluster etl"
    deployed.run_or_fail("deploy", "--yes")
    destroyed = deployed.run("destroy", "--yes")
    assert (destroyed.returncode, destroyed.stderr) == (2, "")
    assert "stays: cluster etl" in destroyed.stdout
    assert script_of(deployed)


def make_pipelines(admin: Admin, *clusters: PipelineCluster, number: int = 1) -> None:
    client = admin.databricks.cluster_client(admin.databricks.admin)
    for each in range(number):
        client.pipelines.create(name=f"ingest {each}", clusters=list(clusters))


@pytest.mark.parametrize("number", [1, 120])
def test_a_pipelines_script_keeps_its_release(deployed: Admin, number: int) -> None:
    # Given pipelines without clusters of their own, and one whose cluster has our script
    make_pipelines(deployed, number=number)
    script = InitScriptInfo(volumes=VolumesStorageInfo(destination=script_of(deployed)))
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    of_ours = PipelineCluster(label="default", init_scripts=[script])
    client.pipelines.create(name="nightly", clusters=[of_ours])

    assert users_of_the_old_release(deployed) == "pipeline nightly"
    deployed.run_or_fail("deploy", "--yes")
    assert "pipeline nightly" in deployed.run("status").stdout


def test_a_location_with_other_letters_keeps_what_is_in_use(admin: Admin) -> None:
    # Given a folder whose name has letters that JSON may write by their numbers
    folder = "/Workspace/Admins/Für alle"
    admin.write(clusters=f'runtimes = ["15.4"]\naccessMode = "dedicated"\nlocation = "{folder}"')
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    admin.run_or_fail("deploy", "--yes")
    make_cluster(admin, single_user_name="ann@contoso.com")

    admin.write(
        clusters=f'runtimes = ["15.4"]\naccessMode = "dedicated"\nlocation = "{folder}"',
        settings='onError = "fail"',
    )
    done = admin.run_or_fail("deploy", "--yes")

    assert "stays: cluster etl" in done.stdout
    assert admin.run("plan").returncode == 0


# What somebody else has put there ---------------------------------------------------------------------


def put(admin: Admin, path: str) -> None:
    files = admin.databricks.cluster_client(admin.databricks.admin).files
    files.create_directory(path.rpartition("/")[0])
    files.upload(path, io.BytesIO(b"theirs"), overwrite=True)


@pytest.mark.parametrize("theirs", ["notes.txt", "old/azureml-databricks.sh"])
def test_a_release_in_which_somebody_has_a_file_is_told_and_left(deployed: Admin, theirs: str) -> None:
    # Given a file of somebody's in the release's folder
    folder = script_of(deployed).rpartition("/")[0]
    put(deployed, f"{folder}/{theirs}")
    before = {path for path in state(deployed.databricks, VOLUME)["files"] if path.startswith(folder)}
    told = f"{theirs.partition('/')[0]} in it, which we have not put there"

    # Then it is told, and is no difference
    plan = deployed.run_or_fail("plan")
    assert f": {told}; take it out of {folder}" in plan.stdout

    # And where the release is not wanted any more, it stays with all that is in it
    deployed.write(settings='onError = "fail"')
    done = deployed.run_or_fail("deploy", "--yes")
    assert f"stays: {told}" in done.stdout
    assert f"stays: {told}" in deployed.run("destroy", "--yes").stdout
    assert before <= set(state(deployed.databricks, VOLUME)["files"])

    # Until it is gone
    files = deployed.databricks.cluster_client(deployed.databricks.admin).files
    files.delete(f"{folder}/{theirs}")
    if "/" in theirs:
        files.delete_directory(f"{folder}/{theirs.partition('/')[0]}")
    deployed.run_or_fail("destroy", "--yes")
    assert state(deployed.databricks, VOLUME)["files"] == {}


def test_a_folder_of_ours_in_which_somebody_has_a_file_stays(admin: Admin) -> None:
    folder = "/Workspace/Admins/azureml"
    admin.write(clusters=f'runtimes = ["15.4"]\naccessMode = "dedicated"\nlocation = "{folder}"')
    admin.run_or_fail("secrets", "set", stdin=admin.service_principal)
    admin.run_or_fail("deploy", "--yes")
    workspace = admin.databricks.cluster_client(admin.databricks.admin).workspace
    workspace.upload(f"{folder}/notes.txt", b"theirs", format=ImportFormat.AUTO)

    done = admin.run("destroy", "--yes")

    assert done.returncode == 2
    assert f"folder {folder} stays: notes.txt in it, which we have not put there" in done.stdout
    assert [it.path for it in workspace.list(folder)] == ["/Admins/azureml/notes.txt"]


# How often is asked -----------------------------------------------------------------------------------


def asked(admin: Admin, path: str) -> int:
    return sum(1 for it in admin.databricks.journal if it.path == path)


def test_status_asks_once_for_what_is_under_the_policy(deployed: Admin) -> None:
    make_cluster(deployed)
    for name in ("nightly", "weekly"):
        make_job(deployed, name)
    deployed.databricks.journal.clear()

    deployed.run_or_fail("status")

    assert asked(deployed, "/api/2.0/policies/jobs/list-compliance") == 1
    assert asked(deployed, "/api/2.2/jobs/get") == 2
    # All, for what points at releases: those under the policy are among them
    assert asked(deployed, "/api/2.1/clusters/list") == 1
