"""How often: buckets, and what who asks too often is told; one who does leaves the others alone."""

import dataclasses
from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from shared import keys
from shared.database import Database, now
from shared.settings import Settings
from shared.tables import keys as key_table
from tests.conftest import make_tenant
from tests.factories import SONGS, make_dataset
from tests.web.calling import Caller, a_key
from web import admission, rates
from web.app import create_app, create_services
from web.rates import Buckets


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


Serve = Callable[..., FlaskClient]


@pytest.fixture
def serve(settings: Settings) -> Iterator[Serve]:
    """An application with limits of its own."""
    made = []

    def start(**limits: float) -> FlaskClient:
        made.append(create_services(dataclasses.replace(settings, **limits)))
        return create_app(made[-1]).test_client()

    yield start
    for services in made:
        services.database.close()


def test_a_bucket_gives_its_burst_and_then_its_rate(clock: Clock) -> None:
    buckets = Buckets(2.0, 3, clock=clock)

    assert [buckets.take("a").left for _ in range(3)] == [2, 1, 0]
    assert buckets.take("a").wait_s == pytest.approx(0.5)
    assert buckets.is_empty("a") and not buckets.is_empty("b")
    clock.now += 0.5
    assert buckets.take("a").wait_s == 0
    assert buckets.take("a").wait_s > 0
    clock.now += 100
    assert buckets.take("a").left == 2


def test_one_that_is_empty_leaves_the_others_full(clock: Clock) -> None:
    buckets = Buckets(1.0, 2, clock=clock)
    for _ in range(100):
        buckets.take("a")

    assert buckets.take("b").left == 1


def test_a_clock_that_goes_backwards_makes_nobody_wait_for_longer_than_empty(clock: Clock) -> None:
    buckets = Buckets(1.0, 5, clock=clock)
    buckets.take("a")
    clock.now -= 500

    taken = buckets.take("a")
    assert 0 < taken.wait_s <= 1.0
    clock.now += 1.0
    # Nothing was given meanwhile, so it was not forgotten either that the clock had gone back.
    assert buckets.take("a").wait_s <= 1.0


def test_without_a_rate_there_is_no_limit(clock: Clock) -> None:
    buckets = Buckets(0, 1, clock=clock)

    assert all(buckets.take("a").wait_s == 0 for _ in range(1000))
    assert not buckets.is_empty("a")


def test_memory_is_bounded_and_the_emptiest_are_remembered(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "SIZE", 100)
    buckets = Buckets(1.0, 5, clock=clock)
    for _ in range(5):
        buckets.take("busy")

    for number in range(1000):
        buckets.take(f"guest-{number}")
        assert len(buckets._full_at) <= 100

    assert buckets.take("busy").wait_s > 0


def test_who_asks_too_often_is_told_when_to_come_again(
    serve: Serve, settings: Settings, database: Database, tenant: str
) -> None:
    client = serve(key_rate=0.5, key_burst=2)
    mine, colleague = (Caller(client, a_key(database, settings, tenant)) for _ in range(2))

    answers = [mine.call("GET", "/v1/jobs") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"2"}
    refused = answers[2]
    assert (refused.json["code"], refused.json["retryable"]) == ("rate_limited", True)
    assert 1 <= int(refused.headers["Retry-After"]) <= 2
    assert 2 <= int(refused.headers["X-RateLimit-Reset"]) <= 4
    assert colleague.call("GET", "/v1/jobs").status_code == 200
    assert "X-RateLimit-Remaining" not in client.get("/healthz").headers


def test_submissions_of_a_tenant_are_counted_over_its_keys_and_leave_another_tenant_alone(
    serve: Serve, settings: Settings, database: Database, tenant: str
) -> None:
    client = serve(submission_rate=0.01, submission_burst=5)
    mine, colleague = (Caller(client, a_key(database, settings, tenant)) for _ in range(2))
    neighbour = make_tenant(database)
    other = Caller(client, a_key(database, settings, neighbour))
    with database.transaction() as sql:
        body, theirs = (
            {"action": "train", "kind": "classification", "dataset": make_dataset(sql, each, profile=SONGS)}
            for each in (tenant, neighbour)
        )

    flood = [mine.call("POST", "/v1/jobs", body).status_code for _ in range(20)]

    assert flood == [202] * 5 + [429] * 15
    assert colleague.call("POST", "/v1/jobs", body).json["code"] == "rate_limited"
    assert colleague.call("GET", "/v1/jobs").status_code == 200
    assert colleague.call("POST", "/v1/estimate", body).status_code == 200
    assert [other.call("POST", "/v1/jobs", theirs).status_code for _ in range(5)] == [202] * 5


def test_guessing_is_slow_and_who_is_known_is_not_locked_out(
    serve: Serve, settings: Settings, database: Database, tenant: str
) -> None:
    client = serve(wrong_key_rate=0.01, wrong_key_burst=3)
    known, unknown = (Caller(client, a_key(database, settings, tenant)) for _ in range(2))
    known.call("GET", "/v1/jobs")

    guesses = [client.get("/v1/jobs", headers={"Authorization": f"Bearer {n}"}).status_code for n in range(6)]

    assert guesses == [401] * 3 + [429] * 3
    assert known.call("GET", "/v1/jobs").status_code == 200
    # A guess that is right learns nothing any more.
    assert unknown.call("GET", "/v1/jobs").json["code"] == "rate_limited"
    elsewhere = client.get("/v1/jobs", environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert elsewhere.status_code == 401


def test_a_key_that_may_not_submit_uses_up_no_submissions(
    serve: Serve, settings: Settings, database: Database, tenant: str
) -> None:
    client = serve(submission_rate=0.01, submission_burst=2)
    reader = Caller(client, a_key(database, settings, tenant, scope=keys.READ))
    owner = Caller(client, a_key(database, settings, tenant))
    with database.transaction() as sql:
        body = {"action": "train", "kind": "classification", "dataset": make_dataset(sql, tenant, profile=SONGS)}

    refused = [reader.call("POST", "/v1/jobs", body).status_code for _ in range(6)]

    assert refused == [403] * 6
    assert [owner.call("POST", "/v1/jobs", body).status_code for _ in range(3)] == [202, 202, 429]


def test_a_key_that_has_ended_is_limited_by_itself_and_locks_out_nobody_of_its_address(
    serve: Serve, settings: Settings, database: Database, tenant: str
) -> None:
    client = serve(wrong_key_rate=0.01, wrong_key_burst=3, key_rate=0.01, key_burst=5)
    key, unseen = a_key(database, settings, tenant), Caller(client, a_key(database, settings, tenant))
    with database.transaction() as sql:
        sql.execute(update(key_table).where(key_table.c.id == f"key_{key.split('_')[1]}").values(revoked_at=now()))

    answers = [Caller(client, key).call("GET", "/v1/jobs") for _ in range(12)]

    assert [each.status_code for each in answers] == [401] * 5 + [429] * 7
    assert "X-RateLimit-Remaining" not in answers[0].headers
    assert unseen.call("GET", "/v1/jobs").status_code == 200


@pytest.mark.parametrize(
    ("address", "counted"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
     ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
     ("", ""), ("unix", "unix")],
)  # fmt: skip
def test_an_ipv6_address_counts_as_its_network(address: str, counted: str) -> None:
    assert admission.network(address) == counted
