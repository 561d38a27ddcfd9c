"""Networks as companies have them: certificates of their own, mirrors, no way out; several logins."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from azureml_databricks.admin.bundle import archives, interpreter, uv_program
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file.deployment import Databricks
from azureml_databricks.admin.services import databricks, network
from tests.admin.conftest import Admin

HOST = "https://adb-1.2.azuredatabricks.net"


def test_archives_that_were_built_elsewhere_are_deployed(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets
    options = ("--runtime", "15.4", "--location", "/Volumes/sales/ml/azureml", "--out", "built")

    refused = admin.run("deploy", "--yes", "--bundle", ".")
    admin.run_or_fail("bundle", *options)
    done = admin.run_or_fail("deploy", "--yes", "--bundle", "built")

    assert "azureml-databricks bundle --runtime 15.4" in refused.stderr
    assert done.progress[0] == "taking those of runtime 15.4 from built"
    # It is the release that would have been built here.
    assert "Nothing to change" in admin.run_or_fail("plan").stdout


def test_an_archive_of_something_else_is_not_taken(tmp_path: Path) -> None:
    runtime = archives.RUNTIMES["15.4"]
    (tmp_path / archives._name(runtime, ())).write_bytes(b"no archive")

    with pytest.raises(archives.BundleError, match="cannot be taken"):
        archives._taken(tmp_path, runtime, (), tmp_path / "out")


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty ~/.databrickscfg, and no variable that says how to log in."""
    file = tmp_path / ".databrickscfg"
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(file))
    for name in (*databricks._LOGINS, "DATABRICKS_HOST"):
        monkeypatch.delenv(name, raising=False)
    return file


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_profile_is_found_by_its_host(profiles: Path, encoding: str) -> None:
    text = f"[DEFAULT]\nhost = https://adb-3.4.azuredatabricks.net\n[prod]\nhost = {HOST}/?o=1\ntoken = x\n"
    profiles.write_text(text, encoding=encoding)

    assert databricks._profile_of(HOST) == "prod"
    assert databricks._profile_of("https://adb-5.6.azuredatabricks.net") == ""


def test_no_profile_is_taken_where_two_fit_or_a_variable_says_how(
    profiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles.write_text(f"[a]\nhost = {HOST}\n[b]\nhost = {HOST}\n")
    assert databricks._profile_of(HOST) == ""

    profiles.write_text(f"[a]\nhost = {HOST}\n")
    monkeypatch.setenv("DATABRICKS_TOKEN", "x")
    assert databricks._profile_of(HOST) == ""


def test_the_login_of_a_profile_is_used_and_two_logins_are_named(admin_with_secrets: Admin) -> None:
    admin = admin_with_secrets
    token = admin.environment.pop("DATABRICKS_TOKEN")
    (admin.folder / ".databrickscfg").write_text(f"[prod]\nhost = {admin.databricks.host}\ntoken = {token}\n")

    assert admin.run("plan").returncode == 2

    two = {"DATABRICKS_TOKEN": token, "DATABRICKS_CLIENT_ID": "a", "DATABRICKS_CLIENT_SECRET": "s3cr3t"}
    admin.environment.update(two)
    done = admin.run("plan")
    assert "(oauth and pat): set DATABRICKS_AUTH_TYPE" in done.stderr
    assert "s3cr3t" not in done.stderr + done.stdout


TWO = {
    "a token and a client": ("", {"DATABRICKS_TOKEN": "t", "DATABRICKS_CLIENT_ID": "a"}),
    "a token and a client of Entra ID": ("", {"DATABRICKS_TOKEN": "t", "ARM_CLIENT_ID": "a"}),
    "a profile and a client": ("prod", {"DATABRICKS_CLIENT_ID": "a", "DATABRICKS_CLIENT_SECRET": "s3cr3t"}),
}


@pytest.mark.parametrize("what", TWO)
def test_two_logins_are_named_before_anything_is_asked(
    profiles: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    # Given two logins, and a network that lets nothing through
    profile, variables = TWO[what]
    profiles.write_text(f"[prod]\nhost = {HOST}\ntoken = x\n")
    nowhere = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:1")
    for name, value in {**variables, **nowhere}.items():
        monkeypatch.setenv(name, value)
    named = Databricks(profile=profile) if profile else Databricks(host=HOST)

    with pytest.raises(AdminError, match=r"there are several logins to .* set DATABRICKS_AUTH_TYPE") as told:
        databricks.connect(named)

    assert "s3cr3t" not in str(told.value)


class Mirror(BaseHTTPRequestHandler):
    """An index without packages. The client closes: where this end does, an answer may be lost."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """An index behind a certificate of the company's own, and what was asked of it."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    handler = type("Asked", (Mirror,), {"asked": []})
    server = ThreadingHTTPServer(("localhost", 0), handler)
    # Each connection's thread shakes hands, so that one that stays open keeps no other waiting.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://localhost:{server.server_port}/simple", handler.asked  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


def lead_to_it(monkeypatch: pytest.MonkeyPatch, folder: Path, **variables: str) -> None:
    """Have uv reach the mirror, and know nothing of before."""
    usual = {"UV_NO_CACHE": "1", "UV_HTTP_RETRIES": "0", "NO_PROXY": "localhost"}
    # On a busy machine nothing may depend on how long an answer takes.
    usual |= dict.fromkeys(("UV_HTTP_TIMEOUT", "UV_HTTP_CONNECT_TIMEOUT"), "600")
    trusted = {"REQUESTS_CA_BUNDLE": str(folder / "ca.pem")}
    for name, value in {**usual, **trusted, **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file or directory"), ("no certificate", "no certificate or crl found")],
)
def test_certificates_that_cannot_be_read_are_named(
    admin: Admin, tmp_path: Path, content: str | None, why: str
) -> None:
    file = tmp_path / "company.pem"
    if content:
        file.write_text(content)
    admin.environment["REQUESTS_CA_BUNDLE"] = str(file)

    for command in (["plan"], ["policy", "render"]):
        done = admin.run(*command)

        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(
            f"Error: REQUESTS_CA_BUNDLE is {str(file)!r}: no certificates in PEM form"
        )
        assert why in done.stderr.lower() or why in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_proxy_of_another_kind_is_no_missing_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "t")
    for name in "https_proxy", "HTTPS_PROXY":
        monkeypatch.setenv(name, "socks5://127.0.0.1:9")

    with pytest.raises(
        AdminError, match=r"cannot be reached \(Missing dependencies for SOCKS support"
    ) as told:
        databricks.connect(Databricks(host="https://adb-1.2.azuredatabricks.net"))

    assert "HTTPS_PROXY" in str(told.value)


def test_uv_trusts_the_certificates_that_all_else_trusts(
    mirror: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, asked = mirror
    lead_to_it(monkeypatch, tmp_path, UV_DEFAULT_INDEX=address)

    uv_program.run("pip", "install", "--target", str(tmp_path / "out"), "not-there==1")

    assert asked == ["/simple/not-there/"]


def test_a_mirror_that_lacks_a_package_is_named_without_its_password(
    mirror: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, asked = mirror
    lead_to_it(monkeypatch, tmp_path, UV_DEFAULT_INDEX=address.replace("://", "://ada:s3cr3t@"))

    with pytest.raises(archives.BundleError) as told:
        archives._fill(tmp_path / "out", archives.RUNTIMES["15.4"], ())

    assert asked
    assert f"UV_DEFAULT_INDEX is {address}: " in str(told.value)
    assert "s3cr3t" not in str(told.value)


def test_a_python_is_asked_of_the_mirror_which_is_named_without_its_password(
    mirror: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, asked = mirror
    # Given a machine without that Python
    here = {"PATH": str(tmp_path), "PYENV_ROOT": str(tmp_path), "UV_PYTHON_INSTALL_DIR": str(tmp_path / "uv")}
    to = address.replace("://", "://ada:s3cr3t@")
    # and a terminal that is narrower than what uv says
    lead_to_it(monkeypatch, tmp_path, **here, UV_PYTHON_INSTALL_MIRROR=to, COLUMNS="80")

    with pytest.raises(interpreter.InterpreterError) as told:
        interpreter.find("3.10")

    assert re.fullmatch(r"/simple/\d+/cpython-3\.10\..*\.tar\.gz", asked[0])
    assert f"{address}/20" in str(told.value)
    assert "404 Not Found" in str(told.value)
    assert "s3cr3t" not in str(told.value)


REFUSALS = {
    "nobody there": (
        "Using CPython 3.11.7 interpreter at: /usr/bin/python\n"
        "error: Failed to fetch: http://mirror:9/simple/a/\n  cause: client error (Connect)\n"
        "  cause: Connection refused (os error 111)\n",
        "Failed to fetch: http://mirror:9/simple/a/: Connection refused (os error 111)",
    ),
    "the same, of an older uv": (
        "  \xd7 Failed to download `a==1`\n  ├─▶ Failed to fetch: `https://ada:s3cr3t@files/a.whl`\n"
        "  ╰─▶ Connection refused (os error 111)\n",
        "Failed to fetch: `https://files/a.whl`: Connection refused (os error 111)",
    ),
    "no address": (
        "error: invalid value 'http://ada:s3/cr@3t@mirror:no/simple' for '--default-index': invalid port\n\n"
        "For more information, try '--help'.\n",
        "invalid value 'http://mirror:no/simple' for '--default-index': invalid port",
    ),
    "nothing": ("", "it says nothing"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_uv_refuses_is_one_line_with_the_address_and_no_password(what: str) -> None:
    said, told = REFUSALS[what]

    assert uv_program.refusal(said) == told


def test_what_uv_notes_of_where_a_package_came_from_is_in_no_archive(tmp_path: Path) -> None:
    notes = tmp_path / "a-1.dist-info"
    notes.mkdir()
    for name in ("uv_cache.json", "direct_url.json", "METADATA"):
        (notes / name).touch()

    archives._hide_modules(tmp_path)

    assert [path.name for path in notes.iterdir()] == ["METADATA"]


@pytest.mark.parametrize(
    "address",
    [
        "http://ada:s3cr3t@proxy:port",
        # What a password may have, and an address has other uses for
        "http://ada:s3cr3t#1@proxy:8080",
        "http://ada:123/s3cr3t@proxy:8080",
        "ada:s3cr3t?@proxy:8080",
        "http://[s3cr3t",
    ],
)
def test_a_variable_that_is_no_proxys_address_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)

    with pytest.raises(AdminError, match=r"^HTTPS_PROXY is not the address of a proxy: .* # is %23") as told:
        network.check()

    assert "s3cr3t" not in str(told.value)


@pytest.mark.parametrize(
    "address", ["http://proxy:8080", "proxy:8080", "http://ada:s3%23@proxy:80/", "socks5h://[::1]:9"]
)
def test_an_address_of_a_proxy_is_taken(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)

    network.check()


def test_every_command_that_asks_somebody_looks_at_the_proxy_first(admin: Admin) -> None:
    admin.environment["HTTPS_PROXY"] = "http://ada:s3cr3t#1@proxy:8080"

    for command in (["plan"], ["policy", "render"]):
        done = admin.run(*command)
        assert done.stderr.startswith("Error: HTTPS_PROXY is not the address of a proxy: ")
        assert len(done.stderr.splitlines()) == 1
