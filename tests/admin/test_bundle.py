"""`azureml-databricks bundle`: what an admin uploads, run as an admin runs it."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from azureml_databricks.admin.command_line import files
from tests import REPOSITORY
from tests.emulated.workspace import TRACKING_URI

BINARIES = Path(sys.executable).parent
LOCATION = "/Volumes/main/default/azureml"


def bundle(out: Path, *options: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(BINARIES / "azureml-databricks"), "bundle", "--runtime", "15.4"]
    if "--location" not in options:
        command += ["--location", LOCATION]
    command += ["--out", str(out), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    # How far it is, goes there too.
    done.stderr = "".join(line for line in done.stderr.splitlines(True) if not line.startswith("... "))
    return done


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    settings = folder / "settings.toml"
    settings.write_text(f'trackingUri = "{TRACKING_URI}"\nonError = "fail"\n[env]\nTEAM = "churn"\n')
    done = bundle(folder / "out", "--settings", str(settings))
    assert done.returncode == 0, done.stderr
    return folder / "out"


def test_it_writes_the_archive_the_script_and_the_settings(built: Path) -> None:
    assert sorted(path.name for path in built.iterdir()) == [
        "azureml-databricks-0.1.0-runtime-15.4.tar.gz",
        "azureml-databricks.json",
        "azureml-databricks.sh",
    ]
    assert json.loads((built / "azureml-databricks.json").read_text()) == {
        "trackingUri": TRACKING_URI,
        "onError": "fail",
        "env.TEAM": "churn",
    }


def test_the_archive_is_the_same_bytes_each_time_it_is_built(built: Path, tmp_path: Path) -> None:
    bundle(tmp_path)

    again = next(tmp_path.glob("*.tar.gz"))
    assert again.read_bytes() == next(built.glob("*.tar.gz")).read_bytes()


def test_the_archive_holds_what_the_lock_says_and_nothing_that_the_runtime_ships(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = archive.getnames()
    held = {
        tuple(found[1].replace("_", "-").lower().rsplit("-", 1))
        for name in names
        if (found := re.fullmatch(r"(.+)\.dist-info", name))
    }
    lock = (REPOSITORY / "bootstrap/azureml_databricks/locks/15.4.txt").read_text()
    locked = set(re.findall(r"^(\S+)==(\S+)", lock, re.MULTILINE))
    shipped = (REPOSITORY / "tests/emulated/runtimes/15.4.txt").read_text().lower()

    assert held == locked | {("azureml-databricks", "0.1.0")}
    assert lock.count("--hash=sha256:") >= len(locked)
    for name, _ in locked:
        assert f"\n{name}==" not in shipped


def test_every_module_in_the_archive_is_compiled_for_the_runtimes_python(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = set(archive.getnames())
    sources = {name for name in names if name.endswith(".py")}

    for source in sources:
        folder, _, name = source.rpartition("/")
        assert f"{folder}/__pycache__/{name[:-3]}.cpython-311.pyc".lstrip("/") in names


def test_nothing_in_the_archive_asks_for_what_was_left_out_of_it(built: Path, tmp_path: Path) -> None:
    # Given what a node unpacks
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    plugin = tmp_path / "azureml/mlflow"
    assert not list(plugin.rglob("aio"))

    # Then each module of the plugin that another one names is there
    missing = [f"{file}: {name}" for file in plugin.rglob("*.py") for name in _not_there(file, tmp_path)]
    assert missing == []


def _not_there(file: Path, root: Path) -> Iterator[str]:
    """Yield what of the plugin `file` imports and is not there, save where that is caught."""
    tree = ast.parse(file.read_bytes())
    caught = {
        id(node)
        for tried in ast.walk(tree)
        if isinstance(tried, ast.Try)
        for handler in tried.handlers
        for node in ast.walk(handler)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or id(node) in caught:
            continue
        parts = file.relative_to(root).parts[: -node.level] if node.level else ()
        module = [*parts, *(node.module or "").split(".")]
        path = root.joinpath(*(part for part in module if part))
        # The generator's place for a client's own code, where there is any.
        if path.name == "_patch":
            continue
        if path.is_relative_to(root / "azureml/mlflow") and not _is_module(path):
            yield ".".join(module)


def _is_module(path: Path) -> bool:
    return path.with_suffix(".py").is_file() or path.is_dir()


def test_the_script_knows_its_archive_and_is_clean_shell(built: Path) -> None:
    script = built / "azureml-databricks.sh"

    assert f"LOCATION={LOCATION}" in script.read_text()
    assert not re.search(r"@[A-Z0-9_]+@", script.read_text())
    assert script.stat().st_size < 64 * 1024
    subprocess.run([BINARIES / "shellcheck", script], check=True)
    subprocess.run([BINARIES / "shfmt", "--diff", "--indent", "2", "--case-indent", script], check=True)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        (
            'clientSecret = "s3cr3t"',
            "clientSecret (in {path}): a secret is in no file of ours; give it in the policy as "
            "spark_env_vars, {{{{secrets/scope/key}}}}",
        ),
        (
            'clientId = "s3cr3t"',
            "clientId (in {path}) is no AZURE_CLIENT_ID, which is a GUID: take it from the app "
            "registration's page (what is there is not shown, since it could be the secret)",
        ),
        (
            '[env]\nDB_PASSWORD = "s3cr3t"',
            "env.DB_PASSWORD (in {path}): a secret is in no file of ours; give it in the policy as "
            "spark_env_vars, {{{{secrets/scope/key}}}}",
        ),
        (
            '[env]\nAZURE_CLIENT_SECRET = "s3cr3t"',
            "env.AZURE_CLIENT_SECRET (in {path}): a secret is in no file of ours; give it in the policy "
            "as spark_env_vars, {{{{secrets/scope/key}}}}",
        ),
        (
            '[env]\nAZUREML_MODE = "full"',
            "env.AZUREML_MODE (in {path}) is the setting mode: write that",
        ),
        ('workspace = "ws"', "workspace (in {path}) is not a setting: did you mean workspaceName?"),
        (
            "mode = [1]",
            "mode (in {path}) is [1]: a setting is a text of one line",
        ),
        (
            'clientSecret = ["s3cr3t"]',
            "clientSecret (in {path}): a secret is in no file of ours; give it in the policy as "
            "spark_env_vars, {{{{secrets/scope/key}}}}",
        ),
        ('env = "x"', 'env (in {path}) is no table: write [env], and below it NAME = "..."'),
        ('[env]\n"A=B" = "x"', "env.A=B (in {path}): 'A=B' is no name for a variable"),
        ('[env]\nA = "x\\u0000"', "env.A (in {path}) is 'x\\x00': a setting is a text of one line"),
        (
            'region = "westeurope"\nsubscriptionId = "x"\nresourceGroup = "rg"\nworkspaceName = "ws"',
            "subscriptionId (in {path}) is 'x': subscription 'x' is not a GUID; "
            "take the subscription ID from the workspace's overview page",
        ),
        ('mode = "both"', "mode (in {path}) is 'both': use one of full, tracking, registry"),
        (
            'trackingUri = "azureml://x"',
            "trackingUri (in {path}) is 'azureml://x': no /subscriptions/... in it; "
            "take it from the workspace's overview page (MLflow tracking URI)",
        ),
        ("mode =", "{path} is not TOML: Invalid value (at end of document)"),
    ],
)
def test_a_wrong_settings_file_is_refused_in_one_line(tmp_path: Path, toml: str, said: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(toml)

    done = bundle(tmp_path / "out", "--settings", str(path))

    assert done.returncode == 1
    assert done.stderr == f"Error: {said.format(path=path)}\n"
    assert not (tmp_path / "out").exists()


def test_settings_that_name_no_whole_workspace_are_pointed_out(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('region = "westeurope"\nworkspaceName = "ws"\n')

    done = bundle(tmp_path / "out", "--settings", str(settings))

    assert done.stdout.splitlines()[-1] == (
        "the policy's variables have to name the workspace: AZUREML_SUBSCRIPTION_ID, AZUREML_RESOURCE_GROUP"
    )


def test_a_settings_file_with_the_other_files_heading_is_told(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[settings]\nonError = "fail"\n')

    done = bundle(tmp_path / "out", "--settings", str(settings))

    assert done.stderr == (
        f"Error: {settings} has a heading [settings], as azureml-databricks.toml has: this file has settings "
        "only, without a heading; variables are below [env]\n"
    )


def test_a_runtime_is_known_by_its_ml_variants_name() -> None:
    assert [files._runtime(it) for it in ("15.4", "15.4-ml", "15.4 ML")] == ["15.4"] * 3
    with pytest.raises(click.BadParameter, match=r"'9\.1-ml' is not one of '14\.3', '15\.4'"):
        files._runtime("9.1-ml")


def test_settings_of_an_earlier_build_do_not_stay(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('mode = "full"')

    bundle(tmp_path / "out", "--settings", str(settings))
    bundle(tmp_path / "out")

    assert not (tmp_path / "out/azureml-databricks.json").exists()


def test_a_settings_file_of_windows_is_read_or_named(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('mode = "full"', encoding="utf-16")
    assert bundle(tmp_path / "out", "--settings", str(settings)).returncode == 0

    settings.write_text('experiment = "Modèle"', encoding="cp1252")
    done = bundle(tmp_path / "out", "--settings", str(settings))

    assert done.stderr == f"Error: {settings} is not UTF-8: save it as that\n"


def test_an_index_that_does_not_answer_is_named(tmp_path: Path) -> None:
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_NO_CACHE": "1", "UV_HTTP_RETRIES": "0"}

    done = bundle(tmp_path / "out", env={**os.environ, **nowhere})

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    # uv asks for all packages at once, and names the one that failed first.
    assert re.search(
        r"\(Failed to fetch: http://127\.0\.0\.1:9/simple/[\w-]+/: Connection refused", done.stderr
    )
    assert "UV_DEFAULT_INDEX is http://127.0.0.1:9/simple: it has to be a mirror" in done.stderr


def test_a_variable_that_only_sounds_like_a_secret_is_none(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[env]\nTOKENIZERS_PARALLELISM = "false"\n')

    assert bundle(tmp_path / "out", "--settings", str(settings)).returncode == 0


def test_an_out_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = bundle(tmp_path / "file" / "out")

    assert (done.returncode, done.stderr) == (
        1,
        f"Error: {tmp_path}/file/out cannot be written: Not a directory\n",
    )


@pytest.mark.parametrize(
    "location",
    [
        "dbfs:/azureml",
        "/",
        "/Volumes/a/../b",
        "/Volumes/a ",
        "azureml",
        "/Volumes/a",
        "/Workspace/x",
        "/dbfs/a/b",
    ],
)
def test_a_location_is_a_folder_on_the_node(tmp_path: Path, location: str) -> None:
    done = bundle(tmp_path, "--location", location)

    assert done.stderr.startswith(f"Error: --location is {location!r}: ")


def test_no_bundle_is_made_for_a_folder_that_everybody_can_write_to(tmp_path: Path) -> None:
    done = bundle(tmp_path / "out", "--location", "/Workspace/Shared/azureml")

    assert (done.returncode, done.stderr) == (
        1,
        "Error: --location is '/Workspace/Shared/azureml': every user can write to /Workspace/Shared, and "
        "what lies there would run as root\n",
    )
