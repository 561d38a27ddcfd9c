"""`plan` runs in pull requests, where anybody may have written the file: it gives nothing away."""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file.deployment import Databricks
from azureml_databricks.admin.services.databricks import connect
from tests.admin.command import Command
from tests.admin.conftest import Admin

POLICY = 'name = "azureml"\ngroups = ["data-scientists"]'


@pytest.mark.parametrize(
    "host",
    [
        "https://evil.example",
        "https://adb-1.2.azuredatabricks.net.evil.example",
        "https://adb-1.2.azuredatabricks.net@evil.example",
        "https://evil.example/adb-1.2.azuredatabricks.net",
        "https://evil-azuredatabricks.net",
        "http://adb-1.2.azuredatabricks.net",
        "https://adb-1.2.azuredatabricks．net",  # noqa: RUF001
        "https://evil.example\\\\.azuredatabricks.net",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "http://10.0.0.1",
    ],
)
def test_the_login_goes_to_databricks_only(admin: Admin, host: str) -> None:
    admin.write(databricks=f'host = "{host}"')

    done = admin.run("plan")

    assert done.returncode == 1
    assert "azureml-databricks.toml:2: databricks.host is " in done.stderr
    assert "give the address of the Databricks workspace, https://adb-....azuredatabricks.net" in done.stderr
    assert admin.databricks.admin.token not in done.stderr


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("adb-1.2.azuredatabricks.net", "https://adb-1.2.azuredatabricks.net"),
        ("https://ADB-1.2.azuredatabricks.net/?o=1#x", "https://adb-1.2.azuredatabricks.net"),
        ("https://adb-1.2.databricks.azure.us", "https://adb-1.2.databricks.azure.us"),
        ("https://adb-1.2.databricks.azure.cn:443", "https://adb-1.2.databricks.azure.cn"),
        ("http://localhost:8080", "http://localhost:8080"),
    ],
)
def test_the_hosts_of_all_clouds_are_databricks(given: str, read: str) -> None:
    assert Databricks(host=given).host == read


class Foreign(BaseHTTPRequestHandler):
    """A host that is none of Databricks', and keeps what it gets."""

    sent: ClassVar[list[str]] = []

    def do_GET(self) -> None:  # as http.server has it
        self.sent.append(f"{self.path} {self.headers['Authorization']}")
        self.send_error(401)

    def log_message(self, *_: object) -> None:
        pass


def test_a_profiles_login_goes_to_databricks_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a profile with a login, whose host is another
    for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
        monkeypatch.delenv(name)
    with ThreadingHTTPServer(("127.0.0.2", 0), Foreign) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        host = f"http://127.0.0.2:{server.server_port}"
        file = tmp_path / "databrickscfg"
        file.write_text(f"[prod]\nhost = {host}\ntoken = s3cr3t\n")
        monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(file))

        with pytest.raises(AdminError) as told:
            connect(Databricks(profile="prod"))
        server.shutdown()

    # Then it does not get it
    assert str(told.value) == (
        f"profile prod is for '{host}', and no login goes there: name one whose host is "
        "https://adb-....azuredatabricks.net"
    )
    assert all(it.endswith(" None") for it in Foreign.sent)


def test_a_host_in_the_environment_that_is_another_is_refused(admin: Admin) -> None:
    admin.environment["DATABRICKS_HOST"] = "https://adb-1.2.azuredatabricks.net"

    done = admin.run("plan")

    assert (done.returncode, done.stdout) == (1, "")
    assert admin.plain(done.stderr) == (
        "Error: databricks.host is 'HOST', and the login in the environment is for DATABRICKS_HOST, "
        "'https://adb-1.2.azuredatabricks.net': make them the same, or unset DATABRICKS_HOST\n"
    )
    assert not list(admin.databricks.journal)

    # The same host in another form is the same.
    admin.environment["DATABRICKS_HOST"] = f"{admin.databricks.host}/"
    assert "DATABRICKS_HOST" not in admin.run("plan").stderr


def test_files_are_read_below_the_deployments_folder_only_and_not_shown(admin: Admin) -> None:
    below = admin.folder / "repository"
    below.mkdir()
    admin.file.rename(below / admin.file.name)
    secret = admin.folder / "secret.json"
    secret.write_text('{"refresh_token": "s3cr3t"}')
    (below / "link.json").symlink_to(secret)
    (below / "state.json").write_text('{"s3cr3t": "s3cr3t"}')
    (below / "no.json").write_text("s3cr3t: s3cr3t")
    run = Command(below, admin.environment)
    text = (below / admin.file.name).read_text()
    said = {}

    for definition in ("../secret.json", str(secret), "link.json", ".", "state.json", "no.json"):
        (below / admin.file.name).write_text(
            text.replace("[policy]\n", f"[policy]\ndefinition = {json.dumps(definition)}\n")
        )
        done = run("policy", "render")
        assert (done.returncode, done.stdout) == (1, "")
        assert "s3cr3t" not in done.stderr
        said[definition] = done.stderr

    outside = f"is not below {below}: a definition is a file beside the one that names it"
    assert [outside in said[it] for it in ("../secret.json", str(secret), "link.json")] == [True] * 3
    assert "no file" in said["."]
    assert "is no policy definition" in said["state.json"]
    assert "is not JSON" in said["no.json"]


def test_terraform_gets_text_and_no_template(admin: Admin) -> None:
    description = '${file("/etc/passwd")} %{for x in y} $${z} 100% $5'
    admin.write(
        policy=f"{POLICY}\ndescription = '{description}'\n[policy.fixes]\n"
        '"custom_tags.x" = { type = "fixed", value = \'${path.cwd}\' }'
    )

    printed = admin.run_or_fail("policy", "render", "--format", "terraform").stdout

    resource = json.loads(printed)["resource"]["databricks_cluster_policy"]["azureml"]
    for text in resource.values():
        left = text.replace("$${", "").replace("%%{", "")
        assert "${" not in left
        assert "%{" not in left
    assert "$${path.cwd}" in resource["definition"]


def test_no_name_reaches_the_terminal_with_more_than_letters(deployed: Admin) -> None:
    # Given names by which somebody wants to write elsewhere on the screen, or to look like another line
    hostile = "etl\x1b[2J\x1b]0;owned\x07\x9b31m\u202ereversed\n+ policy fake\r"
    client = deployed.databricks.cluster_client(deployed.databricks.admin)
    policy = next(it for it in client.cluster_policies.list() if it.name == "azureml")
    client.clusters.create(
        spark_version="15.4.x-scala2.12",
        cluster_name=hostile,
        policy_id=policy.policy_id,
        apply_policy_default_values=True,
        num_workers=1,
        node_type_id="Standard_DS3_v2",
    )

    # When the admin looks
    shown = deployed.run("status")
    as_json = deployed.run("status", "--json")
    rolled_out = deployed.run("deploy", "--enforce", "--yes")

    # Then there is nothing but letters and line ends, and the name is one line
    for done in (shown, as_json, rolled_out):
        assert all(letter.isprintable() or letter == "\n" for letter in done.stdout + done.stderr)
        assert "\n+ policy fake" not in done.stdout
    assert "etl\\x1b[2J" in shown.stdout
    governed = json.loads(as_json.stdout)["governed"]
    assert [it["name"] for it in governed] == [hostile]


def test_an_error_reaches_the_terminal_as_letters(tmp_path: Path) -> None:
    (tmp_path / "azureml-databricks.toml").write_text('"x\\u001b[31m" = 1\n')
    run = Command(tmp_path, {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})

    done = run("plan")

    assert done.returncode == 1
    assert "\x1b" not in done.stderr


_NO_TEXT = "is 'a\\x00b': it has a control character; write what can be seen"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"x = {'[' * 3000}", "is not TOML that can be read: it is too deep"),
        (f"x = {'9' * 5000}", "is not TOML that can be read: it has a number of thousands of digits"),
        ('[policy]\nname = "a"\ndefinition = "a\\u0000b"', f"policy.definition {_NO_TEXT}"),
        ('[databricks]\nprofile = "a\\u0000b"', f"databricks.profile {_NO_TEXT}"),
    ],
)
def test_a_file_that_no_editor_writes_is_told_in_one_line(admin: Admin, line: str, told: str) -> None:
    admin.file.write_text(f"{line}\n")

    for command in (("plan",), ("policy", "render")):
        done = admin.run(*command)

        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert told in done.stderr
        assert all(it.startswith("Error: azureml-databricks.toml") for it in done.stderr.splitlines())


@pytest.mark.parametrize("value", ["nan", "-inf", "1979-05-27"])
def test_what_json_does_not_have_is_no_value_of_a_rule(admin: Admin, value: str) -> None:
    rules = f'autotermination_minutes = {{ type = "fixed", value = {value} }}'
    rules += f'\nnode_type_id = {{ type = "allowlist", values = [{value}] }}'
    admin.write(**{"policy": POLICY, "policy.fixes": rules})

    done = admin.run("policy", "render")

    assert done.returncode == 1
    assert "policy.fixes has autotermination_minutes: value is " in done.stderr
    assert "policy.fixes has node_type_id: values " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside.json"])
def test_a_definition_elsewhere_is_refused_before_anybody_is_asked(admin: Admin, path: str) -> None:
    admin.write(policy=f'{POLICY}\ndefinition = "{path}"')

    done = admin.run("plan")

    assert done.returncode == 1
    assert ", which is not below " in done.stderr
    assert admin.databricks.recorded() == ""
