"""Webhooks from the command line, to the end: a job is submitted, and a receiver is told of what became of it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from etude import Client

from tests.client.conftest import Shell, wait
from tests.receiver import LOOPBACK, answering, receiving


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A service that may tell receivers of this machine."""
    place = tmp_path_factory.mktemp("webhook-home")
    settings = {"ETUDE_HOME": str(place), "ETUDE_PORT": "0", "ETUDE_WORKERS": "0", "ETUDE_WEBHOOK_PRIVATE": LOOPBACK}
    process = subprocess.Popen([sys.executable, "-m", "shared.up"], env={**os.environ, **settings},
                               stdout=subprocess.DEVNULL)  # fmt: skip
    wait(lambda: (place / "run" / "processes.json").exists())
    yield place
    process.send_signal(signal.SIGTERM)
    process.wait(60)


def test_a_receiver_is_told_how_a_job_ended(shell: Shell, songs: Path) -> None:
    with receiving() as receiver:
        made = shell.run("webhook", "create", receiver.url, "--event", "job.succeeded", "--json").json
        uploaded = shell.run("upload", str(songs), "--target", "genre", "--json")
        wait(lambda: receiver.messages)

    said = receiver.messages[0].verified(made["secret"])
    assert uploaded.code == 0, uploaded.err
    assert (said["type"], said["data"]["action"], said["data"]["state"]) == ("job.succeeded", "ingest", "succeeded")


def test_a_webhook_is_made_tried_looked_at_and_deleted(shell: Shell) -> None:
    with receiving() as receiver:
        made = shell.run("webhook", "create", receiver.url, "--description", "to the pager")
        webhook = made.out.split()[0]
        pinged = shell.run("webhook", "ping", webhook, "--json").json
        arrived = wait(lambda: shell.run("webhook", "deliveries", webhook, "--state", "delivered", "--json").json)
        listed, one = (shell.run("webhook", "deliveries", webhook, *more) for more in ([], [pinged["id"]]))
        again = shell.run("webhook", "redeliver", webhook, pinged["id"])
        wait(lambda: len(receiver.messages) == 2)

    assert made.code == 0, made.err
    assert all(word in made.out for word in ("whsec_", "to the pager", "active", receiver.url, "not shown again"))
    assert [each["id"] for each in arrived] == [pinged["id"]] == [receiver.ids[0]]
    assert all(word in listed.out for word in (pinged["id"], "delivered", "webhook.ping"))
    assert "204" in one.out and '"type": "webhook.ping"' in one.out
    assert (again.code, receiver.ids[1]) == (0, pinged["id"])
    shown, table = shell.run("webhook", "show", webhook), shell.run("webhook", "list")
    assert webhook in shown.out and webhook in table.out and "whsec_" not in shown.out + table.out
    assert shell.run("webhook", "delete", webhook).code == 0
    assert shell.run("webhook", "show", webhook).code == 3


def test_a_new_secret_is_shown_once(shell: Shell) -> None:
    with receiving() as receiver:
        made = shell.run("webhook", "create", receiver.url, "--json").json
        rotated = shell.run("webhook", "rotate", made["id"], "--json").json
        shell.run("webhook", "ping", made["id"])
        wait(lambda: receiver.messages)

    (message,) = receiver.messages
    assert message.verified(made["secret"]) == message.verified(rotated["secret"])


def test_one_that_was_switched_off_says_why_and_is_switched_on_again(shell: Shell) -> None:
    with receiving(answering(410)) as receiver:
        webhook = shell.run("webhook", "create", receiver.url, "--json").json["id"]
        shell.run("webhook", "ping", webhook)
        wait(lambda: shell.run("webhook", "show", webhook, "--json").json["state"] == "disabled")
        shown = shell.run("webhook", "show", webhook)
        refused = shell.run("webhook", "ping", webhook)
        changed = shell.run("webhook", "change", webhook, "--state", "active", "--event", "job.failed", "--json")

    assert "410 Gone" in shown.err and "disabled" in shown.out
    assert (refused.code, "switch" in refused.err or "active" in refused.err) == (2, True)
    assert (changed.json["state"], changed.json["events"]) == ("active", ["job.failed"])


def test_an_address_that_is_not_allowed_is_refused_with_a_sentence(shell: Shell) -> None:
    inside = shell.run("webhook", "create", "https://10.0.0.1/")
    plain = shell.run("webhook", "create", "http://8.8.8.8/")
    odd = shell.run("webhook", "create", "https://user@example.com/")

    assert (inside.code, plain.code, odd.code) == (2, 2, 2)
    assert "public" in inside.err and "https://" in plain.err and "user name" in odd.err


def test_from_python_no_repr_shows_the_secret(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETUDE_HOME", str(home))
    with receiving() as receiver, Client() as client:
        made = client.create_webhook(receiver.url, events=["webhook.ping"])
        sent = made.ping()
        wait(lambda: made.delivery(sent["id"])["state"] == "delivered")
        found = client.webhook(made.id)

        assert made.secret and made.secret not in repr(made)
        assert (found.secret, found.url, found.error) == (None, receiver.url, None)
        assert made.id in [each.id for each in client.webhooks()]
        made.delete()
