"""/v1/webhooks at the door: what is taken, what is refused with which code, and what is never shown."""

import dataclasses
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from shared import addresses, keys, webhooks
from shared.database import Database, now
from shared.receivers import Receivers
from shared.settings import Settings
from shared.tables import deliveries as table
from tests.receiver import Names, found_by
from tests.web import serving
from tests.web.calling import Caller, a_key
from web.app import create_app, create_services

URL = "https://hook.test/a?b=c"


@pytest.fixture
def names() -> Names:
    """What the name server says; a test may give it other answers."""
    return Names(["8.8.8.8", "2606:4700::1111"])


@pytest.fixture
def client(settings: Settings, database: Database, names: Names) -> Iterator[FlaskClient]:
    services = dataclasses.replace(create_services(settings), receivers=found_by(names, private=""))
    yield create_app(services).test_client()
    services.database.close()


@pytest.fixture
def stranger(client: FlaskClient, database: Database, settings: Settings, other: str) -> Caller:
    return Caller(client, a_key(database, settings, other))


def make(caller: Caller, **values: Any) -> Any:
    made = caller.call("POST", "/v1/webhooks", {"url": URL, **values})
    assert made.status_code == 201, made.text
    return made.json


def code(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def test_the_secret_is_shown_once(caller: Caller) -> None:
    made = caller.call("POST", "/v1/webhooks", {"url": URL, "events": ["job.failed"], "description": "to the pager"})
    webhook = made.json
    secret = webhook.pop("secret")

    shown = caller.call("GET", made.headers["Location"])
    listed = caller.call("GET", "/v1/webhooks")
    changed = caller.call("PATCH", made.headers["Location"], {"description": "to the other pager"})

    assert (made.status_code, secret[:6]) == (201, "whsec_")
    assert (webhook["url"], webhook["events"], webhook["state"]) == (URL, ["job.failed"], "active")
    assert (shown.json, listed.json["data"]) == (webhook, [webhook])
    assert changed.json == {**webhook, "description": "to the other pager"}
    assert "whsec_" not in shown.text + listed.text + changed.text


def test_a_webhook_is_told_of_everything_unless_it_says_else(caller: Caller) -> None:
    assert make(caller)["events"] == ["*"]
    assert make(caller, events=["job.failed", "job.failed"])["events"] == ["job.failed"]


@pytest.mark.hostile("H54")
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://hook.test/", "webhook_url_invalid"),
        ("https://user:word@hook.test/", "webhook_url_invalid"),
        ("https://hook.test:8080/", "webhook_url_invalid"),
        ("https://" + "a." * 130 + "test/", "webhook_url_invalid"),
        ("https://bücher.test/", "webhook_url_invalid"),
        ("https://１２７.0.0.1/", "webhook_url_invalid"),
        ("https://2130706433/", "webhook_url_invalid"),
        ("https://0x7f000001/", "webhook_url_invalid"),
        ("https://0177.0.0.1/", "webhook_url_invalid"),
        ("https://evil\\@127.0.0.1/", "webhook_url_invalid"),
        ("not a url", "webhook_url_invalid"),
        ("https://hook.test/" + "a" * 2048, "invalid_request"),
        ("", "invalid_request"),
        (None, "invalid_request"),
        (7, "invalid_request"),
        (["https://hook.test/"], "invalid_request"),
    ],
)
def test_a_url_that_cannot_be_a_receivers_is_refused(caller: Caller, names: Names, url: Any, expected: str) -> None:
    answer = caller.call("POST", "/v1/webhooks", {"url": url})

    assert code(answer) == (422, expected)
    assert answer.json["errors"][0]["pointer"] == "/url"
    assert (caller.call("GET", "/v1/webhooks").json["data"], names.asked) == ([], {})


@pytest.mark.hostile("H54")
@pytest.mark.parametrize(
    "answer", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["64:ff9b::7f00:1"], [], socket.gaierror("unknown")]
)
def test_a_name_that_leads_inside_is_refused_as_one_that_is_unknown(caller: Caller, names: Names, answer: Any) -> None:
    names.answers = [answer]

    made = caller.call("POST", "/v1/webhooks", {"url": URL})

    assert code(made) == (422, "webhook_address_refused")
    for address in answer if isinstance(answer, list) else []:
        assert address not in made.text


def test_a_change_of_the_url_is_looked_at_as_closely(caller: Caller, names: Names) -> None:
    address = f"/v1/webhooks/{make(caller)['id']}"

    invalid = caller.call("PATCH", address, {"url": "http://hook.test/"})
    names.answers = [["127.0.0.1"]]
    inside = caller.call("PATCH", address, {"url": "https://hook.test/new"})

    assert (code(invalid), code(inside)) == ((422, "webhook_url_invalid"), (422, "webhook_address_refused"))
    assert caller.call("GET", address).json["url"] == URL
    assert caller.call("PATCH", address, {"events": ["*"]}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"url": URL, "events": []}, {"url": URL, "events": ["job.queued"]}, {"url": URL, "events": "*"},
        {"url": URL, "events": ["*"] * 17}, {"url": URL, "description": "x" * 256}, {"url": URL, "secret": "whsec_"},
        {"url": URL, "state": "active"}, {"events": ["*"]},
    ],
)  # fmt: skip
def test_a_body_that_is_no_webhook_is_refused(caller: Caller, body: Any) -> None:
    assert code(caller.call("POST", "/v1/webhooks", body)) == (422, "invalid_request")


def test_one_too_many_is_refused(caller: Caller, stranger: Caller) -> None:
    for _ in range(webhooks.WEBHOOKS_AT_MOST):
        make(caller)

    assert code(caller.call("POST", "/v1/webhooks", {"url": URL})) == (409, "too_many_webhooks")
    make(stranger)


def test_webhooks_come_in_pages_the_newest_first(caller: Caller) -> None:
    made = [make(caller)["id"] for _ in range(3)]

    first = caller.call("GET", "/v1/webhooks?limit=2").json
    second = caller.call("GET", f"/v1/webhooks?limit=2&cursor={first['next_cursor']}").json

    assert [each["id"] for each in first["data"] + second["data"]] == made[::-1]
    assert second["next_cursor"] is None


def test_a_repeated_request_makes_one_webhook_with_one_secret(caller: Caller) -> None:
    made = [caller.call("POST", "/v1/webhooks", {"url": URL}, **{"Idempotency-Key": "k"}) for _ in range(2)]

    assert made[0].json == made[1].json
    assert made[1].headers["Idempotency-Replayed"] == "true"
    assert len(caller.call("GET", "/v1/webhooks").json["data"]) == 1


def test_rotating_shows_a_new_secret_and_until_when_the_old_one_is_good(caller: Caller) -> None:
    webhook = make(caller)

    rotated = caller.call("POST", f"/v1/webhooks/{webhook['id']}/rotate")

    assert rotated.status_code == 200
    assert rotated.json["secret"] not in ("", webhook["secret"])
    assert rotated.json["old_secret_until"] > rotated.json["created_at"]
    assert "secret" not in caller.call("GET", f"/v1/webhooks/{webhook['id']}").json


def test_a_ping_is_a_delivery_with_its_body_and_its_tries(caller: Caller) -> None:
    address = f"/v1/webhooks/{make(caller, events=['job.failed'])['id']}"

    pinged = caller.call("POST", f"{address}/ping")
    shown = caller.call("GET", f"{address}/deliveries/{pinged.json['id']}").json

    assert (pinged.status_code, pinged.json["state"], pinged.json["type"]) == (202, "waiting", "webhook.ping")
    assert shown["body"]["data"] == {"webhook": pinged.json["webhook"]}
    assert (shown["attempts"], shown["tries"]) == (0, [])
    assert "whsec_" not in json.dumps(shown)


def test_deliveries_are_listed_by_page_and_by_state(caller: Caller, database: Database, tenant: str) -> None:
    address = f"/v1/webhooks/{make(caller)['id']}"
    made = [caller.call("POST", f"{address}/ping").json["id"] for _ in range(3)]
    with database.of(tenant).transaction() as sql:
        tried = {"state": "failed", "ended_at": now(), "log": [{"at": 0, "took_s": 1, "status": 500, "error": None}]}
        sql.execute(update(table).where(table.c.id == made[1]).values(tried))

    first = caller.call("GET", f"{address}/deliveries?limit=2").json
    second = caller.call("GET", f"{address}/deliveries?limit=2&cursor={first['next_cursor']}").json
    failed = caller.call("GET", f"{address}/deliveries?state=failed").json
    shown = caller.call("GET", f"{address}/deliveries/{made[1]}").json

    assert [each["id"] for each in first["data"] + second["data"]] == made[::-1]
    assert [each["id"] for each in failed["data"]] == [made[1]]
    assert shown["tries"] == [{"at": "1970-01-01T00:00:00.000Z", "took_s": 1, "status": 500, "error": None}]
    assert code(caller.call("GET", f"{address}/deliveries?state=lost")) == (422, "invalid_request")


def test_a_delivery_is_sent_again_on_demand(caller: Caller, database: Database) -> None:
    address = f"/v1/webhooks/{make(caller)['id']}"
    delivery = caller.call("POST", f"{address}/ping").json["id"]
    with database.transaction() as sql:
        sql.execute(update(table).values(state="delivered", next_at=None, ended_at=now()))

    again = caller.call("POST", f"{address}/deliveries/{delivery}/redeliver")

    assert (again.status_code, again.json["id"], again.json["state"]) == (202, delivery, "waiting")
    assert again.json["ended_at"] is None


def test_a_webhook_that_is_off_sends_nothing(caller: Caller) -> None:
    address = f"/v1/webhooks/{make(caller)['id']}"
    delivery = caller.call("POST", f"{address}/ping").json["id"]

    off = caller.call("PATCH", address, {"state": "disabled"})

    assert (off.json["state"], off.json["error"]) == ("disabled", None)
    assert caller.call("GET", f"{address}/deliveries/{delivery}").json["state"] == "failed"
    assert code(caller.call("POST", f"{address}/ping")) == (409, "webhook_disabled")
    assert code(caller.call("POST", f"{address}/deliveries/{delivery}/redeliver")) == (409, "webhook_disabled")
    assert caller.call("PATCH", address, {"state": "active"}).json["state"] == "active"
    assert caller.call("POST", f"{address}/ping").status_code == 202


def test_what_is_deleted_is_gone_with_its_deliveries(caller: Caller) -> None:
    address = f"/v1/webhooks/{make(caller)['id']}"
    delivery = caller.call("POST", f"{address}/ping").json["id"]

    assert caller.call("DELETE", address).status_code == 204

    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/deliveries"), ("GET", f"/deliveries/{delivery}")):
        assert code(caller.call(method, address + path)) == (404, "not_found")


CALLS = [
    ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate"), ("POST", "/ping"), ("GET", "/deliveries"),
    ("GET", "/deliveries/{delivery}"), ("POST", "/deliveries/{delivery}/redeliver"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_another_tenants_webhook_answers_as_one_that_does_not_exist(
    caller: Caller, stranger: Caller, method: str, path: str
) -> None:
    theirs = make(stranger)["id"]
    delivery = stranger.call("POST", f"/v1/webhooks/{theirs}/ping").json["id"]
    body = {"state": "disabled"} if method == "PATCH" else None

    said = [
        caller.call(method, f"/v1/webhooks/{webhook}" + path.format(delivery=delivery), body, **{"X-Request-Id": "r"})
        for webhook in (theirs, "whk_0000000000000000000000000")
    ]

    assert [code(answer) for answer in said] == [(404, "not_found")] * 2
    assert said[0].data == said[1].data
    assert stranger.call("GET", f"/v1/webhooks/{theirs}").json["state"] == "active"
    assert len(stranger.call("GET", f"/v1/webhooks/{theirs}/deliveries").json["data"]) == 1


def test_a_delivery_is_found_under_its_own_webhook_alone(caller: Caller, stranger: Caller) -> None:
    mine, theirs = make(caller)["id"], make(stranger)["id"]
    delivery = stranger.call("POST", f"/v1/webhooks/{theirs}/ping").json["id"]

    for method, path in (("GET", ""), ("POST", "/redeliver")):
        answer = caller.call(method, f"/v1/webhooks/{mine}/deliveries/{delivery}{path}")
        assert code(answer) == (404, "not_found")


@pytest.mark.parametrize(("method", "path"), [("POST", None), *CALLS])
def test_who_may_only_submit_may_look_and_change_nothing(
    client: FlaskClient, database: Database, settings: Settings, tenant: str, caller: Caller, method: str,
    path: str | None,
) -> None:  # fmt: skip
    webhook = make(caller)["id"]
    delivery = caller.call("POST", f"/v1/webhooks/{webhook}/ping").json["id"]
    submitter = Caller(client, a_key(database, settings, tenant, keys.SUBMIT))
    address = "/v1/webhooks" if path is None else f"/v1/webhooks/{webhook}{path.format(delivery=delivery)}"
    body = {"url": URL} if path is None else {"state": "disabled"} if method == "PATCH" else None

    answer = submitter.call(method, address, body)

    assert answer.status_code == (200 if method == "GET" else 403)


def test_over_a_real_server_with_the_systems_own_names(server: serving.Server) -> None:
    literal = server.call("POST", "/v1/webhooks", {"url": "https://8.8.8.8/hook"})
    inside = server.call("POST", "/v1/webhooks", {"url": "https://localhost/hook"})

    assert (literal[0], literal[1]["secret"][:6]) == (201, "whsec_")
    assert (inside[0], inside[1]["code"]) == (422, "webhook_address_refused")
    assert server.call("DELETE", f"/v1/webhooks/{literal[1]['id']}")[0] == 204


def test_too_many_look_ups_at_once_are_asked_to_come_again(settings: Settings, database: Database, tenant: str) -> None:
    answered, begun = threading.Event(), threading.Semaphore(0)

    def look_up(*_: Any, **__: Any) -> list[Any]:
        begun.release()
        answered.wait()
        return []

    receivers = Receivers(addresses.read_rules("443", ""), at_once=1, look_up=look_up)
    services = dataclasses.replace(create_services(settings), receivers=receivers)
    caller = Caller(create_app(services).test_client(), a_key(database, settings, tenant))
    first = threading.Thread(target=caller.call, args=["POST", "/v1/webhooks", {"url": URL}])
    first.start()
    begun.acquire()

    answer = caller.call("POST", "/v1/webhooks", {"url": URL})

    answered.set()
    first.join()
    services.database.close()
    assert code(answer) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "2"
