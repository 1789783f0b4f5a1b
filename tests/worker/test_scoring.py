"""A scoring in chunks: the same bytes whoever does it, bad rows found by halving, and what is done is kept."""

import dataclasses
import json
import threading
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import literal, select, update

from shared import chunks, fires, job_list, jobs, recovery, schedules, submission
from shared.database import Database
from shared.errors import EtudeError
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import attempts, outputs, versions
from shared.tables import chunks as chunk_table
from shared.tables import datasets as dataset_table
from shared.tables import schedules as schedule_table
from shared.wanted import NewJob
from tests.worker import canonical, working
from tests.worker.working import Working
from worker import differences, partial, prediction_files, runner, sweep
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


def result_of(post: Post, job: str) -> Json:
    """Without what depends on the scorings before it."""
    result: Json = working.find(post, job).result
    return {**result, "drift": {**result["drift"], "last_run": None}}


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
                             "errors.jsonl", "errors.index", "distribution.json"}  # fmt: skip
    assert files_of(post, cut) == expected
    result = result_of(post, cut)
    assert result == result_of(post, whole)
    with post.database.reading() as sql:
        (made,) = sql.execute(select(versions)).all()
    said = result["lineage"]
    assert (said["model"], said["version"], said["training"]) == ("songs@1", made.id, made.job)
    assert said["datasets"] == [made.lineage["dataset"]] and said["code"] == made.lineage["code"]
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
    assert result_of(post, shared) == result_of(post, alone)
    paid, own = working.find(post, shared).cost, working.find(post, alone).cost
    assert paid["helped_s"] > 0 == own["helped_s"] and paid["compute_s"] > paid["helped_s"]
    # Guest and job are one process here, so that its CPU time counts for both; between processes it does not.
    assert 0 < paid["helped"]["cpu_s"] <= paid["cpu_s"] and 0 < paid["helped"]["energy_wh"] <= paid["energy_wh"]
    assert own["helped"]["cpu_s"] == 0


def test_of_a_large_table_each_worker_copies_only_what_it_scores(
    post: Post, tenant: str, scoring: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = scoring()
    runner.run(post, "train", only_tenant=None)
    monkeypatch.setattr(partial, "FROM_BYTES", 1)
    monkeypatch.setattr(partial, "BLOCK_BYTES", 512)
    (tmp_path / "again").mkdir()
    dataset = working.store_dataset(post, tenant, tmp_path / "again", rows=ROWS)
    version = working.find(post, alone).version
    job = working.submit(post, tenant, dataset, action="score", version=version, params={})
    runner.run(post, "train", only_tenant=None)

    assert working.find(post, job).state == jobs.SUCCEEDED, working.find(post, job).error
    found, wanted = files_of(post, job), files_of(post, alone)
    # Whose rights they carry, another dataset's, stands in the footers.
    tables = [pq.read_table(pa.BufferReader(files.pop("predictions.parquet"))) for files in (found, wanted)]
    assert tables[0].equals(tables[1]) and found == wanted


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
    assert result_of(post, again) == result_of(post, good)


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


def grown(post: Post, tenant: str, folder: Path, *, rows: int, version: int) -> str:
    """A version of the dataset `catalogue`: the first rows of one table."""
    columns = {name: values[:rows] for name, values in canonical.music(ROWS + 40, seed=4).items()}
    (folder / f"v{version}").mkdir()
    dataset = working.store_table(post, tenant, folder / f"v{version}", columns, id="piece")
    with post.database.of(tenant).transaction() as sql:
        mine = dataset_table.c.id == dataset
        sql.execute(update(dataset_table).where(mine).values(name="catalogue", version=version))
    return dataset


def test_every_night_only_what_is_new_is_scored_and_the_difference_is_told(
    post: Post, tenant: str, scoring: Callable[[], str], tmp_path: Path
) -> None:
    scoring()
    runner.run(post, "train", only_tenant=None)
    grown(post, tenant, tmp_path, rows=ROWS, version=1)
    asked = {"action": "score", "model": "songs@1", "dataset": "catalogue@latest", "params": {"skip_scored": True}}
    night = datetime(2031, 3, 28, 2, tzinfo=UTC).timestamp()
    with post.database.transaction() as sql:
        said = {"name": "nightly", "cron": "0 3 * * *", "timezone": "Europe/Berlin", "job": asked, "overlap": "skip",
                "misfire": "once", "misfire_grace_s": 3600.0}  # fmt: skip
        schedule = schedules.create(sql, tenant, said, post.settings)
        sql.execute(update(schedule_table).values(next_at=night))
    # The clocks go forward in the third night: three o'clock in Berlin is an hour earlier.
    for version, at in enumerate((night, night + 86_400, night + 2 * 86_400 - 3600)):
        if version:
            grown(post, tenant, tmp_path, rows=ROWS + 20 * version, version=version + 1)
        with post.database.transaction() as sql:
            seen = sql.execute(select(schedule_table, literal(at).label("at"))).one()
            assert seen.next_at == at and fires.fire(sql, seen, post.settings)
        runner.run(post, "train", only_tenant=None)
    with post.database.reading() as sql:
        nights = [run.job for run in schedules.list_runs(sql, schedule.id, limit=9, before=None)][::-1]
    whole = working.submit(post, tenant, working.find(post, nights[2]).datasets[0], action="score",
                           version=working.find(post, nights[2]).version, params={})  # fmt: skip
    runner.run(post, "train", only_tenant=None)

    results = [working.find(post, job).result for job in nights]
    assert [(each["rows"], each["skipped"]) for each in results] == [(ROWS, 0), (20, ROWS), (20, ROWS + 20)]
    parts = [lines_of(post, job, "predictions") for job in nights]
    assert [row for part in parts for row in part] == lines_of(post, whole, "predictions")
    for job in (*nights, whole):
        (tmp_path / job).write_bytes(files_of(post, job)["predictions.parquet"])
    found = differences.compare(tmp_path / whole, tmp_path / nights[0])
    assert found.as_json() | {"largest_move": None} == {
        "same": ROWS, "changed": 0, "only_here": 40, "only_there": 0, "largest_move": None
    }  # fmt: skip
    assert found.largest_move == 0.0
    assert differences.compare(tmp_path / nights[1], tmp_path / nights[0]).as_json()["only_here"] == 20


def test_a_scoring_tells_how_far_its_rows_are_from_those_of_the_training_and_of_the_last_run(
    post: Post, tenant: str, scoring: Callable[[], str], tmp_path: Path
) -> None:
    first = scoring()
    runner.run(post, "train", only_tenant=None)
    version = working.find(post, first).version
    columns = canonical.music(ROWS, seed=9)
    (tmp_path / "faster").mkdir()
    moved = {name: values * 3 if name == "tempo" else values for name, values in columns.items()}
    dataset = working.store_table(post, tenant, tmp_path / "faster", moved, id="piece")
    second = working.submit(post, tenant, dataset, action="score", version=version, params={})
    deaf = working.submit(post, tenant, dataset, action="score", version=version, params={"drift_threshold": 10})
    runner.run(post, "train", only_tenant=None)
    runner.run(post, "train", only_tenant=None)

    said = working.find(post, first).result
    assert said["warnings"] == [] and said["drift"]["last_run"] is None
    assert said["drift"]["rows"] == ROWS and said["drift"]["training"]["inputs"]["drifted"] == 0
    said = working.find(post, second).result
    assert said["drift"]["last_run"]["job"] == first
    for since in ("training", "last_run"):
        inputs = said["drift"][since]["inputs"]
        assert inputs["drifted"] >= 1 and inputs["most"][0]["name"] == "tempo"
        assert inputs["most"][0]["largest_move"]["to"] is None
    codes = [each["code"] for each in said["warnings"]]
    assert codes.count("inputs_drifted") == 2 and "'tempo'" in said["warnings"][0]["detail"]
    with post.database.reading() as sql:
        events = job_list.list_events(sql, second, after=0, limit=100)
    assert [each.data for each in events if each.type == "warning"] == said["warnings"]
    said = working.find(post, deaf).result
    assert said["warnings"] == [] and said["drift"]["last_run"]["job"] == second
    assert said["drift"]["last_run"]["inputs"]["most"][0]["psi"] == 0


@pytest.mark.parametrize("spoil_it", [Storage.delete, lambda storage, key: storage.put(key, [b"{}"])])
def test_a_last_run_whose_counts_are_gone_or_damaged_costs_no_scoring(
    post: Post, scoring: Callable[[], str], spoil_it: Callable[[Storage, str], object]
) -> None:
    first = scoring()
    runner.run(post, "train", only_tenant=None)
    with post.database.reading() as sql:
        file = job_list.find_output(sql, first, "distribution.json")
    assert file is not None
    spoil_it(post.storage, file.key)
    second = scoring()
    runner.run(post, "train", only_tenant=None)

    row = working.find(post, second)
    assert row.state == jobs.SUCCEEDED and row.tries == 0
    assert row.result["drift"]["last_run"] is None and row.result["drift"]["training"] is not None
    assert [each["code"] for each in row.result["warnings"]] == ["last_run_unreadable"]


def test_where_not_all_has_been_counted_no_drift_is_told(
    post: Post, scoring: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As beside a worker of an older release."""
    job = scoring()
    packed: list[Path] = []
    real = ChunkFiles.pack

    def pack(self: ChunkFiles) -> Path:
        archive = real(self)
        if not packed:
            with zipfile.ZipFile(archive) as old:
                kept = {name: old.read(name) for name in old.namelist() if name != prediction_files.COUNTS}
            with zipfile.ZipFile(archive, "w") as new:
                for name, content in kept.items():
                    new.writestr(name, content)
        packed.append(archive)
        return archive

    monkeypatch.setattr(ChunkFiles, "pack", pack)
    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert row.state == jobs.SUCCEEDED and len(packed) > 1
    assert row.result["drift"] is None and "distribution.json" not in files_of(post, job)


def test_a_row_that_has_changed_is_scored_again_and_one_that_failed_too(
    post: Post, tenant: str, scoring: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scoring()
    row = working.find(post, first)
    wanted: Json = {"action": "score", "version": row.version, "params": {"skip_scored": True}}
    columns = canonical.music(20, seed=7)
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    before = working.store_table(post, tenant, tmp_path / "a", columns, id="piece")
    changed = {**columns, "tempo": [value + (place == 4) for place, value in enumerate(columns["tempo"])]}
    after = working.store_table(post, tenant, tmp_path / "b", changed, id="piece")
    one, again, other = (working.submit(post, tenant, dataset, **wanted) for dataset in (before, before, after))

    def break_(start: int, end: int) -> None:
        if start <= 9 < end and not fixed:
            raise ZeroDivisionError

    fixed: list[bool] = []
    spoil(monkeypatch, break_)
    for _ in range(2):
        runner.run(post, "train", only_tenant=None)
    fixed.append(True)
    for _ in range(2):
        runner.run(post, "train", only_tenant=None)

    assert working.find(post, one).result["errors"] == 1 and working.find(post, one).result["skipped"] == 0
    assert [each["key"] for each in lines_of(post, again, "predictions")] == ["p9"]
    assert [each["key"] for each in lines_of(post, other, "predictions")] == ["p4"]
