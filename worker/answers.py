"""The answering worker, `python -m worker.answers`: questions that clients wait for, one after the other.

It keeps nothing but copies in memory: any number of them may run, and any may be killed.
"""

import threading
import time

import orjson
from redis.exceptions import RedisError

from shared import datasets, log, processes, questions, row_security, settings
from shared.database import Database
from shared.errors import EtudeError, InvalidRequest, NotAllowedNow, NotFound, Unavailable
from shared.questions import Comparison, Inbox, Question, Taken, Wish
from shared.sealing import starting
from shared.storage import Storage
from shared.tenancy import EVERYONE
from worker import own_folder, wishes
from worker.catalogues import Catalogues, Held
from worker.comparisons import Comparisons, find_file
from worker.differences import Difference
from worker.neighbours import fitting, nearest
from worker.tastes import Tastes

# With Redis away it is asked again ever more seldom.
BACK_OFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
# It passes through Redis's memory, which is small; a hundred rows of a manifest are some kilobytes.
MOST_ANSWER_BYTES = 4 * 1024 * 1024
# In an error: more names than that help nobody.
COLUMNS_NAMED = 50
# Of the rows that only one of two scorings has.
KEYS_SHOWN = 100

logger = log.logger("answers")


class Answering:
    """One answering worker: where its questions come from, and what it answers them with."""

    def __init__(self, chosen: settings.Settings) -> None:
        self._database = Database(chosen, whose=EVERYONE, pool_size=1)
        self._inbox = Inbox(chosen, self._database.cells)
        storage, folder = Storage(chosen), own_folder.take(chosen.home / "scratch", "answers")
        self.catalogues, self.comparisons = Catalogues(storage, folder), Comparisons(storage, folder)
        self.tastes = Tastes(storage, folder)
        self._failures, self._beat_at, self._is_away = 0, 0.0, False

    def run(self, stopped: threading.Event) -> None:
        """Answer until told to stop; what is in hand then is answered first."""
        while not stopped.is_set():
            try:
                self._run_once()
            except (RedisError, OSError) as away:
                self._back_off(stopped, away)
        self._inbox.close()
        self._database.close()

    def _run_once(self) -> None:
        if time.monotonic() > self._beat_at:
            self._inbox.beat()
            self._beat_at = time.monotonic() + questions.BEAT_S
            self._drop_erased()
        taken = self._inbox.take()
        # Redis is there, even if it should be lost before the answer.
        self._failures = 0
        if taken is not None:
            self._serve(taken)

    def _serve(self, taken: Taken) -> None:
        try:
            body = self._answer(taken.content)
        except EtudeError as error:
            self._note(error)
            self._inbox.refuse(taken, error)
        except Exception:
            # Whatever one question does to it, it is there for the next.
            logger.exception("internal", question=taken.name)
            said = f"Something went wrong on our side; the operator's log has it under {taken.name}."
            self._inbox.refuse(taken, EtudeError(said))
        else:
            self._is_away = False
            self._inbox.answer(taken, body)

    def _note(self, error: EtudeError) -> None:
        """Log that a part is away, once until it answers again."""
        if isinstance(error, Unavailable):
            if not self._is_away:
                logger.warning("unavailable", code=error.code)
            self._is_away = True

    def _answer(self, content: bytes) -> bytes:
        question = questions.read(content)
        if isinstance(question, Comparison):
            with self._database.of(question.tenant).reading() as sql:
                here, there = (find_file(sql, question.tenant, job) for job in (question.here, question.there))
            return difference(self.comparisons.find(here, there), question)
        if isinstance(question, Wish):
            return self._fulfil(question)
        return self._find_similar(question)

    def _fulfil(self, wish: Wish) -> bytes:
        with self._database.of(wish.tenant).reading() as sql:
            model = self.tastes.model(sql, wish.tenant, wish.version)
            listeners = None if wish.dataset is None else self.tastes.of_dataset(sql, wish.tenant, wish.dataset)
        return wishes.recommend(model, wish, listeners) if wish.like is None else wishes.similar(model, wish)

    def _find_similar(self, question: Question) -> bytes:
        with self._database.of(question.tenant).reading() as sql:
            try:
                row = datasets.find(sql, question.tenant, question.dataset)
            except NotFound:
                self.catalogues.drop(question.dataset)
                raise
            if row.state != datasets.READY:
                raise NotAllowedNow(f"The dataset is {row.state}, not ready.", code="dataset_not_ready")
            held = self.catalogues.find(sql, row)
        return similar(held, question)

    def _drop_erased(self) -> None:
        try:
            with self._database.reading() as sql:
                self.catalogues.drop_erased(sql)
                self.tastes.drop_erased(sql)
        except Unavailable as away:
            # Without the database nothing is answered out of what is held; the next beat looks again.
            self._note(away)

    def _back_off(self, stopped: threading.Event, away: Exception) -> None:
        if self._failures == 0:
            logger.warning("redis_away", reason=type(away).__name__)
        stopped.wait(BACK_OFF_S[min(self._failures, len(BACK_OFF_S) - 1)])
        self._failures += 1


def similar(held: Held, question: Question) -> bytes:
    """The tracks nearest to one, as JSON. Raises what is wrong with the question."""
    place = held.places.get(question.track)
    if place is None:
        raise NotFound("The dataset has no such track.")
    _refuse_unknown(held, question)
    if held.heard == 0:
        said = "None of the dataset's tracks was heard yet: a scoring or a training on it makes them known."
        raise NotAllowedNow(said, code="dataset_not_heard")
    if not held.catalogue.vectors[place].any():
        said = "The track was not heard yet, or cannot be: a scoring of the dataset tells which."
        raise NotAllowedNow(said, code="track_not_heard")
    fits = fitting(held.catalogue, question.where)
    (found,) = nearest(held.catalogue, [place], question.k, fits)
    keys = held.catalogue.keys
    data = [{"track": keys[other], "score": score, "columns": held.columns.row(other)} for other, score in found]
    answer = orjson.dumps({"data": data, "heard": held.heard})
    if len(answer) > MOST_ANSWER_BYTES:
        said = f"k: expected fewer, for these rows of the manifest take more than {MOST_ANSWER_BYTES:,} bytes"
        raise InvalidRequest(said, code="invalid_parameter")
    return answer


def difference(found: Difference, question: Comparison) -> bytes:
    """A page of what two scorings predict otherwise, as JSON."""
    keys = {name: getattr(found, name).slice(0, KEYS_SHOWN).to_pylist() for name in ("only_here", "only_there")}
    shown = {f"{name}_keys": some for name, some in keys.items()}
    answer = orjson.dumps({**found.as_json(), **shown, "data": found.rows(question.first, question.limit)})
    if len(answer) > MOST_ANSWER_BYTES:
        said = f"limit: expected less, for these rows take more than {MOST_ANSWER_BYTES:,} bytes"
        raise InvalidRequest(said, code="invalid_parameter")
    return answer


def _refuse_unknown(held: Held, question: Question) -> None:
    unknown = [name for name in question.where if name not in held.columns]
    if unknown:
        known = ", ".join(list(held.columns)[:COLUMNS_NAMED])
        said = f"where.{unknown[0]}: expected a column of the manifest, which has {known}"
        raise InvalidRequest(said, code="invalid_parameter")


def main() -> None:
    chosen = settings.read()
    settings.demand(chosen, "redis_url", "pepper")
    starting.demand(chosen)
    log.configure(chosen.log_level)
    row_security.tell(chosen)
    stopped = processes.when_told_to_stop()
    Answering(chosen).run(stopped)


if __name__ == "__main__":
    main()
