"""Erasing a listener: from every version of the name, at once, told, and against whatever else goes on meanwhile."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select

from shared import claims, datasets, jobs, models, pseudonyms
from shared.database import Database
from shared.errors import RequestRefused, Unavailable
from shared.models import NewVersion
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import attempts, events
from shared.tables import jobs as job_table
from tests import factories
from tests.worker import working
from tests.worker.interactions import uploading
from tests.worker.interactions.uploading import erase, find, hurry, ingest, loaded, rows
from worker import erasing, interactions_intake, leftovers, partial, retraining, runner
from worker.runner import Post

Json = dict[str, Any]

PLAYS = b"user,item,time\nalice,x,1\nalice,only hers,2\nbob,x,3\ncarol,y,4\n"
MORE = b"user,item,time\nalice,y,5\ndave,y,6\n"


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(settings, database, storage, worker="light-1")


@pytest.fixture
def second(post: Post) -> Post:
    """Another worker of the same house."""
    return working.make_post(post.settings, post.database, post.storage, worker="light-2")


def run(post: Post, job: str) -> Row[Any]:
    """Do the queue's best job, which is this one."""
    claim = runner.run(post, "light", only_tenant=None)
    assert claim is not None
    assert claim.job_id == job
    return working.find(post, job)


def users(post: Post, row: Row[Any], folder: Path) -> list[str]:
    return loaded(post, find(post, row.tenant, row.id), folder).users


def make_version(post: Post, tenant: str, dataset: str, *, model: str = "taste", **values: Any) -> str:
    """A version that a training of this dataset, as it is now, has made; returns the training."""
    lineage = {"dataset": {"id": dataset, "sha256": find(post, tenant, dataset).sha256}}
    with post.database.transaction() as sql:
        job = factories.make_job(sql, tenant, datasets=[dataset], kind="recommendation", model=model, **values)
        claim = claims.claim_next(sql, "train", worker=post.worker, skills=runner.skills(), lease_s=30.0)
        assert claim is not None
        assert claim.job_id == job
        models.record(sql, claim, NewVersion([], {}, {}, [], lineage, 1))
        claims.succeed(sql, claim, result={}, cost={})
    return job


def once(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, then: Callable[[], object]) -> None:
    """Have something happen right after a function of a module has been called for the first time."""
    real, done = getattr(module, name), []

    def wrapped(*given: Any, **named: Any) -> Any:
        answer = real(*given, **named)
        if not done:
            done.append(True)
            then()
        return answer

    monkeypatch.setattr(module, name, wrapped)


def test_a_listener_is_erased(post: Post, tenant: str, tmp_path: Path) -> None:
    row, _ = ingest(post, tenant, {"a.csv": PLAYS})

    job = run(post, erase(post, tenant, row, "alice"))

    assert job.state == jobs.SUCCEEDED, job.error
    assert job.result == {
        "events": 2, "datasets": ["plays@1"], "models": [], "predictions": [], "under_way": [], "pending": [],
        "retrained": [], "not_retrained": [],
    }  # fmt: skip
    after = find(post, tenant, row.id)
    assert rows(loaded(post, after, tmp_path)) == [("bob", "x", 1, 3), ("carol", "y", 1, 4)]
    assert loaded(post, after, tmp_path).items == ["x", "y"]
    assert (after.rows, after.profile["rows"], after.profile["interactions"]["users"]) == (2, 2, 2)
    assert after.sha256 != row.sha256
    assert after.size_bytes == sum(part["size_bytes"] for part in after.parts)
    assert {part["key"] for part in after.parts}.isdisjoint(part["key"] for part in row.parts)
    assert working.stages(post, job.id) == ["starting", "erasing"]


def test_a_large_part_has_its_digests_beside_it(
    post: Post, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial, "FROM_BYTES", 1)
    row, _ = ingest(post, tenant, {"a.csv": PLAYS})

    run(post, erase(post, tenant, row, "alice"))

    after = find(post, tenant, row.id)
    assert [part["name"] for part in after.parts] == [part["name"] for part in row.parts]
    parts = {part["name"]: post.storage.get(part["key"]) for part in after.parts}
    (tmp_path / "events").write_bytes(parts["events.parquet"])
    assert parts["events.parquet.digests"] == partial.digests(tmp_path / "events")


def test_nothing_that_is_kept_names_the_listener(post: Post, tenant: str, tmp_path: Path) -> None:
    row, ingested = ingest(post, tenant, {"a.csv": PLAYS})
    job = run(post, erase(post, tenant, row, "alice"))

    for each in (ingested.id, job.id):
        leftovers.delete(post.database, post.storage, tenant, each)

    after = find(post, tenant, row.id)
    there = post.storage.keys(f"t/{tenant}/datasets/{row.id}/")
    assert sorted(there) == sorted(part["key"] for part in after.parts)
    assert all(b"alice" not in post.storage.get(key) for key in there)
    with post.database.reading() as sql:
        told = [dict(each) for table in (job_table, events) for each in sql.execute(select(table)).mappings()]
    assert "alice" not in json.dumps([told, dict(after._mapping)])


def test_every_version_of_the_name_is_rid_of_the_listener(post: Post, tenant: str, tmp_path: Path) -> None:
    first, _ = ingest(post, tenant, {"a.csv": PLAYS})
    other, _ = ingest(post, tenant, {"a.csv": PLAYS}, name="other")
    second, _ = ingest(post, tenant, {"b.csv": MORE}, base=first.id)
    third, _ = ingest(post, tenant, {"a.csv": b"user,item,time\nbob,x,1\n"})

    job = run(post, erase(post, tenant, second, "alice"))

    assert (job.result["events"], job.result["datasets"]) == (5, ["plays@1", "plays@2"])
    assert users(post, first, tmp_path) == ["bob", "carol"]
    assert users(post, second, tmp_path) == ["bob", "carol", "dave"]
    assert users(post, other, tmp_path) == ["alice", "bob", "carol"]
    assert find(post, tenant, third.id).sha256 == third.sha256


def test_a_pseudonym_and_the_id_behind_it_are_the_same_listener(post: Post, tenant: str, tmp_path: Path) -> None:
    row, _ = ingest(post, tenant, {"a.csv": PLAYS})
    of_alice, of_bob = (pseudonyms.of(post.settings.pepper, tenant, "plays", user) for user in ("alice", "bob"))

    by_id, by_pseudonym = (run(post, erase(post, tenant, row, user)) for user in ("alice", of_bob))

    assert (by_id.result["events"], by_pseudonym.result["events"]) == (2, 1)
    assert by_id.params["user"] == of_alice
    assert users(post, row, tmp_path) == ["carol"]


@pytest.mark.parametrize("user", ["nobody", "Alice", "x", "alic"])
def test_an_unknown_user_changes_nothing(post: Post, tenant: str, user: str) -> None:
    row, _ = ingest(post, tenant, {"a.csv": PLAYS})

    job = run(post, erase(post, tenant, row, user))

    assert (job.state, job.result["events"], job.result["datasets"]) == (jobs.SUCCEEDED, 0, [])
    assert find(post, tenant, row.id).sha256 == row.sha256


def test_the_last_listener_leaves_an_empty_dataset(post: Post, tenant: str, tmp_path: Path) -> None:
    row, _ = ingest(post, tenant, {"a.csv": b"user,item,context\nalice,x,car\n", "items.csv": b"item,artist\nx,X\n"})

    job = run(post, erase(post, tenant, row, "alice"))

    after = find(post, tenant, row.id)
    assert (job.state, after.rows) == (jobs.SUCCEEDED, 0)
    assert [each["code"] for each in after.profile["warnings"]] == ["no_events"]
    assert loaded(post, after, tmp_path).items == ["x"]


def test_what_has_used_the_events_is_told(post: Post, tenant: str) -> None:
    first, _ = ingest(post, tenant, {"a.csv": PLAYS})
    clean, _ = ingest(post, tenant, {"a.csv": b"user,item\nbob,x\n"})
    for model in ("taste", "taste", "nights"):
        make_version(post, tenant, first.id, model=model)
    make_version(post, tenant, clean.id, model="clean")
    with post.database.transaction() as sql:
        scored = factories.make_job(sql, tenant, datasets=[first.id], action="score")
        running = factories.make_job(sql, tenant, datasets=[first.id], priority=9)
        claimed = claims.claim_next(sql, "train", worker=post.worker, skills=runner.skills(), lease_s=30.0)
        assert claimed is not None
        assert claimed.job_id == running

    job = run(post, erase(post, tenant, first, "alice"))

    assert job.result["models"] == ["taste@1", "taste@2", "nights@1"]
    assert (job.result["predictions"], job.result["under_way"]) == ([scored], [running])
    assert (job.result["retrained"], job.result["not_retrained"]) == ([], [])


def test_erased_again_the_models_that_still_hold_the_events_are_told_again(post: Post, tenant: str) -> None:
    row, _ = ingest(post, tenant, {"a.csv": PLAYS})
    make_version(post, tenant, row.id)
    make_version(post, tenant, row.id, model="nights")
    first = run(post, erase(post, tenant, row, "alice"))
    # It has learned from what is left.
    make_version(post, tenant, row.id)
    with post.database.transaction() as sql:
        scored = factories.make_job(sql, tenant, datasets=[row.id], action="score")

    again = run(post, erase(post, tenant, row, "alice", retrain=True))

    assert first.result["models"] == again.result["models"] == ["taste@1", "nights@1"]
    assert (again.result["events"], again.result["predictions"]) == (0, [scored])
    assert [working.find(post, new).model for new in again.result["retrained"]] == ["nights"]
    assert again.result["not_retrained"] == []


def test_a_model_that_has_learned_from_a_deleted_version_is_told(post: Post, tenant: str) -> None:
    gone, _ = ingest(post, tenant, {"a.csv": PLAYS})
    row, _ = ingest(post, tenant, {"a.csv": b"user,item\nbob,x\n"})
    elsewhere, _ = ingest(post, tenant, {"a.csv": PLAYS}, name="other")
    for dataset, model in ((gone, "taste"), (row, "clean"), (elsewhere, "other")):
        make_version(post, tenant, dataset.id, model=model)
    with post.database.transaction() as sql:
        datasets.erase(sql, tenant, gone.id)

    job = run(post, erase(post, tenant, row, "alice", retrain=True))

    assert (job.result["models"], job.result["datasets"], job.result["retrained"]) == (["taste@1"], [], [])
    assert [each["reason"]["code"] for each in job.result["not_retrained"]] == ["unknown_reference"]


def test_a_rejected_version_is_told_until_its_uploads_are_gone(
    post: Post, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, _ = ingest(post, tenant, {"a.csv": PLAYS})
    # As if the worker had died between the end of the job and that.
    monkeypatch.setattr(runner, "_let_go_of_uploads", lambda desk: None)
    rejected, failed = ingest(post, tenant, {"a.csv": b"user,item,time\nalice,x,never\n"})
    before = run(post, erase(post, tenant, row, "alice"))

    leftovers.delete(post.database, post.storage, tenant, before.id)

    assert (failed.state, before.result["pending"]) == (jobs.FAILED, ["plays@2"])
    assert post.storage.keys(f"t/{tenant}/datasets/{rejected.id}/") == []
    assert run(post, erase(post, tenant, row, "alice")).result["pending"] == []


def test_a_wrong_cell_that_named_the_listener_is_gone_too(post: Post, tenant: str) -> None:
    row, ingested = ingest(post, tenant, {"a.csv": PLAYS + b"bob,x,alice\n"})
    assert row.profile["interactions"]["faults_total"] == 1

    run(post, erase(post, tenant, row, "alice"))

    after = find(post, tenant, row.id)
    assert "rows_left_out" in json.dumps(after.profile["warnings"])
    assert "alice" not in json.dumps([ingested.result, after.profile])


def test_models_are_trained_anew_as_they_were(post: Post, tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row, _ = ingest(post, tenant, {"a.csv": PLAYS})
    make_version(post, tenant, row.id, params={"seed": 1})
    make_version(post, tenant, row.id, params={"seed": 2}, labels={"team": "mir"})
    make_version(post, tenant, row.id, model="fixed", params={"seed": 3})
    checked = []

    def check(sql: Any, tenant: str, wanted: Any, settings: Settings) -> jobs.NewJob:
        checked.append(wanted)
        if wanted.model == "fixed":
            raise RequestRefused("It is not made any more.", code="unknown_kind")
        return jobs.NewJob(
            tenant=tenant, action=wanted.action, kind=wanted.kind, queue="train", datasets=[wanted.dataset],
            model=wanted.model, params=wanted.params, labels=wanted.labels,
        )  # fmt: skip

    monkeypatch.setattr(retraining.submission, "check", check)

    job = run(post, erase(post, tenant, row, "alice", retrain=True))

    (new,) = job.result["retrained"]
    found = working.find(post, new)
    assert (found.state, found.model, found.params, found.labels, found.datasets) == (
        jobs.QUEUED, "taste", {"seed": 2}, {"team": "mir"}, [row.id]
    )  # fmt: skip
    assert len(checked) == 2
    # What cannot be trained any more is no reason to keep the events.
    assert job.result["not_retrained"] == [
        {"model": "fixed@1", "reason": {"code": "unknown_kind", "detail": "It is not made any more."}}
    ]
    assert job.result["events"] == 2


def test_a_real_training_is_submitted(post: Post, tenant: str) -> None:
    content = b"user,item\n" + b"".join(b"u%d,i%d\n" % (n % 40, n * 7 % 31) for n in range(900))
    row, _ = ingest(post, tenant, {"a.csv": content})
    make_version(post, tenant, row.id)

    job = run(post, erase(post, tenant, row, "u3", retrain=True))

    (new,) = job.result["retrained"]
    assert (working.find(post, new).kind, working.find(post, new).model) == ("recommendation", "taste")


def test_two_erasures_at_once_both_count(
    post: Post, second: Post, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, _ = ingest(post, tenant, {"a.csv": PLAYS})
    of_alice, of_bob = (erase(post, tenant, row, user) for user in ("alice", "bob"))
    once(monkeypatch, erasing, "without", lambda: run(second, of_bob))

    late = run(post, of_alice)

    assert (late.state, late.error["code"], outcome(post, of_alice)) == (jobs.QUEUED, "dataset_changed", "repeated")
    assert users(post, row, tmp_path) == ["alice", "carol"]
    hurry(post, of_alice)
    assert run(post, of_alice).result["events"] == 2
    assert users(post, row, tmp_path) == ["carol"]


def outcome(post: Post, job: str) -> str | None:
    with post.database.reading() as sql:
        return sql.execute(select(attempts.c.outcome).where(attempts.c.job == job)).scalar_one()


def test_an_erasure_while_the_next_version_is_read_loses_nothing(
    post: Post, second: Post, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = ingest(post, tenant, {"a.csv": PLAYS})
    dataset, reading = uploading.begin(post, tenant, {"b.csv": b"user,item,time\ndave,z,9\n"}, base=first.id)
    asked = erase(post, tenant, first, "alice")
    once(monkeypatch, interactions_intake, "_join", lambda: run(second, asked))

    late = run(post, reading)

    assert (late.state, late.error["code"]) == (jobs.QUEUED, "dataset_changed")
    assert working.find(post, asked).result["pending"] == ["plays@2"]
    hurry(post, reading)
    assert run(post, reading).state == jobs.SUCCEEDED
    assert users(post, find(post, tenant, dataset), tmp_path) == ["bob", "carol", "dave"]
    assert users(post, first, tmp_path) == ["bob", "carol"]


def test_a_version_that_becomes_ready_meanwhile_is_rid_of_the_listener_too(
    post: Post, second: Post, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = ingest(post, tenant, {"a.csv": PLAYS})
    asked = erase(post, tenant, first, "alice")
    made = []
    once(monkeypatch, erasing, "without", lambda: made.append(ingest(second, tenant, {"b.csv": MORE}, base=first.id)))

    late = run(post, asked)

    assert (late.state, late.error["code"]) == (jobs.QUEUED, "dataset_changed")
    hurry(post, asked)
    assert run(post, asked).result["datasets"] == ["plays@1", "plays@2"]
    ((newer, _),) = made
    assert users(post, newer, tmp_path) == ["bob", "carol", "dave"]


def test_a_version_that_is_deleted_meanwhile_does_not_come_back(
    post: Post, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = ingest(post, tenant, {"a.csv": PLAYS})
    newer, _ = ingest(post, tenant, {"a.csv": PLAYS})
    asked = erase(post, tenant, newer, "alice")

    def delete() -> None:
        with post.database.transaction() as sql:
            datasets.erase(sql, tenant, first.id)

    once(monkeypatch, erasing, "without", delete)
    assert run(post, asked).state == jobs.QUEUED
    hurry(post, asked)

    assert run(post, asked).result["datasets"] == ["plays@2"]
    with post.database.reading() as sql:
        assert datasets.is_erased(sql, first.id)


def test_an_erasure_that_ends_half_way_has_changed_nothing(
    post: Post, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = ingest(post, tenant, {"a.csv": PLAYS})
    newer, _ = ingest(post, tenant, {"a.csv": PLAYS})
    asked = erase(post, tenant, first, "alice")

    def fail() -> None:
        raise Unavailable("The storage is away.")

    once(monkeypatch, erasing, "without", fail)
    assert run(post, asked).state == jobs.QUEUED

    assert all(users(post, row, tmp_path) == ["alice", "bob", "carol"] for row in (first, newer))
    hurry(post, asked)
    assert run(post, asked).result["events"] == 4


def test_a_sweep_takes_nothing_from_an_erasure_under_way(
    post: Post, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, ingested = ingest(post, tenant, {"a.csv": PLAYS})
    asked = erase(post, tenant, row, "alice")
    once(
        monkeypatch, erasing, "without",
        lambda: leftovers.delete(post.database, post.storage, tenant, ingested.id),
    )  # fmt: skip

    assert run(post, asked).state == jobs.SUCCEEDED

    assert users(post, row, tmp_path) == ["bob", "carol"]


def test_a_sweep_takes_what_a_lost_erasure_has_left(post: Post, tenant: str) -> None:
    row, _ = ingest(post, tenant, {"a.csv": PLAYS})
    asked = erase(post, tenant, row, "alice")
    left = f"t/{tenant}/datasets/{row.id}/parts/{asked}-9/events.parquet"
    post.storage.put(left, [b"alice"])
    leftovers.delete(post.database, post.storage, tenant, asked)
    assert post.storage.exists(left)

    working.cancel(post, tenant, asked)
    leftovers.delete(post.database, post.storage, tenant, asked)

    assert not post.storage.exists(left)
    assert all(post.storage.exists(part["key"]) for part in row.parts)
