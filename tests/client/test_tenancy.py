"""Keys, limits and the audit log from the command line, and from Python over a line that loses answers."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from etude import Client, Refused

from tests.client.conftest import Shell, wait


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A service without workers."""
    place = tmp_path_factory.mktemp("tenancy-home")
    settings = {"ETUDE_HOME": str(place), "ETUDE_PORT": "0", "ETUDE_WORKERS": "0"}
    process = subprocess.Popen([sys.executable, "-m", "shared.up"], env={**os.environ, **settings},
                               stdout=subprocess.DEVNULL)  # fmt: skip
    wait(lambda: (place / "run" / "processes.json").exists())
    yield place
    process.send_signal(signal.SIGTERM)
    process.wait(60)


def test_a_key_stands_alone_on_standard_output_and_works(shell: Shell) -> None:
    made = shell.run("keys", "create", "ci", "--scope", "submit", "--expires-in-days", "30")
    key = made.out.strip()

    assert made.code == 0 and key.startswith("etude_") and len(made.out.split()) == 1
    assert "not shown again" in made.err and key not in made.err
    assert shell.run("jobs", ETUDE_KEY=key).code == 0
    assert shell.run("keys", "list", ETUDE_KEY=key).code == 3
    listed = shell.run("keys", "list")
    assert all(word in listed.out for word in ("ci", "submit", "active")) and key.split("_")[2] not in listed.out


def test_a_key_is_rotated_and_revoked(shell: Shell) -> None:
    old = shell.run("keys", "create", "nightly", "--json").json
    new = shell.run("keys", "rotate", old["id"], "--grace-s", "3600", "--json").json
    again = shell.run("keys", "rotate", old["id"])
    revoked = shell.run("keys", "revoke", new["id"])

    assert (old["scope"], new["name"]) == ("read", "nightly") and new["secret"] != old["secret"]
    assert again.code == 2 and "rotated before" in again.err
    assert revoked.code == 0 and new["id"] in revoked.out + revoked.err
    states = {each["id"]: each["state"] for each in shell.run("keys", "list", "--json").json}
    assert (states[old["id"]], states[new["id"]]) == ("active", "revoked")
    assert "rotated" in shell.run("keys", "list").out
    assert shell.run("keys", "revoke", "key_nothing").code == 3
    assert shell.run("keys", "create", "x", "--expires-in-days", "10000").code == 2
    assert shell.run("keys", "create", "x", "--scope", "root").code == 2


def test_limits_are_shown_with_what_is_used(shell: Shell) -> None:
    found, shown = shell.run("limits", "--json").json, shell.run("limits")

    assert found["jobs_queued"]["limit"] == 100_000
    assert all(word in shown.out for word in ("jobs queued", "100,000", "no limit", "500 a second"))


def test_the_encryption_key_is_shown_and_replaced(shell: Shell) -> None:
    before = shell.run("encryption-key", "--json").json
    replaced = shell.run("encryption-key", "--rotate")
    after = shell.run("encryption-key", "--json").json
    job = shell.run("jobs", "--action", "rotate", "--json").json[0]

    assert replaced.code == 0 and f"key {after['generation']} of the tenant" in replaced.out + replaced.err
    assert after["generation"] == before["generation"] + 1 and after["id"] != before["id"]
    assert f"with key {after['generation']} of the tenant" in shell.run("job", job["id"]).out


def test_the_audit_log_is_listed_and_filtered(shell: Shell) -> None:
    made = shell.run("keys", "create", "told", "--json").json

    rows = shell.run("audit-log", "--action", "keys.create", "--object", made["id"], "--json").json
    shown = shell.run("audit-log", "--limit", "5")

    assert [(row["action"], row["status"]) for row in rows] == [("keys.create", 201)]
    assert "keys.create" in shown.out and made["secret"] not in shown.out
    assert "Nothing" in shell.run("audit-log", "--from", "2099-01-01").out
    assert shell.run("audit-log", "--from", "yesterday").code == 2


class Losing(ThreadingHTTPServer):
    """A way to the service that passes each POST on, and loses the first answer to it."""

    def __init__(self, port: int, lost: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.to, self.left = port, lost


class _Handler(BaseHTTPRequestHandler):
    server: Losing

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        onward = http.client.HTTPConnection("127.0.0.1", self.server.to)
        onward.request("POST", self.path, body, dict(self.headers))
        answer = onward.getresponse()
        said = answer.read()
        onward.close()
        if self.server.left:
            self.server.left -= 1
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def losing(port: int, lost: int) -> Iterator[str]:
    server = Losing(port, lost)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_secret_that_was_lost_on_its_way_is_replaced(home: Path) -> None:
    found = json.loads((home / "client.json").read_text())
    with losing(urlsplit(found["url"]).port or 0, 1) as url, Client(url, found["key"]) as client:
        made = client.create_key("lost", scope="read")

    assert made["secret"].startswith("etude_")
    with Client(found["url"], found["key"]) as direct, Client(found["url"], made["secret"]) as mine:
        assert mine.limits()["jobs_queued"]["used"] == 0
        lost = [each for each in direct.keys(limit=50) if each["name"] == "lost"]
        assert [each["state"] for each in lost] == ["active", "expired"]


class _Full(BaseHTTPRequestHandler):
    """A service whose day is spent."""

    def do_POST(self) -> None:
        said = json.dumps({"title": "Too many requests", "detail": "come again tomorrow", "code": "compute_exhausted"})
        self.send_response(429)
        self.send_header("Retry-After", "40000")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *_: object) -> None:
        pass


def test_what_will_not_pass_within_patience_is_told_at_once() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Full)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with Client(f"http://127.0.0.1:{server.server_address[1]}", "k") as client, pytest.raises(Refused) as refused:
            client.submit(action="train", kind="classification", dataset="ds_x")
    finally:
        server.shutdown()
        server.server_close()

    assert (refused.value.status, refused.value.code) == (429, "compute_exhausted")
