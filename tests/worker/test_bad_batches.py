"""What goes wrong with a scoring that is no fault of a worker's: models and data that go, change, or never fitted."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import Connection, insert, literal, select, update

from shared import datasets, fires, jobs, models, schedules, submission
from shared.database import Database
from shared.errors import EtudeError, InvalidRequest
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import datasets as dataset_table
from shared.tables import jobs as job_table
from shared.tables import outputs, versions
from shared.tables import schedules as schedule_table
from shared.wanted import NewJob
from tests.conftest import make_tenant
from tests.worker import canonical, working
from worker import helping, runner
from worker.post import Post
from worker.prediction_files import ChunkFiles
from worker.predictions import RowScoring

ROWS = 60

Json = dict[str, Any]


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(dataclasses.replace(settings, chunk_rows=7), database, storage)


@pytest.fixture
def other(settings: Settings, database: Database, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Post:
    """Another worker, which comes again soon after it has failed."""
    monkeypatch.setattr(helping, "REST_S", 0.01)
    return working.make_post(settings, database, storage, worker="worker-2")


@pytest.fixture
def dataset(post: Post, tenant: str, tmp_path: Path) -> str:
    return working.store_dataset(post, tenant, tmp_path, rows=ROWS)


@pytest.fixture
def version(post: Post, tenant: str, dataset: str) -> str:
    """Of the model `songs`, which was trained on the dataset."""
    trained = working.submit(post, tenant, dataset)
    runner.run(post, "train", only_tenant=None)
    with post.database.reading() as sql:
        return str(sql.execute(select(versions.c.id).where(versions.c.job == trained)).scalar_one())


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first rows of all chunks that were begun."""
    begun: list[int] = []
    before_each_chunk(monkeypatch, begun.append)
    return begun


def before_each_chunk(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], object]) -> None:
    real = RowScoring.score

    def score(self: RowScoring, first: int, end: int, out: ChunkFiles, progress: Callable[[int], None]) -> Json:
        act(first)
        return real(self, first, end, out, progress)

    monkeypatch.setattr(RowScoring, "score", score)


def score(post: Post, tenant: str, version: str, dataset: str, **params: Any) -> str:
    return working.submit(post, tenant, dataset, action="score", version=version, params=params)


def store(post: Post, tenant: str, folder: Path, columns: Json, **roles: Any) -> str:
    folder.mkdir()
    return working.store_table(post, tenant, folder, columns, **{"id": "piece", **roles})


def lines_of(post: Post, job: str, name: str) -> list[Json]:
    with post.database.reading() as sql:
        mine = (outputs.c.job == job) & (outputs.c.name == f"{name}.jsonl")
        key = sql.execute(select(outputs.c.key).where(mine)).scalar_one()
    return [json.loads(line) for line in post.storage.get(key).splitlines()]


def has_output(post: Post, job: str) -> bool:
    with post.database.reading() as sql:
        return sql.execute(select(outputs).where(outputs.c.job == job)).first() is not None


def test_a_model_that_slipped_away_before_the_job_began_is_told(
    post: Post, tenant: str, dataset: str, version: str, scored: list[int]
) -> None:
    job = score(post, tenant, version, dataset)
    with post.database.transaction() as sql:
        models.delete(sql, tenant, "songs")

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.error["code"], row.error["retryable"]) == (jobs.FAILED, "model_deleted", False)
    assert scored == []


def test_a_model_that_slips_away_meanwhile_publishes_nothing_and_its_guests_leave(
    post: Post, other: Post, tenant: str, dataset: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, came = score(post, tenant, version, dataset), list[object]()

    def delete(first: int) -> None:
        if first == 7:
            with post.database.transaction() as sql:
                models.delete(sql, tenant, "songs")
            came.append(runner.help_out(other, only_tenant=None))

    before_each_chunk(monkeypatch, delete)
    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, "model_deleted")
    assert len(came) == 1 and came[0] is not None
    assert not has_output(post, job)


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        ({"tempo": None, "key": None}, "columns_missing", ["tempo", "key"]),
        ({"tempo": ["fast"] * ROWS, "noise": ["loud"] * ROWS}, "column_not_numeric", ["tempo", "noise"]),
    ],
)
def test_columns_that_have_changed_are_named_before_any_row_is_scored(
    post: Post, tenant: str, version: str, tmp_path: Path, scored: list[int], change: Json, code: str, named: list[str]
) -> None:
    columns = {name: column for name, column in (canonical.music(ROWS) | change).items() if column is not None}
    job = score(post, tenant, version, store(post, tenant, tmp_path / "changed", columns))

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, code)
    assert sorted(fault["column"] for fault in row.error["errors"]) == sorted(named)
    assert scored == [] and not has_output(post, job)


def test_a_training_leaves_what_is_needed_to_refuse_them_at_the_door(
    post: Post, tenant: str, version: str, tmp_path: Path
) -> None:
    columns = canonical.music(ROWS)
    del columns["tempo"]
    dataset = store(post, tenant, tmp_path / "changed", columns)
    wanted = NewJob(action="score", model="songs@1", dataset=dataset)

    with post.database.reading() as sql, pytest.raises(InvalidRequest) as refused:
        submission.check(sql, tenant, wanted, post.settings)

    assert (refused.value.code, [fault.column for fault in refused.value.faults]) == ("columns_missing", ["tempo"])


def test_a_schedule_whose_next_dataset_has_other_columns_pauses_and_names_them(
    post: Post, tenant: str, dataset: str, version: str, tmp_path: Path
) -> None:
    job = {"action": "score", "model": "songs", "dataset": "nightly@latest"}
    said = {"name": "nightly", "cron": "0 3 * * *", "timezone": "UTC", "job": job, "overlap": "skip",
            "misfire": "once", "misfire_grace_s": 3600.0}  # fmt: skip
    columns = canonical.music(ROWS)
    with post.database.of(tenant).transaction() as sql:
        sql.execute(update(dataset_table).where(dataset_table.c.id == dataset).values(name="nightly"))
        schedule = schedules.create(sql, tenant, said, post.settings)
    del columns["energy"]
    changed = store(post, tenant, tmp_path / "changed", columns)
    with post.database.of(tenant).transaction() as sql:
        newest = dataset_table.c.id == changed
        sql.execute(update(dataset_table).where(newest).values(name="nightly", version=2))
        due = select(schedule_table, literal(schedule.next_at).label("at"))
        fires.fire(sql, sql.execute(due).one(), post.settings)

    with post.database.reading() as sql:
        row = schedules.find(sql, tenant, "nightly")
    assert (row.state, row.error["code"]) == ("paused", "columns_missing")
    assert [fault["column"] for fault in row.error["errors"]] == ["energy"]


def test_a_dataset_that_is_erased_while_chunks_are_under_way_takes_its_predictions_with_it(
    post: Post, other: Post, tenant: str, dataset: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, came = score(post, tenant, version, dataset), list[object]()

    def erase(first: int) -> None:
        if first == 7:
            with post.database.transaction() as sql:
                datasets.erase(sql, tenant, dataset)
            came.append(runner.help_out(other, only_tenant=None))

    before_each_chunk(monkeypatch, erase)
    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, "dataset_erased")
    assert len(came) == 1 and not has_output(post, job)


def test_no_rows_are_scored_to_files_without_rows(post: Post, tenant: str, version: str, tmp_path: Path) -> None:
    types = {"piece": pa.string(), "key": pa.string()}
    columns = {name: pa.array([], types.get(name, pa.float64())) for name in canonical.music(1) if name != "genre"}
    job = score(post, tenant, version, store(post, tenant, tmp_path / "empty", columns))

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.error) == (jobs.SUCCEEDED, None)
    assert (row.result["rows"], row.result["errors"]) == (0, 0)
    assert lines_of(post, job, "predictions") == lines_of(post, job, "errors") == []


def test_rows_of_one_key_are_all_scored_in_their_order(post: Post, tenant: str, version: str, tmp_path: Path) -> None:
    columns = canonical.music(ROWS)
    other_keys = {**columns, "piece": [f"p{row % 3}" for row in range(ROWS)]}
    named = score(post, tenant, version, store(post, tenant, tmp_path / "a", columns))
    alike = score(post, tenant, version, store(post, tenant, tmp_path / "b", other_keys), skip_scored=True)
    again = score(post, tenant, version, working.find(post, alike).datasets[0], skip_scored=True)

    for _ in range(3):
        runner.run(post, "train", only_tenant=None)

    found = lines_of(post, alike, "predictions")
    assert [row["key"] for row in found] == other_keys["piece"]
    assert [row["probabilities"] for row in found] == [
        row["probabilities"] for row in lines_of(post, named, "predictions")
    ]
    assert working.find(post, again).result["skipped"] == ROWS


@pytest.fixture
def two_tables(post: Post, tenant: str, tmp_path: Path) -> list[str]:
    """The same rows twice, in the second with the tempo as text."""
    columns = canonical.music(ROWS)
    texts = {**columns, "tempo": [str(value) for value in columns["tempo"]]}
    return [store(post, tenant, tmp_path / name, each) for name, each in (("a", columns), ("b", texts))]


def score_both(post: Post, tenant: str, version: str, tables: list[str], **params: Any) -> str:
    with post.database.transaction() as sql:
        made = {"action": "score", "version": version, "datasets": tables, "params": params}
        return working.factories.make_job(sql, tenant, **made)


def test_tables_that_differ_in_the_type_of_a_number_are_scored_as_one(
    post: Post, tenant: str, version: str, two_tables: list[str]
) -> None:
    job = score_both(post, tenant, version, two_tables, columns=["piece"])

    runner.run(post, "train", only_tenant=None)

    assert working.find(post, job).state == jobs.SUCCEEDED, working.find(post, job).error
    found = lines_of(post, job, "predictions")
    assert found[:ROWS] == found[ROWS:] and len(found) == 2 * ROWS


def test_a_column_to_be_repeated_that_has_two_types_is_named_before_any_row_is_scored(
    post: Post, tenant: str, version: str, two_tables: list[str], scored: list[int]
) -> None:
    job = score_both(post, tenant, version, two_tables, columns=["piece", "tempo"])

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, "columns_differ")
    assert ([fault["column"] for fault in row.error["errors"]], scored) == (["tempo"], [])


def test_a_table_without_the_column_of_the_keys_is_told_before_any_row_is_scored(
    post: Post, tenant: str, version: str, two_tables: list[str], tmp_path: Path, scored: list[int]
) -> None:
    columns = canonical.music(ROWS)
    renamed = {"name": columns.pop("piece"), **columns}
    without = store(post, tenant, tmp_path / "c", renamed, id="name")
    job = score_both(post, tenant, version, [two_tables[0], without])

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, "columns_missing")
    assert ([fault["column"] for fault in row.error["errors"]], scored) == (["piece"], [])


def copy_all(sql: Connection, tenant: str) -> None:
    """Datasets, models and their versions of everybody once more, as a tenant's own."""
    for table in (dataset_table, job_table, models.models, versions):
        refers = {"job", "model"} & set(table.c.keys()) if table is versions else set()
        for row in sql.execute(select(table)).mappings().all():
            renamed = {name: f"{row[name]}-copy"[-40:] for name in ("id", *refers)}
            sql.execute(insert(table).values({**row, **renamed, "tenant": tenant}))


def test_nobody_goes_on_from_another_tenants_job(
    post: Post, tenant: str, dataset: str, version: str, database: Database
) -> None:
    job = score(post, tenant, version, dataset)
    with post.database.transaction() as sql:
        jobs.cancel(sql, tenant, job)
    somebody = make_tenant(database)
    theirs = NewJob(action="score", model="songs@1", dataset=dataset, params={"resume_of": job})

    def refusal(of: str, wanted: NewJob) -> EtudeError | None:
        try:
            with post.database.reading() as sql:
                submission.check(sql, of, wanted, post.settings)
        except EtudeError as error:
            return error
        return None

    assert refusal(tenant, theirs) is None
    # Their own model and data under the same names do not help.
    with post.database.transaction() as sql:
        copy_all(sql, somebody)
    theirs = theirs.model_copy(update={"dataset": f"{dataset}-copy"[-40:]})
    refused = refusal(somebody, theirs)
    nobody = refusal(somebody, theirs.model_copy(update={"params": {"resume_of": "job_nobody"}}))
    assert refused is not None and nobody is not None
    assert (refused.code, nobody.code) == ("unknown_reference", "unknown_reference")
    assert refused.detail.replace(job, "job_nobody") == nobody.detail
