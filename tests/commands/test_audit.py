"""`make audit`, beside an advisory service that answers as OSV does (https://google.github.io/osv.dev/api)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests import REPOSITORY
from tests.commands.audit import __main__ as audit

LOCK = REPOSITORY / "bootstrap/azureml_databricks/locks/19.txt"
VULNERABLE = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "aliases": ["CVE-2030-1"],
    "summary": "It can be broken.",
    "affected": [
        {
            "package": {"name": "jsonpickle", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}],
        }
    ],
}


class _Osv(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_vulnerable = asked["package"]["name"] == "jsonpickle"
        answer = json.dumps({"vulns": [VULNERABLE]} if is_vulnerable else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def osv(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Osv)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    _ask(monkeypatch, server.server_port)
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def _ask(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setenv("PIP_AUDIT_VULNERABILITY_SERVICE", "osv")
    monkeypatch.setenv("PIP_AUDIT_OSV_URL", f"http://127.0.0.1:{port}/v1/query")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.usefixtures("osv")
def test_a_vulnerability_is_told_with_its_lock_and_what_mends_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main([str(LOCK)]) == 1

    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("jsonpickle ")
    assert first.endswith(" (19.txt): CVE-2030-1, GHSA-aaaa-bbbb-cccc; mended in 99.0")


@pytest.mark.usefixtures("osv")
def test_one_that_is_accepted_does_not_count_until_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "ACCEPTED", tmp_path / "accepted.toml")
    audit.ACCEPTED.write_text('[accepted]\nCVE-2030-1 = "nobody calls it"\n')
    assert audit.main([str(LOCK)]) == 0
    assert capsys.readouterr().out == "3 packages asked for; 1 accepted\n"

    audit.ACCEPTED.write_text('[accepted]\nCVE-2030-1 = "nobody calls it"\nCVE-2029-1 = "mended long ago"\n')
    assert audit.main([str(LOCK)]) == 1
    assert capsys.readouterr().out.startswith("accepted.toml: CVE-2029-1 is found no more: take it out\n")


def test_where_nobody_answers_it_says_so_and_passes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _ask(monkeypatch, 9)

    assert audit.main([str(LOCK)]) == 0

    said = capsys.readouterr().out
    assert said.startswith("skipped: pip-audit had no answer (")
    assert len(said.splitlines()) == 1
