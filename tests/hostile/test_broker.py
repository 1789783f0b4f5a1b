"""Whatever lies in Redis: a worker takes rings from there, drops the rest, counts it, and lives (H57, H61, H63)."""

import base64
import gzip
import json
import pickle  # noqa: TID251 — what an attacker sends, never what is read
import uuid
from pathlib import Path
from typing import Any

import psutil
import pytest
from kombu import transport

from shared import queue, tallies
from shared.jobs import NewJob, submit
from shared.queue import LIGHT, TASK
from shared.settings import Settings
from tests.faults.house import child_of
from tests.hostile.invariants import TINY, Watch
from tests.hostile_files import Marker
from worker import rings

EMBED = dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))


def message(
    body: Any = ([LIGHT], {}, EMBED),
    *,
    raw: bytes | None = None,
    headers: Any = None,
    properties: Any = None,
    instead: Any = None,
) -> bytes:
    """A ring as Celery writes it, but for what is said otherwise."""
    own = str(uuid.uuid4())
    content = json.dumps(body).encode() if raw is None else raw
    plain: dict[str, Any] = {
        "body": base64.b64encode(content).decode(), "content-type": "application/json", "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": TASK, "id": own, "timelimit": [None, None], **(headers or {})},
        "properties": {"delivery_tag": own, "delivery_info": {"exchange": "", "routing_key": LIGHT},
                       "body_encoding": "base64", **(properties or {})},
    }  # fmt: skip
    return json.dumps({**plain, **(instead or {})}).encode()


def pickled(marker: Path) -> bytes:
    return pickle.dumps(([Marker(marker)], {}, EMBED))


FORGED = {
    "a pickle": lambda marker: message(
        raw=pickled(marker), instead={"content-type": "application/x-python-serialize", "content-encoding": "binary"}
    ),
    "a pickle that is called JSON": lambda marker: message(raw=pickled(marker)),
    "YAML": lambda marker: message(
        raw=f"!!python/object/apply:os.mkdir ['{marker}']".encode(), instead={"content-type": "application/x-yaml"}
    ),
    "an unknown task": lambda marker: message(headers={"task": "os.mkdir"}),
    "a task of Celery's": lambda marker: message(headers={"task": "celery.backend_cleanup"}),
    "a queue that is none": lambda marker: message([["../../etc"], {}, EMBED]),
    "another queue's ring": lambda marker: message([["train"], {}, EMBED]),
    "a job's id": lambda marker: message([["job_0123456789"], {}, EMBED]),
    "no arguments": lambda marker: message([[], {}, EMBED]),
    "too many arguments": lambda marker: message([[LIGHT] * 100, {}, EMBED]),
    "named arguments": lambda marker: message([[LIGHT], {"queue": LIGHT}, EMBED]),
    "a body of another form": lambda marker: message({"task": TASK, "args": [LIGHT]}),
    "a packed body": lambda marker: message(raw=gzip.compress(b"0" * 1000), headers={"compression": "gzip"}),
    "an unknown packing": lambda marker: message(headers={"compression": "x"}),
    "a body that is no base64": lambda marker: message(instead={"body": "\ud800"}),
    "no headers": lambda marker: message(instead={"headers": None}),
    "headers that are a list": lambda marker: message(instead={"headers": [TASK]}),
    "no properties and no task": lambda marker: b"{}",
    "the first protocol": lambda marker: json.dumps({"task": TASK, "args": [LIGHT], "kwargs": {}, "id": "x"}).encode(),
    "bytes": lambda marker: b"\xff\xfe\x00garbage",
    "nothing": lambda marker: b"",
    "a word": lambda marker: b"work",
    "a list": lambda marker: b"[1, 2, 3]",
    "a number": lambda marker: b"1e999",
    "a deep list": lambda marker: b"[" * 100_000,
    "kombu's own types": lambda marker: b'{"__type__": "decimal", "__value__": "x"}',
    "8 MB": lambda marker: b'"' + b"x" * 2**23 + b'"',
}


def put(watch: Watch, *items: bytes) -> None:
    with queue.connect(watch.house.settings) as redis:
        redis.lpush(LIGHT, *items)
    watch.house.wait(lambda: queue.count_rings(watch.house.settings, LIGHT) == 0)


def count_dropped(watch: Watch) -> int:
    with watch.house.database.reading() as sql:
        return sum(each.times for each in tallies.every(sql) if each.tally.series == tallies.NO_RING)


@pytest.mark.hostile("H57", "H63")
def test_whatever_is_no_ring_is_dropped_and_counted_and_the_worker_lives(watch: Watch, tmp_path: Path) -> None:
    marker, before = tmp_path / "unpickled", count_dropped(watch)

    for name, forge in FORGED.items():
        put(watch, forge(marker))
        assert watch.worker.is_running() and watch.worker.status() != "zombie", (name, watch.house.logs())

    watch.house.wait(lambda: count_dropped(watch) == before + len(FORGED))
    assert not marker.exists()
    assert '"no_ring"' in watch.house.whole_logs()


@pytest.mark.hostile("H57")
@pytest.mark.parametrize(
    "said",
    [
        {"timelimit": [0.001, 0.001]}, {"eta": "9999-01-01T00:00:00", "expires": "x"}, {"id": ["no", "uuid"]},
        {"retries": 10**9, "group": {}, "stamps": 3}, {"argsrepr": 5, "ignore_result": "x", "root_id": None},
    ],
    ids=lambda said: "-".join(said),
)  # fmt: skip
def test_of_a_ring_that_says_more_only_that_it_rang_is_heard(said: dict[str, Any]) -> None:
    forged = message(
        [[LIGHT], {}, {"callbacks": [{"task": "x"}]}], headers=said, properties={"delivery_tag": 7, "priority": "x"}
    )

    heard = rings.ring(str(rings.read(forged)))

    assert heard["headers"].keys() == {"lang", "task", "id", "root_id"}
    assert json.loads(base64.b64decode(heard["body"])) == [[LIGHT], {}, EMBED]
    assert uuid.UUID(heard["properties"]["delivery_tag"])


@pytest.mark.hostile("H57")
def test_a_ring_with_the_id_of_a_job_starts_none_and_ends_none(watch: Watch) -> None:
    """Of another tenant, ended or waiting: a message names a queue, and what is due is in SQL."""
    wanted = NewJob(watch.neighbour.id, "train", "train", "classification", [], model="m")
    with watch.house.database.transaction() as sql:
        waiting = str(submit(sql, wanted).id)
    ended = watch.witness.call("GET", "/v1/jobs?state=succeeded")["data"][0]["id"]
    found = {job: watch.house.find(job).revision for job in (waiting, ended)}

    put(watch, *(message([[job], {}, EMBED], headers={"id": job}) for job in found))
    watch.check_neighbour()

    assert {job: watch.house.find(job).revision for job in found} == found
    watch.neighbour.call("POST", f"/v1/jobs/{waiting}/cancel")


@pytest.mark.hostile("H63")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_lies_among_the_unacknowledged_is_forgotten(redis: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker looks there for what is old and delivers it again, whoever has written it."""
    monkeypatch.setattr(transport, "TRANSPORT_ALIASES", dict(transport.TRANSPORT_ALIASES))
    monkeypatch.setattr(transport, "_transport_cache", {})
    monkeypatch.setattr(rings, "TRANSPORT_ALIASES", transport.TRANSPORT_ALIASES)
    rings.hear_nothing_else()
    untold = rings.dropped.untold()
    with queue.connect(redis) as server:
        for tag, said in {"a": b"garbage", "b": b"[1]", "c": b"{}", "d": b'[5, "", "light"]'}.items():
            server.hset("unacked", tag, said)
            server.zadd("unacked_index", {tag: 1.0})
        with queue.celery_app(redis, is_worker=True).connection_for_read() as connection:
            assert type(connection.default_channel) is rings.Channel
            connection.default_channel.qos.restore_visible()

        assert server.hlen("unacked") == server.zcard("unacked_index") == 0
        assert server.llen(LIGHT) == 0
    assert rings.dropped.untold() > untold


@pytest.mark.hostile("H61")
def test_with_redis_frozen_or_a_workers_child_killed_a_job_is_taken_and_done(watch: Watch) -> None:
    redis = psutil.Process(watch.house.redis_pid())
    redis.suspend()
    try:
        _, meanwhile = watch.attacker.commit({"t.csv": TINY})
    finally:
        redis.resume()

    child_of(watch.worker).kill()
    _, after = watch.attacker.commit({"t.csv": TINY})

    assert [watch.attacker.end_of(job)["state"] for job in (meanwhile, after)] == ["succeeded"] * 2
