"""A scoring in chunks: the same bytes whoever does it, bad rows found by halving, and what is done is kept."""

import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from shared import chunks, jobs, recovery, submission
from shared.database import Database
from shared.errors import EtudeError
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import attempts, outputs, versions
from shared.tables import chunks as chunk_table
from shared.wanted import NewJob
from tests.worker import working
from tests.worker.working import Working
from worker import runner, sweep
from worker.post import Post
from worker.prediction_files import ChunkFiles
from worker.predictions import RowScoring

ROWS = 60
POISON = 23

Json = dict[str, Any]


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(dataclasses.replace(settings, chunk_rows=7), database, storage)


@pytest.fixture
def other(settings: Settings, database: Database, storage: Storage) -> Post:
    """Another worker."""
    return working.make_post(settings, database, storage, worker="worker-2")


@pytest.fixture
def scoring(post: Post, tenant: str, tmp_path: Path) -> Callable[[], str]:
    """Puts a scoring of ROWS rows by a trained model into the queue."""
    dataset = working.store_dataset(post, tenant, tmp_path, rows=ROWS)
    trained = working.submit(post, tenant, dataset)
    runner.run(post, "train", only_tenant=None)
    with post.database.reading() as sql:
        version = sql.execute(select(versions.c.id).where(versions.c.job == trained)).scalar_one()
    return lambda: working.submit(post, tenant, dataset, action="score", version=version, params={})


def files_of(post: Post, job: str) -> dict[str, bytes]:
    with post.database.reading() as sql:
        rows = sql.execute(select(outputs.c.name, outputs.c.key).where(outputs.c.job == job)).all()
    return {row.name: post.storage.get(row.key) for row in rows}


def lines_of(post: Post, job: str, name: str) -> list[Json]:
    return [json.loads(line) for line in files_of(post, job)[f"{name}.jsonl"].splitlines()]


def spoil(monkeypatch: pytest.MonkeyPatch, act: Callable[[int, int], None]) -> None:
    """Have `act(first, end)` called before each chunk is scored."""
    real = RowScoring.score

    def score(self: RowScoring, first: int, end: int, out: ChunkFiles, progress: Callable[[int], None]) -> Json:
        act(first, end)
        return real(self, first, end, out, progress)

    monkeypatch.setattr(RowScoring, "score", score)


def test_many_chunks_make_the_bytes_of_one(post: Post, other: Post, scoring: Callable[[], str]) -> None:
    cut, whole = scoring(), scoring()
    runner.run(post, "train", only_tenant=None)
    runner.run(other, "train", only_tenant=None)

    assert working.find(post, cut).state == working.find(post, whole).state == jobs.SUCCEEDED
    expected = files_of(post, whole)
    assert set(expected) == {"predictions.parquet", "predictions.csv", "predictions.jsonl", "predictions.index",
                             "errors.jsonl", "errors.index"}  # fmt: skip
    assert files_of(post, cut) == expected
    assert working.find(post, cut).result == working.find(post, whole).result
    with post.database.reading() as sql:
        assert sql.execute(select(chunk_table)).all() == []


def test_a_guest_does_its_share_and_the_bytes_are_the_same(
    post: Post, other: Post, scoring: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, shared = scoring(), scoring()
    runner.run(post, "train", only_tenant=None)
    helped, did = threading.Event(), dict[str, set[int]]()

    def note(first: int, end: int) -> None:
        did.setdefault(threading.current_thread().name, set()).add(first)
        if threading.current_thread().name != "guest":
            # The job's own worker leaves the rest to the guest, once it has begun.
            assert helped.wait(working.LIMIT_S)
        else:
            helped.set()

    spoil(monkeypatch, note)
    under_way = Working(post)
    guest = threading.Thread(
        target=lambda: working.wait(lambda: runner.help_out(other, only_tenant=None)), name="guest", daemon=True
    )
    guest.start()
    under_way.join()
    guest.join(working.LIMIT_S)

    assert working.find(post, shared).state == jobs.SUCCEEDED
    assert len(did) == 2 and did["guest"]
    assert not set.intersection(*did.values())
    assert files_of(post, shared) == files_of(post, alone)
    assert working.find(post, shared).result == working.find(post, alone).result


def test_a_row_that_breaks_its_chunk_is_found_and_the_others_are_scored(
    post: Post, scoring: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = scoring()
    runner.run(post, "train", only_tenant=None)
    job = scoring()

    def break_(first: int, end: int) -> None:
        if first <= POISON < end:
            raise ZeroDivisionError

    spoil(monkeypatch, break_)
    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert row.state == jobs.SUCCEEDED, row.error
    assert (row.result["rows"], row.result["errors"]) == (ROWS, 1)
    (error,) = lines_of(post, job, "errors")
    expected = lines_of(post, good, "predictions")
    assert (error["row"], error["key"]) == (POISON, expected[POISON]["key"])
    assert error["reason"] == "the row cannot be scored: ZeroDivisionError while it was scored."
    assert lines_of(post, job, "predictions") == [each for each in expected if each["key"] != error["key"]]


def test_rows_that_break_without_end_are_no_matter_of_rows(
    post: Post, scoring: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "BURIED_AT_MOST", 5)
    job = scoring()

    def break_(first: int, end: int) -> None:
        raise ZeroDivisionError

    spoil(monkeypatch, break_)
    runner.run(post, "train", only_tenant=None)

    assert working.find(post, job).error["code"] == "rows_unscorable"


def test_a_cancelled_scoring_keeps_what_it_has_done(
    post: Post, tenant: str, scoring: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = scoring()
    runner.run(post, "train", only_tenant=None)
    job = scoring()

    def cancel(first: int, end: int) -> None:
        if first == 14:
            working.cancel(post, tenant, job)
            working.wait(lambda: working.find(post, job).cancel_requested_at)

    spoil(monkeypatch, cancel)
    runner.run(dataclasses.replace(post, settings=dataclasses.replace(post.settings, beat_s=0.1)), "train",
               only_tenant=None)  # fmt: skip

    row = working.find(post, job)
    assert row.state == jobs.CANCELLED
    done = row.result["rows"]
    assert row.result["rows_total"] == ROWS and 14 <= done < ROWS
    assert lines_of(post, job, "predictions") == lines_of(post, good, "predictions")[:done]
    with post.database.reading() as sql:
        assert chunks.tally(sql, job).rows == done


def test_a_scoring_goes_on_where_the_worker_left_it(
    post: Post, other: Post, scoring: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, job = scoring(), scoring()
    runner.run(other, "train", only_tenant=None)
    scored: list[int] = []

    def leave(first: int, end: int) -> None:
        scored.append(first)
        if len(scored) == 4:
            raise SystemExit

    with monkeypatch.context() as patched:
        spoil(patched, leave)
        with pytest.raises(SystemExit):
            runner.run(post, "train", only_tenant=None)
    with post.database.transaction() as sql:
        recovery.lose(sql, post.worker)
    spoil(monkeypatch, lambda first, end: scored.append(first))
    runner.run(other, "train", only_tenant=None)

    assert working.find(post, job).state == jobs.SUCCEEDED
    assert sorted(set(scored)) == list(range(0, ROWS, 7)) and len(scored) == len(set(scored)) + 1
    assert files_of(post, job) == files_of(post, alone)


def test_another_job_does_only_what_a_cancelled_one_has_not(
    post: Post, tenant: str, scoring: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good, job = scoring(), scoring()
    quick = dataclasses.replace(post, settings=dataclasses.replace(post.settings, beat_s=0.1))
    runner.run(post, "train", only_tenant=None)
    scored: list[int] = []

    def cancel(first: int, end: int) -> None:
        scored.append(first)
        if first == 28:
            working.cancel(post, tenant, job)
            working.wait(lambda: working.find(post, job).cancel_requested_at)

    with monkeypatch.context() as patched:
        spoil(patched, cancel)
        runner.run(quick, "train", only_tenant=None)
    with post.database.transaction() as sql:
        sql.execute(update(attempts).values(ended_at=attempts.c.ended_at - 2 * sweep.QUIET_S))
    sweep.run(post.database, post.storage)
    row = working.find(post, job)
    again = working.submit(post, tenant, row.datasets[0], action="score", version=row.version,
                           params={"resume_of": job})  # fmt: skip
    scored.clear()
    spoil(monkeypatch, lambda first, end: scored.append(first))
    runner.run(post, "train", only_tenant=None)

    assert working.find(post, again).state == jobs.SUCCEEDED, working.find(post, again).error
    assert min(scored) >= row.result["rows"] > 0
    assert files_of(post, again) == files_of(post, good)
    assert working.find(post, again).result == working.find(post, good).result


def test_only_the_same_scoring_is_gone_on_from_and_only_when_it_has_ended(
    post: Post, tenant: str, scoring: Callable[[], str]
) -> None:
    job = scoring()
    row = working.find(post, job)

    def refusal(other: str = tenant, **params: Any) -> str | None:
        wanted = NewJob(action="score", model="songs@1", dataset=row.datasets[0], params={"resume_of": job, **params})
        try:
            with post.database.reading() as sql:
                submission.check(sql, other, wanted, post.settings)
        except EtudeError as error:
            return error.code
        return None

    assert refusal() == "job_queued"
    with post.database.transaction() as sql:
        jobs.cancel(sql, tenant, job)
    assert refusal() is None
    assert refusal(columns=["genre"]) == "resume_mismatch"
    assert refusal(resume_of="job_nobody") == "unknown_reference"
