"""Webhooks that would have the house call itself, and receivers that mean it no good (H54 to H56)."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select

from shared import webhooks
from shared.tables import deliveries
from tests.hostile.invariants import Watch
from tests.receiver import answering, receiving
from tests.worker.test_sending import closing, endless, saying

INVALID, REFUSED = "webhook_url_invalid", "webhook_address_refused"
INSIDE = {
    "https://127.0.0.1/": REFUSED, "https://localhost/": REFUSED, "https://169.254.169.254/latest/": REFUSED,
    "https://[::1]/": REFUSED, "https://[::ffff:127.0.0.1]/": REFUSED, "https://[64:ff9b::7f00:1]/": REFUSED,
    "https://10.0.0.1/": REFUSED, "https://0.0.0.0/": REFUSED, "https://2130706433/": INVALID,
    "https://0x7f000001/": INVALID, "https://0177.0.0.1/": INVALID, "https://127.1/": INVALID,
    "http://127.0.0.1/": INVALID, "https://user@127.0.0.1/": INVALID, "https://127.0.0.1:6379/": INVALID,
    "https://evil\\@127.0.0.1/": INVALID, "file:///etc/passwd": INVALID, "gopher://127.0.0.1/": INVALID,
}  # fmt: skip


@contextmanager
def delivering(watch: Watch, **environment: str) -> Iterator[None]:
    """A delivering worker beside the others, for as long as it is needed."""
    started = watch.house.start("worker.deliveries", **environment)
    try:
        yield
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        watch.house.processes.remove(started)


def told(watch: Watch, url: str) -> tuple[int | None, str | None]:
    """What came of the first try to tell a receiver whose name was a good one when it was named."""
    with watch.house.database.transaction() as sql:
        webhook = str(webhooks.create(sql, watch.attacker.id, url=url, events=["job.ended"], description=None).id)
        delivery = webhooks.ping(sql, watch.attacker.id, webhook)

    def tries() -> list[dict[str, object]]:
        with watch.house.database.reading() as sql:
            return list(sql.execute(select(deliveries.c.log).where(deliveries.c.id == delivery)).scalar_one())

    watch.house.wait(tries)
    first = tries()[0]
    watch.attacker.call("DELETE", f"/v1/webhooks/{webhook}")
    return first.get("status"), first.get("error")  # type: ignore[return-value]  # as the log has them


@pytest.mark.hostile("H54")
def test_a_webhook_that_leads_inside_is_refused_however_it_is_written(watch: Watch) -> None:
    for url, code in INSIDE.items():
        watch.attacker.refused("POST", "/v1/webhooks", {"url": url}, by=(422, code))

    assert watch.attacker.call("GET", "/v1/webhooks")["data"] == []


@pytest.mark.hostile("H55")
def test_a_name_that_leads_inside_when_it_is_sent_to_is_not_connected_to(watch: Watch) -> None:
    with receiving() as inside, delivering(watch):
        said = [told(watch, f"https://{host}:{inside.port}/") for host in ("localhost", "127.0.0.1")]

    assert (said, inside.messages) == ([(None, "address")] * 2, [])


@pytest.mark.hostile("H56")
def test_a_receiver_that_means_harm_costs_a_try_and_nothing_else(watch: Watch) -> None:
    with receiving() as inside, delivering(watch, ETUDE_WEBHOOK_PRIVATE="127.0.0.1/32"):
        for behave, expected in (
            (answering(302, Location=inside.url), (302, None)),
            (endless(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65_536)), (200, None)),
            (endless(b"", b"nothing that is HTTP "), (None, "broken")),
            (saying(b"HTTP/1.1 999999 no status\r\n\r\n"), (None, "broken")),
            (closing, (None, "broken")),
        ):
            with receiving(behave) as receiver:
                assert told(watch, receiver.url) == expected
        assert told(watch, f"https://127.0.0.1:{inside.port}/")[1] == "tls"

    assert inside.messages == []
