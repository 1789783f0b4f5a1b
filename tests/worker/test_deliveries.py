"""The delivering worker against receivers that do all they can: what arrives, what does not, and that none is lost."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from standardwebhooks import Webhook, WebhookVerificationError

from shared import deliveries, pulse, webhooks
from shared.database import Database, now
from shared.deliveries import Due
from shared.processes import die_with_parent
from shared.settings import Settings
from shared.tables import deliveries as table
from shared.tables import webhooks as hooks
from shared.up import environment_of
from tests.receiver import LOOPBACK, Names, answering, found_by, hanging, receiving
from tests.waiting import until
from worker import sending
from worker.deliveries import OF_A_TENANT, SENDING_THREADS, Delivering, choose

HOUR_S = 3600.0

Work = Callable[..., Delivering]


@pytest.fixture
def open_settings(settings: Settings) -> Settings:
    """The loopback is allowed: that is where these receivers are."""
    return dataclasses.replace(settings, webhook_private=LOOPBACK)


@contextmanager
def working(chosen: Settings, **more: Any) -> Iterator[Delivering]:
    """A delivering worker in a thread of this process."""
    made, stopped = Delivering(chosen, **more), threading.Event()
    thread = threading.Thread(target=made.run, args=[stopped])
    thread.start()
    try:
        yield made
    finally:
        stopped.set()
        thread.join()


@pytest.fixture
def worker(open_settings: Settings, tenant: str) -> Iterator[Delivering]:
    with working(open_settings) as made:
        yield made


def make(database: Database, tenant: str, url: str) -> str:
    with database.transaction() as sql:
        return str(webhooks.create(sql, tenant, url=url, events=["*"], description=None).id)


def ping(database: Database, tenant: str, webhook: str) -> str:
    with database.transaction() as sql:
        return webhooks.ping(sql, tenant, webhook)


def secret(database: Database, webhook: str) -> str:
    with database.reading() as sql:
        return str(sql.execute(select(hooks.c.secret).where(hooks.c.id == webhook)).scalar_one())


def row(database: Database, delivery: str) -> Any:
    with database.reading() as sql:
        return sql.execute(select(table).where(table.c.id == delivery)).one()


def hurry(database: Database) -> None:
    """As if the time to wait for a next try, or for a lost one, had passed."""
    with database.transaction() as sql:
        sql.execute(update(table).where(table.c.next_at.is_not(None)).values(next_at=now()))
        sql.execute(update(table).where(table.c.lease_until.is_not(None)).values(lease_until=now() - 1))


def outcome(database: Database, delivery: str) -> tuple[int | None, str | None]:
    """The status and the error of the first try, once it is over."""
    assert until(lambda: bool(row(database, delivery).log)), "the try did not end"
    first = row(database, delivery).log[0]
    return first["status"], first["error"]


def tell(database: Database, tenant: str, url: str) -> tuple[int | None, str | None]:
    return outcome(database, ping(database, tenant, make(database, tenant, url)))


def test_what_is_written_down_arrives_signed(worker: Delivering, database: Database, tenant: str) -> None:
    with receiving() as receiver:
        webhook = make(database, tenant, receiver.url + "?a=b")
        delivery = ping(database, tenant, webhook)
        assert outcome(database, delivery) == (204, None)

    (message,) = receiver.messages
    said = message.verified(secret(database, webhook))
    assert (said["type"], said["data"], message.id) == ("webhook.ping", {"webhook": webhook}, delivery)
    assert (message.path, message.body) == ("/hook?a=b", row(database, delivery).body)
    assert (message.headers["Host"], message.headers["Content-Type"]) == (
        f"127.0.0.1:{receiver.port}", "application/json",
    )  # fmt: skip
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 44).verify(message.body, message.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret(database, webhook)).verify(message.body + " ", message.headers)


def test_after_a_rotation_both_secrets_verify(worker: Delivering, database: Database, tenant: str) -> None:
    with receiving() as receiver:
        webhook = make(database, tenant, receiver.url)
        old = secret(database, webhook)
        with database.transaction() as sql:
            webhooks.rotate(sql, tenant, webhook)
        outcome(database, ping(database, tenant, webhook))

    (message,) = receiver.messages
    assert message.verified(old) == message.verified(secret(database, webhook))
    assert [each[:3] for each in message.headers["webhook-signature"].split(" ")] == ["v1,", "v1,"]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_status_of_success_is_one(worker: Delivering, database: Database, tenant: str, status: int) -> None:
    with receiving(answering(status)) as receiver:
        delivery = ping(database, tenant, make(database, tenant, receiver.url))
        assert outcome(database, delivery) == (status, None)

    assert row(database, delivery).state == "delivered"


@pytest.mark.parametrize("status", [300, 304, 400, 401, 404, 429, 500, 503, 599])
def test_every_other_is_tried_again(worker: Delivering, database: Database, tenant: str, status: int) -> None:
    with receiving(answering(status, **{"Retry-After": "86400"})) as receiver:
        delivery = ping(database, tenant, make(database, tenant, receiver.url))
        assert outcome(database, delivery) == (status, None)

    kept = row(database, delivery)
    assert (kept.state, kept.attempts) == ("waiting", 1)
    assert kept.next_at - kept.created_at < HOUR_S


@pytest.mark.hostile("H55")
def test_a_name_that_leads_inside_by_the_time_of_sending_is_refused_then(
    settings: Settings, database: Database, tenant: str
) -> None:
    names = Names(["8.8.8.8"], ["127.0.0.1"])
    receivers = found_by(names, private="")

    with receiving() as receiver, working(settings, receivers=receivers):
        receivers.find("https://hook.test/", limit_s=3.0)  # what web does when it is made
        assert tell(database, tenant, "https://hook.test/") == (None, "address")

    assert (receiver.messages, names.asked["hook.test"]) == ([], 2)


def test_without_leave_of_the_operator_nothing_goes_inside(settings: Settings, database: Database, tenant: str) -> None:
    with receiving() as receiver, working(settings):
        said = [tell(database, tenant, url) for url in (receiver.url, "https://localhost/", "https://2130706433/")]

    assert said == [(None, "address")] * 3
    assert receiver.messages == []


def test_a_receiver_that_fails_for_an_hour_gets_it_once_it_works_again(
    worker: Delivering, database: Database, tenant: str
) -> None:
    with receiving(answering(500)) as receiver:
        webhook = make(database, tenant, receiver.url)
        delivery = ping(database, tenant, webhook)
        for attempt in (1, 2, 3):
            assert until(lambda count=attempt: len(row(database, delivery).log) == count)  # type: ignore[misc]
            hurry(database)
        receiver.behave = answering(200)
        hurry(database)
        assert until(lambda: row(database, delivery).state == "delivered")

    assert set(receiver.ids) == {delivery}
    assert len(receiver.ids) in (4, 5)
    for message in receiver.messages:
        message.verified(secret(database, webhook))
    with database.reading() as sql:
        assert webhooks.find(sql, tenant, webhook).failing_since is None


def test_a_receiver_that_is_gone_is_left_alone(worker: Delivering, database: Database, tenant: str) -> None:
    with receiving(answering(410)) as receiver:
        webhook = make(database, tenant, receiver.url)
        delivery = ping(database, tenant, webhook)
        assert outcome(database, delivery) == (410, None)

    with database.reading() as sql:
        found = webhooks.find(sql, tenant, webhook)
    assert (found.state, found.error["code"], row(database, delivery).state) == ("disabled", "webhook_gone", "failed")


def test_one_that_hangs_holds_up_nobody_else(worker: Delivering, database: Database, tenant: str, other: str) -> None:
    with receiving(hanging) as stuck, receiving() as well:
        webhook = make(database, tenant, stuck.url)
        held = [ping(database, tenant, webhook) for _ in range(3 * SENDING_THREADS)]
        assert until(lambda: len(stuck.messages) == OF_A_TENANT)
        others = make(database, other, well.url)
        sent = [ping(database, other, others) for _ in range(20)]

        assert until(lambda: set(well.ids) == set(sent))

        # While what hangs still hangs, all that its tenant may hold.
        assert len(stuck.messages) == OF_A_TENANT
        with database.transaction() as sql:
            webhooks.remove(sql, tenant, webhook)
    assert len(held) == 3 * SENDING_THREADS


def test_who_waits_longest_is_first_but_of_no_tenant_more_than_its_share() -> None:
    due = [Due(f"a{number}", "a") for number in range(10)] + [Due("b1", "b"), Due("c1", "c"), Due("b2", "b")]

    assert choose(due, Counter(), room=100) == ["a0", "a1", "a2", "a3", "b1", "c1", "b2"]
    assert choose(due, Counter(a=3, b=4), room=100) == ["a0", "c1"]
    assert choose(due, Counter(), room=2) == ["a0", "a1"]


def test_what_one_delivery_does_to_it_is_no_concern_of_the_others(
    worker: Delivering, database: Database, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = sending.send

    def failing(claim: deliveries.Claim, *more: Any) -> deliveries.Tried:
        if claim.id == first:
            raise RuntimeError("a mistake of ours")
        return send(claim, *more)

    with receiving() as receiver:
        webhook = make(database, tenant, receiver.url)
        monkeypatch.setattr(sending, "send", failing)
        first = ""
        with database.transaction() as sql:
            first = webhooks.ping(sql, tenant, webhook)
        second = ping(database, tenant, webhook)

        assert (outcome(database, first), outcome(database, second)) == ((None, "internal"), (204, None))


@contextmanager
def process(chosen: Settings) -> Iterator["subprocess.Popen[bytes]"]:
    """`python -m worker.deliveries`, as it is in production."""
    argv = [sys.executable, "-m", "worker.deliveries"]
    started = subprocess.Popen(
        argv, env={**os.environ, **environment_of(chosen)}, preexec_fn=die_with_parent, stderr=subprocess.PIPE
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def test_a_process_that_is_killed_in_the_middle_loses_nothing(
    open_settings: Settings, database: Database, tenant: str
) -> None:
    with receiving(hanging) as receiver:
        webhook = make(database, tenant, receiver.url)
        sent = [ping(database, tenant, webhook) for _ in range(OF_A_TENANT)]
        with process(open_settings) as doomed:
            assert until(lambda: len(receiver.messages) == OF_A_TENANT)
            doomed.send_signal(signal.SIGKILL)
            doomed.wait()
        receiver.behave = answering(204)
        hurry(database)
        with process(open_settings):
            assert until(lambda: all(row(database, each).state == "delivered" for each in sent))

    assert Counter(receiver.ids) == dict.fromkeys(sent, 2)


def test_two_processes_deliver_each_once(
    open_settings: Settings, database: Database, tenant: str, other: str
) -> None:  # fmt: skip
    with receiving() as receiver:
        made = {each: make(database, each, receiver.url) for each in (tenant, other)}
        with process(open_settings), process(open_settings):
            sent = [ping(database, each, webhook) for _ in range(50) for each, webhook in made.items()]
            assert until(lambda: all(row(database, each).state == "delivered" for each in sent))

    assert Counter(receiver.ids) == dict.fromkeys(sent, 1)


def test_told_to_stop_it_ends_what_it_has_in_hand(open_settings: Settings, database: Database, tenant: str) -> None:
    told = threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        told.wait()
        answering(204)(handler)

    with receiving(slow) as receiver:
        delivery = ping(database, tenant, make(database, tenant, receiver.url))
        with process(open_settings) as leaving:
            assert until(lambda: bool(receiver.messages))
            leaving.send_signal(signal.SIGTERM)
            told.set()
            said = leaving.communicate(timeout=30)[1]

    assert (leaving.returncode, said) == (0, b"")
    assert row(database, delivery).state == "delivered"


def test_the_health_check_tells_when_nobody_delivers(
    open_settings: Settings, database: Database, tenant: str
) -> None:  # fmt: skip
    with receiving() as receiver:
        delivery = ping(database, tenant, make(database, tenant, receiver.url))
        with database.transaction() as sql:
            sql.execute(update(table).values(next_at=now() - 61))
        with database.reading() as sql:
            neglected = pulse.deliveries(sql, open_settings)
        with working(open_settings):
            assert until(lambda: row(database, delivery).state == "delivered")
        with database.reading() as sql:
            well = pulse.deliveries(sql, open_settings)

    assert (neglected, well) == ("Nobody sends the deliveries of 1 tenants.", None)


def test_it_loads_neither_tensorflow_nor_numpy() -> None:
    asked = "import sys, worker.deliveries as _; print(sorted({'numpy', 'tensorflow', 'flask'} & set(sys.modules)))"

    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=Path.cwd())

    assert said.stdout.strip() == "[]"
