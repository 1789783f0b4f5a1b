"""The sweeper: what no row names goes, what is published stays."""

from pathlib import Path

import pytest
from sqlalchemy import update

from shared import claims, features, pseudonyms, recovery
from shared import storage as places
from shared.errors import JobFailed
from shared.features import Feature
from shared.tables import attempts, jobs
from tests.worker import working
from tests.worker.interactions import uploading
from worker import runner, sweep
from worker.runner import Post


def age(post: Post) -> None:
    """Let every attempt have ended long ago."""
    with post.database.transaction() as sql:
        sql.execute(update(attempts).values(ended_at=attempts.c.ended_at - 2 * sweep.QUIET_S))


def test_a_lost_attempts_files_go_and_a_published_models_stay(post: Post, tenant: str, tmp_path: Path) -> None:
    dataset = working.store_dataset(post, tenant, tmp_path)
    job = working.submit(post, tenant, dataset)
    with post.database.transaction() as sql:
        lost = working.factories.claim(sql, worker=post.worker)
        recovery.lose(sql, post.worker)
    orphan = f"{places.attempt_folder(tenant, job, lost.fence)}files/weights.safetensors"
    post.storage.put(orphan, [b"half a model"])
    runner.run(post, "train", only_tenant=None)
    age(post)

    sweep.run(post.database, post.storage)

    assert not post.storage.exists(orphan)
    for file in working.made(post, job)[0].files:
        assert post.storage.get(file["key"])


def test_what_has_just_ended_is_left_alone(post: Post, tenant: str, tmp_path: Path) -> None:
    dataset = working.store_dataset(post, tenant, tmp_path)
    job = working.submit(post, tenant, dataset, params={**working.SHORT, "epochs": 0})
    runner.run(post, "train", only_tenant=None)
    kept = f"{places.attempt_folder(tenant, job, 1)}files/note"
    post.storage.put(kept, [b"still being closed"])

    sweep.run(post.database, post.storage)

    assert post.storage.exists(kept)


def test_the_checkpoints_of_a_finished_training_go(post: Post, tenant: str, tmp_path: Path) -> None:
    dataset = working.store_dataset(post, tenant, tmp_path)
    job = working.submit(post, tenant, dataset)
    runner.run(post, "train", only_tenant=None)
    checkpoint = f"{places.attempt_folder(tenant, job, 1)}checkpoints/000001.safetensors"
    post.storage.put(checkpoint, [b"of no use any more"])
    age(post)

    sweep.run(post.database, post.storage)
    sweep.run(post.database, post.storage)

    assert not post.storage.exists(checkpoint)
    assert post.storage.get(working.made(post, job)[0].files[0]["key"])


def test_a_failed_job_keeps_its_checkpoints_for_a_day(post: Post, tenant: str) -> None:
    job = working.submit(post, tenant, "ds_nobody")
    with post.database.transaction() as sql:
        taken = working.factories.claim(sql, worker=post.worker)
        claims.fail(sql, taken, JobFailed("no"), cost={})
    checkpoint = f"{places.attempt_folder(tenant, job, taken.fence)}checkpoints/000001.safetensors"
    post.storage.put(checkpoint, [b"to go on from"])
    age(post)

    sweep.run(post.database, post.storage)
    assert post.storage.exists(checkpoint)
    with post.database.transaction() as sql:
        sql.execute(update(jobs).values(ended_at=jobs.c.ended_at - sweep.RETRY_S - 1))
    sweep.run(post.database, post.storage)

    assert not post.storage.exists(checkpoint)


@pytest.mark.parametrize("is_published", [True, False])
def test_what_was_computed_of_a_recording_stays_however_the_attempt_ended(
    post: Post, tenant: str, tmp_path: Path, is_published: bool
) -> None:
    dataset = working.store_dataset(post, tenant, tmp_path)
    job = working.submit(post, tenant, dataset, params=working.SHORT if is_published else {"epochs": 0})
    runner.run(post, "train", only_tenant=None)
    folder = places.attempt_folder(tenant, job, 1)
    kept, orphan = f"{folder}features/kept", f"{folder}features/orphan"
    for key in (kept, orphan, f"{folder}checkpoints/1/x"):
        post.storage.put(key, [b"numbers"])
    with post.database.transaction() as sql:
        file = {"key": kept, "size_bytes": 7, "sha256": "0" * 64}
        features.keep(sql, tenant, [Feature("1" * 64, "x@1", None, file)])
    with post.database.transaction() as sql:
        sql.execute(update(jobs).values(ended_at=jobs.c.ended_at - 2 * sweep.RETRY_S))
    age(post)

    sweep.run(post.database, post.storage)

    assert post.storage.exists(kept)
    assert not post.storage.exists(f"{folder}checkpoints/1/x")
    assert not post.storage.exists(orphan)


def holding(post: Post, tenant: str, content: bytes) -> list[str]:
    """The stored files of a tenant in which these bytes stand."""
    return [key for key in post.storage.keys(f"t/{tenant}/") if content in post.storage.get(key)]


def test_of_an_erased_listener_no_byte_is_left(post: Post, tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if the worker had died right after the end of the ingest.
    monkeypatch.setattr(runner, "_let_go_of_uploads", lambda desk: None)
    uploaded = b"user,item,time\nalice,x,1\nbob,x,2\nbob,y,3\n"
    row, _ = uploading.ingest(post, tenant, {"plays.csv": uploaded})
    before = {part["key"] for part in row.parts}
    assert holding(post, tenant, b"alice")
    uploading.erase(post, tenant, row, "alice")
    runner.run(post, "light", only_tenant=None)
    age(post)

    sweep.run(post.database, post.storage)

    after = uploading.find(post, tenant, row.id)
    named = {part["key"] for part in after.parts}
    assert not named & before
    assert set(post.storage.keys(places.dataset_folder(tenant, row.id))) == named
    alice, bob = (pseudonyms.of(post.settings.pepper, tenant, row.name, user).encode() for user in ("alice", "bob"))
    assert not holding(post, tenant, b"alice") and not holding(post, tenant, alice)
    assert holding(post, tenant, bob)
