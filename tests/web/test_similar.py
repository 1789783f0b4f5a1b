"""Similar tracks through HTTP: a real web process, real answering workers, and what happens when these are away."""

import dataclasses
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest
from redis import Redis
from sqlalchemy import insert

from shared import datasets, ids, keys, questions, queue
from shared.database import Database, now
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import models, versions
from shared.up import environment_of
from tests import nursery
from tests.factories import SONGS, make_dataset, make_job
from tests.heard import change, contents_of, cosines, hear, make_audio, random_means
from tests.nursery import Process
from tests.waiting import until
from tests.web import serving
from tests.web.serving import LIMIT_S, Server

KEYS = [f"t{number}" for number in range(30)]
GENRES = ["rock", "pop", "jazz"] * 10
MEANS = random_means(30)

Start = Callable[[], Process]
Said = tuple[int, Any, dict[str, str]]


@pytest.fixture
def connection(redis: Settings) -> Iterator[Redis]:
    with queue.connect(redis) as opened:
        yield opened


@pytest.fixture
def start(redis: Settings) -> Iterator[Start]:
    """Start an answering worker; it is killed in the end if it is still there."""
    started = list[Process]()

    def begin() -> Process:
        environment = {**os.environ, **environment_of(redis)}
        started.append(nursery.start("worker.answers", env=environment))
        assert until(lambda: questions.is_answered(redis))
        return started[-1]

    yield begin
    for each in started:
        each.kill()
        each.wait()


@pytest.fixture
def hurried(redis: Settings, database: Database, tenant: str) -> Iterator[Server]:
    """A web process that waits a second for an answer, for the tests in which none comes."""
    with database.transaction() as sql:
        key = keys.create(sql, tenant, name="test", scope=keys.READ, pepper=redis.pepper)
    running = serving.start(dataclasses.replace(redis, answer_s=1.0), key)
    yield running
    running.stop()


@pytest.fixture
def songs(database: Database, storage: Storage, tenant: str) -> str:
    """Thirty tracks, all heard, and a model that was trained on them: songs@1 and listener@1."""
    columns = {"genre": GENRES, "year": [1990 + number for number in range(30)]}
    dataset = make_audio(database, storage, tenant, KEYS, columns=columns, name="songs")
    hear(database, tenant, contents_of(KEYS), MEANS)
    make_version(database, tenant, "listener", dataset, format="audio", reference="songs@1")
    return dataset


def make_version(database: Database, tenant: str, name: str, dataset: str, **lineage: str) -> None:
    with database.transaction() as sql:
        model = ids.new("mdl")
        sql.execute(insert(models).values(id=model, tenant=tenant, name=name, kind="analysis", created_at=now()))
        job = make_job(sql, tenant, datasets=[dataset])
        row = {
            "id": ids.new("ver"), "tenant": tenant, "model": model, "number": 1, "job": job, "fence": 1, "files": [],
            "metrics": {},
            "baselines": {}, "warnings": [], "lineage": {"dataset": {"id": dataset, **lineage}}, "parameters": 1,
        }  # fmt: skip
        sql.execute(insert(versions).values(created_at=now(), **row))


def ask(server: Server, model: str = "listener", version: int = 1, **query: Any) -> Said:
    given = {name.replace("where_", "where."): value for name, value in {"track": "t0", **query}.items()}
    return server.call("GET", f"/v1/models/{model}/versions/{version}/similar?{urlencode(given)}")


def patiently(server: Server, **query: Any) -> Said:
    """Ask again as long as a 503 says when."""
    said = list[Said]()

    def is_answered() -> bool:
        said.append(ask(server, **query))
        assert said[-1][0] != 503 or int(said[-1][2]["retry-after"]) >= 1
        return said[-1][0] != 503

    assert until(is_answered)
    return said[-1]


def nearest(place: int, genre: str | None = None) -> list[str]:
    fitting = [other for other in range(30) if other != place and genre in (None, GENRES[other])]
    return [KEYS[other] for other in sorted(fitting, key=lambda other: -cosines(MEANS)[place][other])]


def tracks(said: Said) -> list[str]:
    return [each["track"] for each in said[1]["data"]]


def test_the_tracks_that_sound_most_like_one(server: Server, start: Start, songs: str) -> None:
    start()

    status, said, _ = answered = patiently(server, track="t7")

    assert status == 200, said
    assert (said["track"], said["dataset"], said["heard"]) == ("t7", "songs@1", 30)
    assert tracks(answered) == nearest(7)[:10]
    for each in said["data"]:
        place = KEYS.index(each["track"])
        assert each["score"] == pytest.approx(cosines(MEANS)[7][place], abs=2e-6)
        assert each["columns"] == {"file": f"t{place}.wav", "genre": GENRES[place], "year": 1990 + place}


def test_conditions_choose_among_them(server: Server, start: Start, songs: str) -> None:
    start()

    assert tracks(patiently(server, k=100, where_genre="jazz")) == nearest(0, "jazz")
    assert tracks(ask(server, k=2, where_genre="pop")) == nearest(0, "pop")[:2]
    assert tracks(ask(server, where_genre="jazz", where_year="1992")) == ["t2"]
    assert tracks(ask(server, where_genre="polka")) == []


def test_another_dataset_is_searched_when_it_is_named_by_any_reference(
    server: Server, start: Start, database: Database, storage: Storage, tenant: str, songs: str
) -> None:
    start()
    more = make_audio(database, storage, tenant, ["x", "t1", "t0"], name="more", version=3)
    hear(database, tenant, contents_of(["x"]), random_means(1, seed=5))

    for reference in (more, "more@3", "more@latest", "more"):
        status, said, _ = patiently(server, dataset=reference)
        assert (status, said["dataset"], said["heard"]) == (200, "more@3", 3), said
    assert {each["track"] for each in said["data"]} == {"x", "t1"}


def test_a_model_of_the_service_needs_the_dataset_named(server: Server, start: Start, songs: str) -> None:
    start()

    status, said, _ = ask(server, "etude.tagger-mtt")
    named = patiently(server, model="etude.tagger-mtt", dataset="songs")

    assert (status, said["code"]) == (422, "invalid_parameter")
    assert "dataset: expected one to search" in said["detail"]
    assert tracks(named) == nearest(0)[:10]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"k": 0}, "/k"),
        ({"k": 101}, "/k"),
        ({"k": "ten"}, "/k"),
        ({"track": ""}, "/track"),
        ({"track": "x" * 1025}, "/track"),
        ({f"where_{n}": "x" for n in range(9)}, "/where"),
        ({"where_": "x"}, "/where"),
        ({"where_genre": "x" * 1025}, "/where/genre"),
        ({"model_": "x"}, "/model_"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_query_of_another_form_is_refused_with_its_place(
    server: Server, songs: str, query: dict[str, Any], pointer: str
) -> None:
    status, said, _ = ask(server, **query)

    assert (status, said["code"]) == (422, "invalid_request")
    assert said["errors"][0]["pointer"].startswith(pointer)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_field_behind_the_conditions_is_no_parameter(server: Server, songs: str) -> None:
    status, said, _ = ask(server, where="x")
    labels, labels_said, _ = server.call("GET", "/v1/jobs?labels=x")

    assert (status, said["code"]) == (labels, labels_said["code"]) == (422, "unknown_parameter")
    assert "where.<name>=<value>" in said["detail"]


def test_what_cannot_be_asked_is_refused_without_a_worker(
    server: Server, database: Database, storage: Storage, tenant: str, songs: str
) -> None:
    with database.transaction() as sql:
        table = make_dataset(sql, tenant, name="table", profile=SONGS)
    make_version(database, tenant, "classifier", table, format="table", reference="table@1")
    unready = make_audio(database, storage, tenant, KEYS, name="unready", state="ingesting")

    said = {
        "trained on a table": ask(server, "classifier"),
        "trained on a table, though another is named": ask(server, "classifier", dataset="songs"),
        "a table": ask(server, dataset="table"),
        "not ready": ask(server, dataset=unready),
        "no such dataset": ask(server, dataset="nothing@1"),
        "no such version": ask(server, version=2),
        "no such model": ask(server, "nobody"),
    }

    assert {name: (status, body["code"]) for name, (status, body, _) in said.items()} == {
        "trained on a table": (409, "not_audio"),
        "trained on a table, though another is named": (409, "not_audio"),
        "a table": (409, "not_audio"),
        "not ready": (409, "dataset_not_ready"),
        "no such dataset": (422, "unknown_reference"),
        "no such version": (404, "not_found"),
        "no such model": (404, "not_found"),
    }


def test_what_the_worker_refuses_arrives_as_a_problem(
    server: Server, start: Start, database: Database, storage: Storage, tenant: str, songs: str
) -> None:
    start()
    make_audio(database, storage, tenant, ["new"], name="silent")
    make_audio(database, storage, tenant, ["new", "t0"], name="half")

    said = {
        "track": patiently(server, track="t99"),
        "column": ask(server, where_mood="sad"),
        "nothing heard": ask(server, track="new", dataset="silent"),
        "this one not heard": ask(server, track="new", dataset="half"),
    }

    assert {name: (status, body["code"]) for name, (status, body, _) in said.items()} == {
        "track": (404, "not_found"),
        "column": (422, "invalid_parameter"),
        "nothing heard": (409, "dataset_not_heard"),
        "this one not heard": (409, "track_not_heard"),
    }
    assert said["column"][1]["detail"].endswith("which has file, genre, year")
    assert said["track"][2]["content-type"] == "application/problem+json"
    assert "scoring or a training" in said["nothing heard"][1]["detail"]


def test_what_is_another_tenants_answers_as_what_does_not_exist(
    server: Server, start: Start, database: Database, storage: Storage, other: str, songs: str
) -> None:
    start()
    theirs = make_audio(database, storage, other, KEYS, name="theirs")
    make_version(database, other, "their-listener", theirs, format="audio", reference="theirs@1")

    def plain(said: Said, name: str) -> tuple[int, dict[str, Any]]:
        rest = {field: value for field, value in said[1].items() if field != "request_id"}
        return said[0], {field: str(value).replace(name, "NAME") for field, value in rest.items()}

    nothing = "ds_0000000000000000000000none"
    assert plain(ask(server, "their-listener"), "their-listener") == plain(ask(server, "no-listener"), "no-listener")
    assert plain(ask(server, dataset="theirs@1"), "theirs") == plain(ask(server, dataset="nobodys@1"), "nobodys")
    assert plain(ask(server, dataset=theirs), theirs) == plain(ask(server, dataset=nothing), nothing)


def test_an_erased_dataset_is_told_and_not_searched_any_more(
    server: Server, start: Start, database: Database, tenant: str, songs: str
) -> None:
    start()
    assert patiently(server)[0] == 200

    with database.transaction() as sql:
        datasets.erase(sql, tenant, songs)

    own, named = ask(server), ask(server, dataset=songs)
    assert (own[0], own[1]["code"]) == (409, "dataset_erased")
    assert (named[0], named[1]["code"]) == (422, "unknown_reference")


def test_a_worker_killed_with_a_question_in_hand_costs_a_503_and_the_next_one_answers(
    hurried: Server, start: Start, redis: Settings, connection: Redis, songs: str
) -> None:
    first = start()
    # Frozen in the middle of its wait: Redis hands it the question, and nobody else has it.
    first.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask, hurried)
        assert until(lambda: bool(list(connection.scan_iter("etude.question.*"))))
        first.kill()
        first.wait()
        status, said, headers = asking.result(LIMIT_S)

    assert (status, said["code"], said["retryable"]) == (503, "answer_late", True)
    assert int(headers["retry-after"]) >= 1
    start()
    assert tracks(patiently(hurried)) == nearest(0)[:10]


def test_with_no_worker_a_client_is_told_and_nothing_is_left(hurried: Server, connection: Redis, songs: str) -> None:
    status, said, headers = ask(hurried)

    assert (status, said["code"]) == (503, "answer_late")
    assert int(headers["retry-after"]) >= 1
    assert list(connection.scan_iter("etude.*")) == []


def test_a_worker_that_wakes_too_late_answers_nobody_and_then_the_next(
    hurried: Server, start: Start, connection: Redis, songs: str
) -> None:
    frozen = start()
    frozen.send_signal(signal.SIGSTOP)
    assert ask(hurried, track="t1")[1]["code"] == "answer_late"

    frozen.send_signal(signal.SIGCONT)

    assert tracks(patiently(hurried, track="t2")) == nearest(2)[:10]
    assert not list(connection.scan_iter("etude.answer.*")) and connection.llen(questions.WAITING) == 0


def test_while_no_answer_comes_all_other_calls_are_answered(hurried: Server, songs: str) -> None:
    with ThreadPoolExecutor(40) as pool:
        asking = [pool.submit(ask, hurried, track=f"t{number % 30}") for number in range(40)]
        others = [pool.submit(hurried.call, "GET", path) for path in ["/v1/jobs", "/v1/models/listener"] * 5]

        assert [each.result(LIMIT_S)[0] for each in others] == [200] * 10
        said = [each.result(LIMIT_S) for each in asking]

    assert {(status, body["retryable"]) for status, body, _ in said} == {(503, True)}
    # Who finds no seat is told at once, and not only after those before him have given up.
    assert {body["code"] for _, body, _ in said} == {"unavailable", "answer_late"}
    assert sum(body["code"] == "answer_late" for _, body, _ in said) >= questions.ASKING_AT_ONCE


@pytest.mark.parametrize("harm", ["frozen", "dead"])
def test_without_redis_a_client_is_told(
    server: Server, start: Start, redis: Settings, connection: Redis, songs: str, harm: str
) -> None:
    start()
    assert patiently(server)[0] == 200
    pid = int(connection.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP if harm == "frozen" else signal.SIGKILL)
    try:
        status, said, headers = ask(server)
        elsewhere = server.call("GET", "/v1/jobs")[0]
    finally:
        os.kill(pid, signal.SIGCONT)

    assert (status, said["code"], said["retryable"], elsewhere) == (503, "unavailable", True, 200)
    assert int(headers["retry-after"]) >= 1
    if harm == "frozen":
        assert tracks(patiently(server)) == nearest(0)[:10]


def test_redis_wiped_while_a_question_waits_costs_that_one_alone(
    hurried: Server, start: Start, connection: Redis, songs: str
) -> None:
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask, hurried)
        assert until(lambda: connection.llen(questions.WAITING) == 1)
        connection.flushall()
        status, said, _ = asking.result(LIMIT_S)

    assert (status, said["code"]) == (503, "answer_late")
    start()
    assert tracks(patiently(hurried)) == nearest(0)[:10]


def test_two_hundred_who_ask_at_once_each_get_their_own_answer(server: Server, start: Start, songs: str) -> None:
    for _ in range(2):
        start()

    with ThreadPoolExecutor(200) as pool:
        asking = [pool.submit(patiently, server, track=KEYS[number % 30], k=5) for number in range(200)]
        said = [each.result(4 * LIMIT_S) for each in asking]

    assert [(status, body["track"]) for status, body, _ in said] == [(200, KEYS[n % 30]) for n in range(200)]
    assert [tracks(each) for each in said] == [nearest(n % 30)[:5] for n in range(200)]


def test_what_is_heard_meanwhile_is_found(
    server: Server, start: Start, database: Database, storage: Storage, tenant: str, songs: str
) -> None:
    start()
    fresh = [f"n{number}" for number in range(4)]
    make_audio(database, storage, tenant, fresh, name="fresh")
    assert patiently(server, track="n0", dataset="fresh")[0] == 409

    hear(database, tenant, contents_of(fresh), random_means(4, seed=3))

    assert sorted(tracks(patiently(server, track="n0", dataset="fresh"))) == fresh[1:]


def test_a_dataset_that_is_read_again_is_refused_meanwhile(
    server: Server, start: Start, database: Database, songs: str
) -> None:
    start()
    assert patiently(server)[0] == 200

    change(database, songs, state="ingesting")

    assert ask(server)[1]["code"] == "dataset_not_ready"
