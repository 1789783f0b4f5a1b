"""Questions by way of Redis: each gets its own answer or a 503, and none is answered for nobody, or twice."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
from redis import Redis

from shared import questions, queue
from shared.database import Database
from shared.errors import EtudeError, InvalidRequest, NotAllowedNow, NotFound, Unavailable
from shared.processes import die_with_parent
from shared.questions import Asker, Inbox, Question
from shared.settings import Settings
from shared.up import environment_of
from tests.waiting import until

LIMIT_S = 30.0
# Asks, to be killed while it waits.
LONELY = """
from shared import questions, settings
from shared.database import Database
from tests.shared.test_questions import question
chosen = settings.read()
questions.Asker(chosen, Database(chosen).cells).ask(question("lonely"))
"""


MakeAsker = Callable[..., Asker]
Answer = Callable[[Callable[[Inbox, questions.Taken], None]], None]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One is enough: questions need its keys alone."""
    return sqlite_url


@pytest.fixture
def connection(redis: Settings) -> Iterator[Redis]:
    with queue.connect(redis) as opened:
        yield opened


def question(track: str) -> Question:
    return Question(tenant="ten_1", dataset="ds_1", track=track, k=10, where={"genre": "rock"})


@pytest.fixture
def make_asker(database: Database) -> Iterator[Callable[..., Asker]]:
    """Make askers, that wait for longer than a test unless it says how long."""
    made = list[Asker]()

    def make(settings: Settings, *, answer_s: float = LIMIT_S) -> Asker:
        made.append(Asker(dataclasses.replace(settings, answer_s=answer_s), database.cells))
        return made[-1]

    yield make
    for asker in made:
        asker.close()


@pytest.fixture
def inbox(redis: Settings, database: Database) -> Iterator[Inbox]:
    opened = Inbox(redis, database.cells)
    yield opened
    opened.close()


def echo(inbox: Inbox, taken: questions.Taken) -> None:
    """Answer with the question."""
    inbox.answer(taken, taken.content)


@pytest.fixture
def answer(redis: Settings, database: Database) -> Iterator[Answer]:
    """Start a worker that does this with each question, until the test ends."""
    stopped, threads = threading.Event(), list[threading.Thread]()

    def start(serve: Callable[[Inbox, questions.Taken], None]) -> None:
        inbox = Inbox(redis, database.cells)

        def run() -> None:
            while not stopped.is_set():
                taken = inbox.take()
                if taken is not None:
                    serve(inbox, taken)
            inbox.close()

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield start
    stopped.set()
    for thread in threads:
        thread.join()


def keys_left(connection: Redis) -> list[Any]:
    return list(connection.scan_iter("etude.*"))


def test_an_answer_comes_back_to_who_asked(redis: Settings, answer: Answer, make_asker: MakeAsker) -> None:
    answer(echo)

    said = make_asker(redis).ask(question("a"))

    assert said == {"tenant": "ten_1", "dataset": "ds_1", "track": "a", "k": 10, "where": {"genre": "rock"}}


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (NotFound("no such track"), NotFound),
        (NotAllowedNow("not heard", code="track_not_heard"), NotAllowedNow),
        (InvalidRequest("no such column", code="invalid_parameter"), InvalidRequest),
        (Unavailable("the database is away", retry_after_s=7), Unavailable),
        (EtudeError("it is under 1234 in the log"), EtudeError),
    ],
)
def test_an_error_is_raised_again_as_what_it_was(
    redis: Settings, answer: Answer, error: EtudeError, raised: type[EtudeError], make_asker: MakeAsker
) -> None:
    answer(lambda inbox, taken: inbox.refuse(taken, error))

    with pytest.raises(EtudeError) as told:
        make_asker(redis).ask(question("a"))

    assert type(told.value) is raised
    assert told.value.as_json() == error.as_json()
    assert (told.value.status, told.value.retry_after_s) == (error.status, error.retry_after_s)


def test_neither_question_nor_answer_can_be_read_in_redis(
    redis: Settings, connection: Redis, make_asker: MakeAsker, inbox: Inbox
) -> None:
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(make_asker(redis).ask, question("Ondine"))
        assert until(lambda: connection.llen(questions.WAITING) == 1)
        (asked,) = [connection.get(key) for key in connection.scan_iter("etude.question.*")]
        taken = inbox.take()
        assert taken is not None
        # To a question that nobody has asked, so that nobody fetches it.
        lonely = dataclasses.replace(taken, name="lonely")
        inbox.answer(lonely, b'"Scarbo"')
        inbox.refuse(lonely, InvalidRequest("where.tempo: expected a column, which are genre"))
        given = connection.lrange("etude.answer.lonely", 0, -1)
        inbox.answer(taken, b'"Scarbo"')

        assert asking.result(LIMIT_S) == "Scarbo"
    assert all(each.startswith(b"s1.ten_1.") for each in (asked, *given)) and len(given) == 2
    words = (b"Ondine", b"rock", b"genre", b"Scarbo", b"tempo")
    assert not any(word in each for word in words for each in (asked, *given))


Seal = Callable[[str, str], str]


@pytest.mark.parametrize(
    "forge",
    [
        lambda name, seal: b'{"status":200,"body":"Scarbo"}',
        lambda name, seal: b"\xff\x00 not even text",
        lambda name, seal: seal("ten_1", "etude.answer.another"),
        lambda name, seal: seal("ten_1", f"etude.question.{name}"),
        lambda name, seal: seal("ten_2", f"etude.answer.{name}"),
    ],
    ids=["in plain", "no text", "of another question", "a question", "of another tenant"],
)
def test_an_answer_that_was_not_sealed_for_its_question_is_none(
    redis: Settings, connection: Redis, make_asker: MakeAsker, inbox: Inbox, answer: Answer, database: Database,
    forge: Callable[[str, Seal], bytes],
) -> None:  # fmt: skip
    asker = make_asker(redis)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(asker.ask, question("Ondine"))
        assert until(lambda: connection.llen(questions.WAITING) == 1)
        taken = inbox.take()
        assert taken is not None
        said = '{"status":200,"body":"Scarbo"}'
        forged = forge(taken.name, lambda tenant, what: database.cells.seal(tenant, what, said))
        connection.rpush(f"etude.answer.{taken.name}", forged)

        with pytest.raises(Unavailable, match="could not be read on its way"):
            asking.result(LIMIT_S)
    answer(echo)
    assert asker.ask(question("b"))["track"] == "b"


@pytest.mark.parametrize(
    "forge",
    [
        lambda seal: question("Ondine").model_dump_json(),
        lambda seal: b"\xff\x00 not even text",
        lambda seal: seal("ten_1", "etude.question.another"),
        lambda seal: f"s1.ten_erased.{'A' * 60}",
    ],
    ids=["in plain", "no text", "of another name", "its key destroyed"],
)
def test_a_question_that_cannot_be_read_is_told_so_and_the_next_one_answered(
    redis: Settings, connection: Redis, make_asker: MakeAsker, inbox: Inbox, answer: Answer, database: Database,
    forge: Callable[[Seal], bytes],
) -> None:  # fmt: skip
    said = question("Ondine").model_dump_json()
    connection.set("etude.question.forged", forge(lambda tenant, what: database.cells.seal(tenant, what, said)))
    connection.rpush(questions.WAITING, "forged")

    assert inbox.take() is None

    assert connection.lrange("etude.answer.forged", 0, -1) == [questions.UNREAD]
    answer(echo)
    assert make_asker(redis).ask(question("b"))["track"] == "b"


def test_a_question_that_nobody_answers_is_given_up_and_leaves_nothing(
    redis: Settings, connection: Redis, make_asker: MakeAsker
) -> None:
    with pytest.raises(Unavailable) as told:
        make_asker(redis, answer_s=0.3).ask(question("a"))

    assert (told.value.code, told.value.retry_after_s) == ("answer_late", 1)
    assert keys_left(connection) == []


def test_an_answer_that_comes_too_late_reaches_nobody_and_goes(
    redis: Settings, connection: Redis, make_asker: MakeAsker, inbox: Inbox
) -> None:
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(make_asker(redis, answer_s=0.3).ask, question("first"))
        taken = None
        assert until(lambda: connection.llen(questions.WAITING) == 1)
        taken = inbox.take()
        with pytest.raises(Unavailable):
            asking.result(LIMIT_S)
        assert taken is not None
        inbox.answer(taken, b'"late"')

        second = pool.submit(make_asker(redis).ask, question("second"))
        assert until(lambda: connection.llen(questions.WAITING) == 1)
        taken = inbox.take()
        assert taken is not None
        inbox.answer(taken, b'"prompt"')

        assert second.result(LIMIT_S) == "prompt"
    assert until(lambda: keys_left(connection) == [], limit_s=2 * questions.ANSWER_KEPT_MS / 1000)


def test_a_question_whose_asker_was_killed_is_answered_for_nobody(
    redis: Settings, connection: Redis, inbox: Inbox
) -> None:
    chosen = dataclasses.replace(redis, answer_s=2.0)
    asking = subprocess.Popen(
        [sys.executable, "-c", LONELY], env={**os.environ, **environment_of(chosen)}, preexec_fn=die_with_parent
    )
    assert until(lambda: connection.llen(questions.WAITING) == 1)
    asking.kill()
    asking.wait()

    assert until(lambda: not list(connection.scan_iter("etude.question.*")))

    assert connection.llen(questions.WAITING) == 1
    assert inbox.take() is None
    assert keys_left(connection) == []


def test_a_question_whose_id_is_doubled_is_taken_once(
    redis: Settings, connection: Redis, make_asker: MakeAsker, inbox: Inbox
) -> None:
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(make_asker(redis).ask, question("a"))
        assert until(lambda: connection.llen(questions.WAITING) == 1)
        (name,) = connection.lrange(questions.WAITING, 0, -1)
        connection.rpush(questions.WAITING, name)

        taken, again = inbox.take(), inbox.take()

        assert taken is not None and again is None
        inbox.answer(taken, b"1")
        assert asking.result(LIMIT_S) == 1


def test_two_hundred_who_ask_at_once_each_get_their_own_answer_once(
    redis: Settings, answer: Answer, make_asker: MakeAsker
) -> None:
    answered: Counter[str] = Counter()

    def count(inbox: Inbox, taken: questions.Taken) -> None:
        answered[orjson.loads(taken.content)["track"]] += 1
        echo(inbox, taken)

    askers = [make_asker(redis) for _ in range(200 // questions.ASKING_AT_ONCE)]
    with ThreadPoolExecutor(200) as pool:
        asking = [pool.submit(askers[n % len(askers)].ask, question(f"track {n}")) for n in range(200)]
        for _ in range(2):
            answer(count)

        said = [each.result(LIMIT_S)["track"] for each in asking]

    assert said == [f"track {n}" for n in range(200)]
    assert answered == Counter(said)


def test_whoever_finds_no_seat_is_told_at_once_and_the_others_stay(
    redis: Settings, connection: Redis, make_asker: MakeAsker, inbox: Inbox
) -> None:
    asker = make_asker(redis)
    with ThreadPoolExecutor(questions.ASKING_AT_ONCE) as pool:
        asking = [pool.submit(asker.ask, question(f"track {n}")) for n in range(questions.ASKING_AT_ONCE)]
        assert until(lambda: connection.llen(questions.WAITING) == questions.ASKING_AT_ONCE)

        with pytest.raises(Unavailable, match="Too many clients ask"):
            asker.ask(question("one more"))

        assert not any(each.done() for each in asking)
        for _ in asking:
            taken = inbox.take()
            assert taken is not None
            echo(inbox, taken)
        assert [each.result(LIMIT_S)["track"] for each in asking] == [f"track {n}" for n in range(len(asking))]


def test_a_seat_is_free_again_after_every_sort_of_end(redis: Settings, answer: Answer, make_asker: MakeAsker) -> None:
    asker = make_asker(redis, answer_s=0.3)
    for _ in range(questions.ASKING_AT_ONCE + 1):
        with pytest.raises(Unavailable, match="No answer came"):
            asker.ask(question("a"))

    answer(lambda inbox, taken: inbox.refuse(taken, NotFound()))

    for _ in range(questions.ASKING_AT_ONCE + 1):
        with pytest.raises(NotFound):
            asker.ask(question("a"))


def test_behind_too_many_questions_nobody_waits(redis: Settings, connection: Redis, make_asker: MakeAsker) -> None:
    connection.rpush(questions.WAITING, *(f"{n}" for n in range(questions.MOST_WAITING)))

    with pytest.raises(Unavailable, match="Too many questions wait"):
        make_asker(redis).ask(question("a"))

    assert connection.llen(questions.WAITING) == questions.MOST_WAITING
    assert keys_left(connection) == [questions.WAITING.encode()]


def test_without_redis_nobody_waits(settings: Settings, make_asker: MakeAsker) -> None:
    with pytest.raises(Unavailable, match="Redis is away"):
        make_asker(settings).ask(question("a"))


def test_a_redis_that_is_killed_while_somebody_waits_is_told(
    redis: Settings, connection: Redis, make_asker: MakeAsker
) -> None:
    pid = int(connection.info("server")["process_id"])
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(make_asker(redis).ask, question("a"))
        assert until(lambda: connection.llen(questions.WAITING) == 1)

        os.kill(pid, signal.SIGKILL)

        with pytest.raises(Unavailable, match="Redis is away"):
            asking.result(LIMIT_S)


@pytest.mark.parametrize("moment", ["before", "while"])
def test_a_frozen_redis_is_told_and_serves_the_next_after_its_thaw(
    redis: Settings, connection: Redis, answer: Answer, moment: str, make_asker: MakeAsker
) -> None:
    pid = int(connection.info("server")["process_id"])
    # Long beside what it takes to notice a frozen server: the test is about which of the two comes first.
    asker = make_asker(redis, answer_s=60.0)
    with ThreadPoolExecutor(1) as pool:
        if moment == "before":
            os.kill(pid, signal.SIGSTOP)
        asking = pool.submit(asker.ask, question("a"))
        if moment == "while":
            assert until(lambda: connection.llen(questions.WAITING) == 1)
            os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(Unavailable, match="Redis is away"):
                asking.result(LIMIT_S)
        finally:
            os.kill(pid, signal.SIGCONT)

    answer(echo)

    assert asker.ask(question("b"))["track"] == "b"


def test_a_question_that_redis_has_lost_is_late_and_the_next_is_answered(
    redis: Settings, connection: Redis, answer: Answer, make_asker: MakeAsker
) -> None:
    asker = make_asker(redis, answer_s=2.0)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(asker.ask, question("a"))
        assert until(lambda: connection.llen(questions.WAITING) == 1)
        connection.flushall()
        answer(echo)

        with pytest.raises(Unavailable) as told:
            asking.result(LIMIT_S)

    assert told.value.code == "answer_late"
    assert asker.ask(question("b"))["track"] == "b"


def test_whether_somebody_answers_here_is_known(redis: Settings, settings: Settings, inbox: Inbox) -> None:
    before = questions.is_answered(redis)
    inbox.beat()

    assert (before, questions.is_answered(redis)) == (False, True)
    with pytest.raises(Unavailable):
        questions.is_answered(settings)
