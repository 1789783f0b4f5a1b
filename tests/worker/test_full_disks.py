"""A disk that fills up in the middle of a scoring: the job goes back unharmed, and no row is blamed."""

import dataclasses
import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from obstore.exceptions import GenericError
from sqlalchemy import select, update

from shared import claims, jobs, objects
from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import chunks as chunk_table
from shared.tables import jobs as job_table
from shared.tables import outputs, versions
from tests.conftest import make_tenant
from tests.worker import working
from tests.worker.working import Working
from worker import helping, runner
from worker.desk import Desk
from worker.post import Post
from worker.prediction_files import ChunkFiles, PredictionFiles

ROWS = 60

# Where a disk may fill up: whose function writes there.
IN_SCRATCH = {
    "making scratch": (Desk, "make_scratch"),
    "fetching the table or the model": (Desk, "fetch"),
    "writing a chunk": (ChunkFiles, "write"),
    "packing a chunk": (ChunkFiles, "pack"),
    "putting together": (PredictionFiles, "append"),
}
IN_STORAGE = {"storing a chunk": "/chunks/", "storing the file": "/files/"}
# What no guest does.
OF_THE_WHOLE = ("putting together", "storing the file")

Full = Callable[[], bool]


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


def fill(monkeypatch: pytest.MonkeyPatch, place: str, is_full: Full = lambda: True) -> None:
    """Have the disk be full wherever `place` is written, while `is_full`."""
    if place in IN_STORAGE:
        return _fill_storage(monkeypatch, IN_STORAGE[place], is_full)
    owner, name = IN_SCRATCH[place]
    real = getattr(owner, name)

    def write(*arguments: Any, **named: Any) -> Any:
        if is_full():
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **named)

    monkeypatch.setattr(owner, name, write)
    return None


def _fill_storage(monkeypatch: pytest.MonkeyPatch, part: str, is_full: Full) -> None:
    real = objects.obstore.put

    def put(store: Any, key: str, *arguments: Any, **named: Any) -> Any:
        if part in key and is_full():
            raise GenericError("Unable to write: No space left on device (os error 28)")
        return real(store, key, *arguments, **named)

    monkeypatch.setattr(objects.obstore, "put", put)


def files_of(post: Post, job: str) -> dict[str, bytes]:
    with post.database.reading() as sql:
        rows = sql.execute(select(outputs.c.name, outputs.c.key).where(outputs.c.job == job)).all()
    return {row.name: post.storage.get(row.key) for row in rows}


def result_of(post: Post, job: str) -> dict[str, Any]:
    """But for drift, which is told from the scoring before."""
    return {name: said for name, said in working.find(post, job).result.items() if name != "drift"}


def losses(post: Post, job: str) -> set[int]:
    with post.database.reading() as sql:
        return set(sql.execute(select(chunk_table.c.losses).where(chunk_table.c.job == job)).scalars())


def hurry(post: Post) -> None:
    """Let what waits for another try be due now."""
    with post.database.transaction() as sql:
        sql.execute(update(job_table).values(run_after=0))


@pytest.mark.parametrize("place", [*IN_SCRATCH, *IN_STORAGE])
def test_the_job_is_tried_again_and_no_row_is_blamed(
    post: Post, tenant: str, scoring: Callable[[], str], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    alone = scoring()
    runner.run(post, "train", only_tenant=None)
    job = scoring()
    with monkeypatch.context() as patched:
        fill(patched, place)
        runner.run(post, "train", only_tenant=None)

    failed = working.find(post, job)
    code = "storage_full" if place in IN_STORAGE else "disk_full"
    assert (failed.state, failed.error["code"], failed.error["retryable"]) == (jobs.QUEUED, code, True)
    assert files_of(post, job) == {} and failed.result is None
    assert losses(post, job) <= {0}
    assert list(post.scratch.iterdir()) == []

    hurry(post)
    runner.run(post, "train", only_tenant=None)

    assert working.outcomes(post, job) == ["repeated", "succeeded"]
    assert files_of(post, job) == files_of(post, alone)
    assert result_of(post, job) == result_of(post, alone)


def test_a_disk_that_stays_full_fails_the_job_and_it_goes_on_once_there_is_room(
    post: Post, tenant: str, scoring: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = scoring()
    with monkeypatch.context() as patched:
        fill(patched, "putting together")
        for _ in range(claims.TRIES_AT_MOST):
            hurry(post)
            runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, "disk_full")
    assert row.error["detail"] == "The worker's disk is full: its operator must free some space."

    with post.database.transaction() as sql:
        jobs.retry(sql, tenant, job)
    runner.run(post, "train", only_tenant=None)

    assert working.find(post, job).state == jobs.SUCCEEDED
    assert working.find(post, job).result["errors"] == 0


def test_meanwhile_the_same_worker_does_another_tenants_job(
    post: Post, scoring: Callable[[], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    somebody = make_tenant(post.database)
    (tmp_path / "theirs").mkdir()
    dataset = working.store_dataset(post, somebody, tmp_path / "theirs")
    job = scoring()
    fill(monkeypatch, "writing a chunk")
    runner.run(post, "train", only_tenant=None)
    trained = working.submit(post, somebody, dataset)

    runner.run(post, "train", only_tenant=None)

    assert working.find(post, job).state == jobs.QUEUED
    assert working.find(post, trained).state == jobs.SUCCEEDED


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A guest that has failed comes again soon."""
    monkeypatch.setattr(helping, "REST_S", 0.01)
    return None


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("place", [place for place in (*IN_SCRATCH, *IN_STORAGE) if place not in OF_THE_WHOLE])
def test_a_guest_whose_disk_is_full_costs_the_job_nothing(
    post: Post, other: Post, scoring: Callable[[], str], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    alone = scoring()
    runner.run(post, "train", only_tenant=None)
    job, has_tried = scoring(), threading.Event()

    def is_guests() -> bool:
        is_guest = threading.current_thread() is guest
        if is_guest:
            has_tried.set()
        return is_guest

    def help_out() -> None:
        # Twice: a chunk that had lost something would be halved after that.
        for _ in range(2):
            came.append(working.wait(lambda: runner.help_out(other, only_tenant=None)))

    came: list[object] = []
    guest = threading.Thread(target=help_out, daemon=True)
    real = ChunkFiles.pack

    def pack(files: ChunkFiles) -> Path:
        # The job's own worker does not end before the guest has been there twice.
        if threading.current_thread() is not guest:
            working.wait(lambda: len(came) == 2)
        return real(files)

    monkeypatch.setattr(ChunkFiles, "pack", pack)
    fill(monkeypatch, place, is_guests)
    under_way = Working(post)
    guest.start()
    under_way.join()
    guest.join(working.LIMIT_S)

    row = working.find(post, job)
    assert has_tried.is_set() and len(came) == 2
    assert (row.state, row.error) == (jobs.SUCCEEDED, None)
    assert working.outcomes(post, job) == ["succeeded"]
    assert files_of(post, job) == files_of(post, alone)
    assert result_of(post, job) == result_of(post, alone)


@pytest.mark.usefixtures("quick")
def test_what_a_guest_did_not_foresee_costs_the_job_nothing_either(
    post: Post, other: Post, scoring: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, came = scoring(), list[object]()
    real_fetch, real_pack = Desk.fetch, ChunkFiles.pack

    def fetch(desk: Desk, *arguments: Any, **named: Any) -> Path:
        if threading.current_thread() is guest:
            raise ZeroDivisionError
        return real_fetch(desk, *arguments, **named)

    def pack(files: ChunkFiles) -> Path:
        working.wait(lambda: came)
        return real_pack(files)

    guest = threading.Thread(
        target=lambda: came.append(working.wait(lambda: runner.help_out(other, only_tenant=None))), daemon=True
    )
    monkeypatch.setattr(Desk, "fetch", fetch)
    monkeypatch.setattr(ChunkFiles, "pack", pack)
    under_way = Working(post)
    guest.start()
    under_way.join()

    assert working.find(post, job).state == jobs.SUCCEEDED
    assert working.find(post, job).result["errors"] == 0
    assert list(other.scratch.glob("*")) == []
