"""The answering worker: what it answers, what it refuses, and that no question and no outage ends it."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import insert, update

from shared import datasets, processes, pulse, questions, queue, redis_server
from shared.database import Database
from shared.errors import EtudeError, InvalidRequest, NotAllowedNow, NotFound, Unavailable
from shared.processes import Program, Supervisor, die_with_parent
from shared.questions import Asked, Asker, Comparison, Question
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import jobs, outputs
from shared.up import environment_of
from tests import nursery
from tests.factories import make_job
from tests.heard import change, contents_of, cosines, hear, make_audio, random_means
from tests.waiting import until
from worker import answers
from worker.answers import Answering

LIMIT_S = 30.0
KEYS = [f"t{number}" for number in range(12)]
GENRES = ["rock", "pop", "jazz"] * 4
MEANS = random_means(12)

Ask = Callable[..., Any]


@pytest.fixture
def worker(redis: Settings) -> Iterator[Answering]:
    """An answering worker in a thread of this process."""
    made, stopped = Answering(redis), threading.Event()
    thread = threading.Thread(target=made.run, args=[stopped])
    thread.start()
    yield made
    stopped.set()
    thread.join()


@pytest.fixture
def asker(redis: Settings, database: Database) -> Iterator[Asker]:
    made = Asker(dataclasses.replace(redis, answer_s=LIMIT_S), database.cells)
    yield made
    made.close()


@pytest.fixture
def songs(database: Database, storage: Storage, tenant: str) -> str:
    """Twelve tracks, all heard."""
    columns = {"genre": GENRES, "year": [2000 + number for number in range(12)], "mood": [float("nan"), 0.5] * 6}
    dataset = make_audio(database, storage, tenant, KEYS, columns=columns)
    hear(database, tenant, contents_of(KEYS), MEANS)
    return dataset


def question(tenant: str, dataset: str, track: str = "t0", *, k: int = 3, **where: str) -> Question:
    return Question(tenant=tenant, dataset=dataset, track=track, k=k, where=where)


def nearest(place: int, among: list[int]) -> list[str]:
    order = sorted((other for other in among if other != place), key=lambda other: -cosines(MEANS)[place][other])
    return [KEYS[other] for other in order]


def tracks(said: dict[str, Any]) -> list[str]:
    return [each["track"] for each in said["data"]]


def test_the_nearest_come_first_with_their_cosine_and_what_the_manifest_says(
    worker: Answering, asker: Asker, tenant: str, songs: str
) -> None:
    said = asker.ask(question(tenant, songs, "t4", k=5))

    assert (tracks(said), said["heard"]) == (nearest(4, list(range(12)))[:5], 12)
    for each in said["data"]:
        place = KEYS.index(each["track"])
        assert each["score"] == pytest.approx(cosines(MEANS)[4][place], abs=2e-6)
        mood = None if place % 2 == 0 else 0.5
        expected = {"file": f"t{place}.wav", "genre": GENRES[place], "year": 2000 + place, "mood": mood}
        assert each["columns"] == expected


def test_conditions_choose_and_more_than_there_are_is_all_there_are(
    worker: Answering, asker: Asker, tenant: str, songs: str
) -> None:
    jazz = [place for place in range(12) if GENRES[place] == "jazz"]

    assert tracks(asker.ask(question(tenant, songs, k=100, genre="jazz"))) == nearest(0, jazz)
    assert tracks(asker.ask(question(tenant, songs, k=100, genre="jazz", year="2005"))) == ["t5"]
    assert tracks(asker.ask(question(tenant, songs, k=100, genre="jazz", year="2006"))) == []
    assert len(tracks(asker.ask(question(tenant, songs, k=100)))) == 11


def refused(asker: Asker, asked: Asked) -> EtudeError:
    with pytest.raises(EtudeError) as told:
        asker.ask(asked)
    return told.value


def test_what_is_not_there_is_refused_with_a_sentence(worker: Answering, asker: Asker, tenant: str, songs: str) -> None:
    track = refused(asker, question(tenant, songs, "t99"))
    column = refused(asker, question(tenant, songs, mood="0.5", tempo="120"))

    assert (type(track), track.detail) == (NotFound, "The dataset has no such track.")
    assert (type(column), column.code) == (InvalidRequest, "invalid_parameter")
    assert column.detail == "where.tempo: expected a column of the manifest, which has file, genre, year, mood"


def test_another_tenants_dataset_is_not_found_even_when_it_is_in_memory(
    worker: Answering, asker: Asker, tenant: str, other: str, songs: str
) -> None:
    asker.ask(question(tenant, songs))

    theirs, nobodys = refused(asker, question(other, songs)), refused(asker, question(other, "ds_none"))

    assert (type(theirs), theirs.as_json()) == (type(nobodys), nobodys.as_json()) == (NotFound, theirs.as_json())
    assert tracks(asker.ask(question(tenant, songs))) == nearest(0, list(range(12)))[:3]


def test_an_erased_dataset_is_not_found_and_leaves_memory(
    worker: Answering, asker: Asker, database: Database, tenant: str, songs: str
) -> None:
    asker.ask(question(tenant, songs))
    assert worker.catalogues.held() == [songs]

    with database.transaction() as sql:
        datasets.erase(sql, tenant, songs)

    assert type(refused(asker, question(tenant, songs))) is NotFound
    assert worker.catalogues.held() == []


def test_an_erased_dataset_leaves_memory_though_nobody_asks_for_it(
    redis: Settings, asker: Asker, database: Database, tenant: str, songs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "BEAT_S", 0.1)
    worker, stopped = Answering(redis), threading.Event()
    thread = threading.Thread(target=worker.run, args=[stopped])
    thread.start()
    asker.ask(question(tenant, songs))

    with database.transaction() as sql:
        datasets.erase(sql, tenant, songs)

    assert until(lambda: worker.catalogues.held() == [])
    stopped.set()
    thread.join()


def test_a_dataset_that_is_not_ready_is_refused(
    worker: Answering, asker: Asker, database: Database, tenant: str, songs: str
) -> None:
    change(database, songs, state="ingesting")

    told = refused(asker, question(tenant, songs))

    assert (type(told), told.code) == (NotAllowedNow, "dataset_not_ready")


def test_what_was_not_heard_is_told_until_it_is(
    worker: Answering, asker: Asker, database: Database, storage: Storage, tenant: str
) -> None:
    dataset, contents = make_audio(database, storage, tenant, KEYS), contents_of(KEYS)
    none = refused(asker, question(tenant, dataset))

    hear(database, tenant, contents[1:6], MEANS[1:6])
    this_one = refused(asker, question(tenant, dataset))
    some = asker.ask(question(tenant, dataset, "t1", k=100))
    hear(database, tenant, contents, MEANS)
    every = asker.ask(question(tenant, dataset, k=100))

    assert (none.status, none.code) == (409, "dataset_not_heard")
    assert (this_one.status, this_one.code) == (409, "track_not_heard")
    assert (tracks(some), some["heard"]) == (nearest(1, [2, 3, 4, 5]), 5)
    assert (tracks(every), every["heard"]) == (nearest(0, list(range(12))), 12)


def test_an_answer_too_large_for_redis_is_refused_and_a_shorter_one_given(
    worker: Answering, asker: Asker, database: Database, storage: Storage, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_audio(database, storage, tenant, KEYS, columns={"text": ["x" * 3000] * 12})
    hear(database, tenant, contents_of(KEYS), MEANS)
    monkeypatch.setattr(answers, "MOST_ANSWER_BYTES", 20_000)

    told = refused(asker, question(tenant, dataset, k=10))

    assert (told.status, told.code) == (422, "invalid_parameter")
    assert len(tracks(asker.ask(question(tenant, dataset, k=5)))) == 5


def test_a_question_that_it_fails_on_is_told_and_the_next_one_answered(
    worker: Answering, asker: Asker, database: Database, storage: Storage, tenant: str, songs: str
) -> None:
    broken = make_audio(database, storage, tenant, KEYS)
    key = f"t/{tenant}/broken.parquet"
    stored = storage.put(key, [b"PAR1 is how such a file begins, and it does not end so"])
    change(database, broken, parts=[{"name": "part-00000.parquet", "key": key, "sha256": stored.sha256}])

    told = refused(asker, question(tenant, broken))

    assert (type(told), told.status, told.code) == (EtudeError, 500, "internal")
    assert "the operator's log has it under" in told.detail
    assert "PAR1" not in told.detail
    assert asker.ask(question(tenant, songs))["heard"] == 12


def test_a_question_of_another_form_is_told_too(
    worker: Answering, redis: Settings, asker: Asker, database: Database, tenant: str, songs: str
) -> None:
    asked = json.dumps({"tenant": tenant, "melody": "la la"})
    with queue.connect(redis) as connection:
        sealed = database.cells.seal(tenant, "etude.question.newer", asked)
        connection.set("etude.question.newer", sealed, px=60_000)
        connection.rpush(questions.WAITING, "newer")

        assert until(lambda: connection.llen("etude.answer.newer") == 1)
        (given,) = connection.lrange("etude.answer.newer", 0, -1)
    said = json.loads(database.cells.open("etude.answer.newer", given.decode(), whose=tenant))

    assert (said["status"], said["code"]) == (500, "internal")
    assert asker.ask(question(tenant, songs))["heard"] == 12


@dataclasses.dataclass
class Process:
    """`python -m worker.answers`, as it is in production."""

    process: nursery.Process
    log: Path

    def lines(self, event: str) -> int:
        return sum(json.loads(line).get("event") == event for line in self.log.read_text().splitlines())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[Settings], Process]]:
    """Start one; it is killed in the end if it is still there."""
    started = list[Process]()

    def begin(settings: Settings) -> Process:
        path = tmp_path / f"answers-{len(started)}.log"
        environment = {**os.environ, **environment_of(settings)}
        with path.open("wb") as log:
            process = nursery.start("worker.answers", env=environment, stderr=log)
        started.append(Process(process, path))
        return started[-1]

    yield begin
    for each in started:
        each.process.kill()
        each.process.wait()


def make_scoring(
    database: Database, storage: Storage, tenant: str, folder: Path, predictions: dict[str, str] | None
) -> str:
    """A scoring that has ended, with these predictions by key, or of which there is no file."""
    with database.transaction() as sql:
        job = make_job(sql, tenant, action="score")
        sql.execute(update(jobs).where(jobs.c.id == job).values(state="succeeded"))
    if predictions is not None:
        path, key = folder / f"{job}.parquet", f"t/{tenant}/jobs/{job}/predictions.parquet"
        pq.write_table(pa.table({"key": list(predictions), "prediction": list(predictions.values())}), path)
        stored = storage.put_file(key, path)
        with database.transaction() as sql:
            file = {"key": key, "size_bytes": stored.size_bytes, "sha256": stored.sha256, "rows": len(predictions)}
            sql.execute(insert(outputs).values(tenant=tenant, job=job, name="predictions.parquet", **file))
    return job


def comparison(tenant: str, here: str, there: str, *, first: int = 0, limit: int = 10) -> Comparison:
    return Comparison(tenant=tenant, here=here, there=there, first=first, limit=limit)


def test_two_scorings_are_compared_page_by_page(
    worker: Answering, asker: Asker, database: Database, storage: Storage, tenant: str, tmp_path: Path
) -> None:
    here = make_scoring(database, storage, tenant, tmp_path, {f"t{n}": "rock" for n in range(30)})
    said = {f"t{n}": "pop" if n % 3 == 0 else "rock" for n in range(1, 31)}
    there = make_scoring(database, storage, tenant, tmp_path, said)

    first, rest = (asker.ask(comparison(tenant, here, there, first=at, limit=5)) for at in (0, 5))

    assert (first["same"], first["changed"]) == (20, 9)
    assert (first["only_here_keys"], first["only_there_keys"]) == (["t0"], ["t30"])
    assert [row["key"] for row in first["data"]] == ["t3", "t6", "t9", "t12", "t15"]
    assert first["data"][0] == {"key": "t3", "here": {"prediction": "rock"}, "there": {"prediction": "pop"}}
    assert [row["key"] for row in rest["data"]] == ["t18", "t21", "t24", "t27"]


def test_what_cannot_be_compared_is_refused(
    worker: Answering, asker: Asker, database: Database, storage: Storage, tenant: str, tmp_path: Path
) -> None:
    good = make_scoring(database, storage, tenant, tmp_path, {"a": "rock"})
    bare, erased = (make_scoring(database, storage, tenant, tmp_path, None) for _ in range(2))
    with database.transaction() as sql:
        csv = {"key": "predictions.csv", "size_bytes": 0, "sha256": "0" * 64, "rows": 0}
        sql.execute(insert(outputs).values(tenant=tenant, job=bare, name="predictions.csv", **csv))
        training, waiting = make_job(sql, tenant), make_job(sql, tenant, action="score")

    others = (bare, erased, training, waiting, "job_nobody")
    codes = [refused(asker, comparison(tenant, good, other)).code for other in others]

    assert codes == ["not_found", "outputs_erased", "not_comparable", "no_predictions_yet", "not_found"]
    assert refused(asker, comparison("stranger", good, good)).code == "not_found"


def test_it_leaves_in_good_order_when_told(
    start: Callable[[Settings], Process], redis: Settings, asker: Asker, tenant: str, songs: str
) -> None:
    running = start(redis)
    assert asker.ask(question(tenant, songs))["heard"] == 12

    running.process.send_signal(signal.SIGTERM)

    assert running.process.wait(LIMIT_S) == 0
    assert running.log.read_text() == ""


def test_its_health_check_tells_whether_it_is_there(
    start: Callable[[Settings], Process], redis: Settings, settings: Settings
) -> None:
    before = pulse.answers(redis)
    start(redis)

    assert until(lambda: pulse.answers(redis) is None)
    assert before == "Nobody on this host has said for 60 s that it answers."
    assert pulse.answers(settings) == "Redis is away."


def test_it_loads_no_tensorflow(
    start: Callable[[Settings], Process], redis: Settings, asker: Asker, tenant: str, songs: str
) -> None:
    running = start(redis)
    asker.ask(question(tenant, songs))

    mapped = {Path(each.path).name for each in psutil.Process(running.process.pid).memory_maps()}

    assert any(name.startswith("libarrow") for name in mapped)
    assert not any("tensorflow" in name for name in mapped)


@pytest.fixture
def launch(redis: Settings) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """Start another Redis where the first one was."""
    place, started = redis_server.make_place(redis.home / "redis"), list["subprocess.Popen[bytes]"]()

    def begin() -> "subprocess.Popen[bytes]":
        argv = redis_server.arguments(redis_server.find_binary(), place, is_persistent=False)
        started.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent))
        redis_server.wait_ready(place)
        return started[-1]

    yield begin
    for each in started:
        each.kill()
        each.wait()


def turn_away(settings: Settings, times: int) -> None:
    """Stand where Redis should, and hang up on whoever comes."""
    path = redis_server.make_place(settings.home / "redis").socket
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(LIMIT_S)
        door.bind(str(path))
        door.listen()
        for _ in range(times):
            door.accept()[0].close()
    path.unlink()


def test_it_waits_for_a_redis_that_is_not_there_and_for_one_that_dies_and_says_so_once(
    start: Callable[[Settings], Process],
    launch: Callable[[], "subprocess.Popen[bytes]"],
    redis: Settings,
    asker: Asker,
    tenant: str,
    songs: str,
) -> None:
    with queue.connect(redis) as connection:
        pid = int(connection.info("server")["process_id"])
    os.kill(pid, signal.SIGKILL)
    running = start(redis)
    turn_away(redis, 4)

    first = launch()
    assert asker.ask(question(tenant, songs))["heard"] == 12
    assert running.lines("redis_away") == 1
    first.kill()
    first.wait()
    turn_away(redis, 4)
    launch()

    assert asker.ask(question(tenant, songs))["heard"] == 12
    assert running.lines("redis_away") == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_its_database_it_says_so_and_answers_when_that_is_back(
    start: Callable[[Settings], Process], redis: Settings, asker: Asker, tenant: str, songs: str, database: Database
) -> None:
    database.close()
    path, away = Path(redis.database_url.removeprefix("sqlite:///")), redis.home / "away.db"
    path.rename(away)
    path.mkdir()  # or SQLite would make an empty database there
    running = start(redis)

    told = [refused(asker, question(tenant, songs)) for _ in range(3)]
    path.rmdir()
    away.rename(path)

    assert {(type(each), each.code) for each in told} == {(Unavailable, "unavailable")}
    assert running.lines("unavailable") == 1
    assert asker.ask(question(tenant, songs))["heard"] == 12


def test_killed_under_its_supervisor_it_is_started_again_and_answers(
    redis: Settings, asker: Asker, tenant: str, songs: str
) -> None:
    program = Program("answers", [sys.executable, "-m", "worker.answers"], environment_of(redis))
    supervisor, is_over = Supervisor([program], home=redis.home), threading.Event()
    supervisor.start()
    watching = threading.Thread(target=supervisor.watch, kwargs={"until": is_over.is_set})
    watching.start()
    try:
        before = asker.ask(question(tenant, songs))
        pid = processes.read_register(redis.home)["answers"]

        os.kill(pid, signal.SIGKILL)
        assert until(lambda: processes.read_register(redis.home).get("answers") not in (None, pid))

        # A question that Redis has handed to the dead one is lost; its client asks again.
        assert ask_again(asker, question(tenant, songs)) == before
    finally:
        is_over.set()
        watching.join()
        supervisor.stop()


def ask_again(asker: Asker, wanted: Question) -> Any:
    try:
        return asker.ask(wanted)
    except Unavailable:
        return asker.ask(wanted)


def test_several_share_the_questions_and_answer_alike(
    start: Callable[[Settings], Process], redis: Settings, asker: Asker, tenant: str, songs: str
) -> None:
    running = [start(redis) for _ in range(2)]
    # It listens for signals before it connects.
    assert until(lambda: all(psutil.Process(each.process.pid).net_connections("all") for each in running))
    expected = asker.ask(question(tenant, songs))

    said = [asker.ask(question(tenant, songs)) for _ in range(20)]
    running[0].process.send_signal(signal.SIGTERM)
    assert running[0].process.wait(LIMIT_S) == 0

    assert said == [expected] * 20
    assert asker.ask(question(tenant, songs)) == expected


def test_no_two_of_these_tracks_are_so_alike_that_single_precision_could_swap_them() -> None:
    # What the tests above lean on.
    found = np.sort(cosines(MEANS), axis=1)

    assert np.min(np.diff(found[:, :-1], axis=1)) > 1e-5
