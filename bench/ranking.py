"""Lists of many and for one: all users' beside a loop over them, and what an answer costs and how long it takes.

Vectors and plays are drawn: how long ranking takes does not depend on what was learned.
"""

import csv
import io
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from bench.measurement import Measurement, MeasurementBroken, compare
from bench.peers import loop_ranking
from bench.service import Service, running
from shared import questions
from shared.list_params import ListParams
from shared.questions import Wish
from worker import wishes
from worker.kinds.recommendation.model import finish
from worker.recommenders import ranking
from worker.recommenders.catalogue import Catalogue
from worker.recommenders.factors import Factors
from worker.recommenders.histories import Histories, gather
from worker.recommenders.low_rank import LowRank
from worker.recommenders.ranking import Rules
from worker.tastes import Listeners, Model

USERS, ITEMS, FACTORS, K, PLAYED = 100_000, 20_000, 64, 100, 30
# So many lists have the same items; the others differ in the last place, where scores are equal to six digits.
SAME = 0.99
ONES_ITEMS, ONES_USERS, CPU_MS, HTTP_MS = 100_000, 3_000, 5.0, 25.0
QUESTIONS, WARM, PATIENCE_S = 100, 5, 60.0
LICENCES = ("cc-by", "cc0", "all rights reserved")
FILTERS = {"allow": {"licence": ["cc-by", "cc0"]}, "deny": {"tags": ["style 1"]}}
TRAINING = {
    "model": "als", "als": {"factors": FACTORS, "regularization": 130.0, "iterations": 3}, "weighting": "damped",
    "split": "random", "content": None,
}  # fmt: skip

Json = dict[str, Any]


def measure(rounds: int) -> list[Measurement]:
    # An answer comes from a process that has ranked nobody else before.
    return [_answering(rounds), _all_users(rounds), _http(rounds)]


def _all_users(rounds: int) -> Measurement:
    model, given = draw(USERS, ITEMS)
    heard = np.split(given.items, given.indptr[1:-1])
    few = USERS // 50

    def loop(end: int) -> np.ndarray:
        users = model.read(given.within(0, end))
        return loop_ranking.rank(users, model.vectors, heard[:end], K)

    # As many threads of BLAS as the loop does best with.
    took = {threads: _within(threads, lambda: loop(few)) for threads in (None, 1, None, 1)}
    threads = min(took, key=lambda each: took[each])
    hold(ranking.rank(model, given.within(0, few), Rules(k=K)).items, loop(few))
    pairs = []
    for _ in range(rounds):
        ours = _seconds(lambda: ranking.rank(model, given, Rules(k=K)))
        pairs.append((USERS / ours, USERS / _within(threads, lambda: loop(USERS))))
    note = f"{USERS:,} users, {ITEMS:,} items, {FACTORS} factors, one process; both read {PLAYED} plays a user first; "
    note += f"the loop with {'all threads' if threads is None else 'one thread'} of BLAS, its best"
    name = f"all users' top-{K}, against a loop of matmul and argpartition"
    return compare(name, pairs, unit="users/s", bar="≥ 3", note=note)


def draw(users: int, items: int) -> tuple[LowRank, Histories]:
    """Vectors, and what each has played."""
    random = np.random.default_rng(0)
    reading, vectors = random.normal(size=(2, items, FACTORS)).astype(np.float32)
    played = random.integers(0, items, users * PLAYED)
    given = gather(np.repeat(np.arange(users), PLAYED), played, np.ones(len(played)), users=users, items=items)
    return LowRank("ease", "binary", reading, vectors, np.empty(0, np.int32)), given


def hold(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Raises MeasurementBroken where the lists are not the same."""
    same = np.mean(np.sort(ours, axis=1) == np.sort(theirs, axis=1), axis=1) == 1
    if same.mean() < SAME:
        raise MeasurementBroken(f"expected the same lists, received {1 - same.mean():.2%} that differ")


def _within(threads: int | None, work: Callable[[], Any]) -> float:
    with threadpool_limits(threads, user_api="blas"):
        return _seconds(work)


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _answering(rounds: int) -> Measurement:
    """The CPU time of what an answering worker does between a question and its answer, but SQL and Redis."""
    model, listeners = held(ONES_USERS, ONES_ITEMS)
    took = []
    for round_ in range(rounds):
        asked = [_question(listeners, user) for user in range(round_ * QUESTIONS, (round_ + 1) * QUESTIONS)]
        spent = [_cpu_ms(model, listeners, question) for question in asked]
        took.append(median(spent[WARM:]))
    note = f"{ONES_ITEMS:,} items, {FACTORS} factors, alternating least squares, {PLAYED} plays, two filters, reasons; "
    note += f"the median of {QUESTIONS - WARM} a round"
    name = f"top-{K} with filters for one user, warm, CPU time against its limit"
    return compare(name, [(each, CPU_MS) for each in took], unit="ms", bar="≤ 1", note=note)


def held(users: int, items: int) -> tuple[Model, Listeners]:
    """A model and listeners as an answering worker has them in memory."""
    drawn, given = draw(users, items)
    names = [f"i{place:06d}" for place in range(items)]
    factors = Factors(drawn.vectors, "damped", 40.0, 130.0, np.empty(0, np.int32))
    table = pa.table({name: column for name, column in catalogue(items).items() if name != "item"})
    learned = finish(factors, given, names, Catalogue(table), None)
    places = {f"u{place:05d}": place for place in range(users)}
    return Model(learned), Listeners("", places, names, given, 0)


def catalogue(items: int) -> dict[str, list[str]]:
    """The columns of an item table."""
    random = np.random.default_rng(1)
    licences, styles = random.integers(0, len(LICENCES), items), random.integers(0, 50, (items, 2))
    return {
        "item": [f"i{place:06d}" for place in range(items)],
        "licence": [LICENCES[place] for place in licences],
        "tags": [f"style {first}|style {second}" for first, second in styles],
    }


def _question(listeners: Listeners, number: int) -> bytes:
    user = list(listeners.places)[number % len(listeners.places)]
    wanted = ListParams.model_validate({"k": K, "filters": FILTERS})
    wish = Wish(tenant="t", version="v", dataset="d", user=user, played=None, like=None, wanted=wanted)
    return wish.model_dump_json().encode()


def _cpu_ms(model: Model, listeners: Listeners, question: bytes) -> float:
    began = time.process_time()
    wish = questions.read(question)
    assert isinstance(wish, Wish)
    wishes.recommend(model, wish, listeners)
    return 1e3 * (time.process_time() - began)


def _http(rounds: int) -> Measurement:
    """From the request to the answer's last byte, by one client after the other."""
    with running() as service:
        users = _train(service)
        _ask_until_warm(service, users[0])
        took = []
        for round_ in range(rounds):
            asked = users[round_ * QUESTIONS : (round_ + 1) * QUESTIONS]
            took.append(1e3 * median([_seconds(lambda user=user: _ask(service, user)) for user in asked][WARM:]))
    note = (
        f"{ONES_ITEMS:,} items, {FACTORS} factors, two filters, reasons; p50 of {QUESTIONS - WARM} a round, one client"
    )
    name = f"top-{K} with filters for one user over HTTP, warm, against its limit"
    return compare(name, [(each, HTTP_MS) for each in took], unit="ms", bar="≤ 1", note=note)


def _train(service: Service) -> list[str]:
    """A model that knows all items; the names of its listeners."""
    random = np.random.default_rng(2)
    count = ONES_USERS * max(PLAYED, -(-ONES_ITEMS // ONES_USERS))
    # Each item is played by somebody.
    played = np.concatenate([np.arange(ONES_ITEMS), random.integers(0, ONES_ITEMS, count - ONES_ITEMS)])
    users = [f"u{place:05d}" for place in range(ONES_USERS)]
    rows = {"user": users * (count // ONES_USERS), "item": [f"i{place:06d}" for place in random.permutation(played)],
            "plays": random.geometric(0.3, count).tolist()}  # fmt: skip
    made = service.call("POST", "/v1/datasets", {"name": "plays", "format": "interactions"})
    for name, columns in (("plays.csv", rows), ("items.csv", catalogue(ONES_ITEMS))):
        octets = {"Content-Type": "application/octet-stream"}
        service.call("PUT", f"/v1/datasets/{made['id']}/files/{name}", _csv(columns), **octets)
    service.finish(service.call("POST", f"/v1/datasets/{made['id']}/commit")["id"])
    body = {"action": "train", "kind": "recommendation", "dataset": "plays", "model": "taste", "params": TRAINING}
    service.finish(service.submit(body))
    return users


def _csv(columns: dict[str, list[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def _ask(service: Service, user: str) -> Json:
    answer: Json = service.call("POST", "/v1/models/taste/recommend", {"user": user, "k": K, "filters": FILTERS})
    if len(answer["data"]) != K or answer["basis"] != "history":
        raise MeasurementBroken(f"expected {K} items by history, received {len(answer['data'])} by {answer['basis']}")
    return answer


def _ask_until_warm(service: Service, user: str) -> None:
    """The first question loads the model, and may be answered 503."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            _ask(service, user)
            return
        except MeasurementBroken:
            if time.monotonic() > until:
                raise
            # The first question loads the model, which takes seconds: to ask more often would only queue behind it.
            time.sleep(1)
