"""A job from its claim to its end, by everything that can end it; on both databases."""

from pathlib import Path

import pytest
from sqlalchemy import select, update

from shared import datasets, jobs, recovery, workers
from shared.tables import epochs
from shared.tables import jobs as job_table
from tests import factories
from tests.worker import working
from tests.worker.working import ENDLESS, SHORT, Working
from worker import runner
from worker.runner import Post


@pytest.fixture
def dataset(post: Post, tenant: str, tmp_path: Path) -> str:
    return working.store_dataset(post, tenant, tmp_path)


def test_a_training_leaves_one_version_its_metrics_and_its_epochs(post: Post, tenant: str, dataset: str) -> None:
    job = working.submit(post, tenant, dataset)

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert row.state == jobs.SUCCEEDED
    assert row.result["reference"] == "songs@1"
    assert [version.number for version in working.made(post, job)] == [1]
    assert working.stages(post, job) == ["starting", "loading", "preparing", "training", "evaluating", "storing"]
    with post.database.reading() as sql:
        assert sql.execute(select(epochs.c.epoch).where(epochs.c.job == job)).scalars().all() == [1, 2, 3]


def test_an_empty_queue_is_left_alone(post: Post) -> None:
    assert runner.run(post, "train", only_tenant=None) is None


def test_a_cancelled_training_stops_and_publishes_nothing(post: Post, tenant: str, dataset: str) -> None:
    job = working.submit(post, tenant, dataset, params=ENDLESS)
    under_way = Working(post)
    working.wait_for_epochs(post, job)

    working.cancel(post, tenant, job)
    under_way.join()

    assert working.find(post, job).state == jobs.CANCELLED
    assert working.outcomes(post, job) == ["cancelled"]
    assert working.made(post, job) == []


def test_cancel_keeping_the_best_makes_a_version_of_it(post: Post, tenant: str, dataset: str) -> None:
    job = working.submit(post, tenant, dataset, params=ENDLESS)
    under_way = Working(post)
    working.wait_for_epochs(post, job)

    working.cancel(post, tenant, job, keep="best")
    under_way.join()

    row = working.find(post, job)
    assert row.state == jobs.CANCELLED
    assert row.result["reference"] == "songs@1"
    assert len(working.made(post, job)) == 1


def test_a_deadline_ends_a_running_training(post: Post, tenant: str, dataset: str) -> None:
    job = working.submit(post, tenant, dataset, params=ENDLESS, deadline_s=2.0)

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, "deadline_passed")
    assert "allow more time" in row.error["detail"]


def test_a_budget_ends_a_training_with_what_it_has(post: Post, tenant: str, dataset: str) -> None:
    job = working.submit(post, tenant, dataset, params=ENDLESS, budget={"compute_seconds": 1.0})

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert row.state == jobs.SUCCEEDED
    assert row.result["stopped_by"] == "budget"
    assert row.result["epochs"] < ENDLESS["epochs"]
    assert len(working.made(post, job)) == 1


def test_a_leaving_worker_hands_its_training_on_from_a_checkpoint(post: Post, tenant: str, dataset: str) -> None:
    job = working.submit(post, tenant, dataset, params={**ENDLESS, "epochs": 3000, "batch_size": 4})
    under_way = Working(post)
    working.wait_for_epochs(post, job)

    with post.database.transaction() as sql:
        workers.drain(sql, post.worker)
    under_way.join()
    handed_on = working.find(post, job)
    assert runner.run(post, "train", only_tenant=None) is None, "a leaving worker claims nothing"
    successor = working.make_post(post.settings, post.database, post.storage, worker="worker-2")
    runner.run(successor, "train", only_tenant=None)

    assert handed_on.state == jobs.QUEUED
    assert handed_on.checkpoint["at"]["epoch"] > 0
    assert handed_on.losses == 0
    row = working.find(post, job)
    assert (row.state, row.result["epochs"]) == (jobs.SUCCEEDED, 3000)
    assert working.outcomes(post, job) == ["drained", "succeeded"]
    with post.database.reading() as sql:
        kept = sql.execute(select(epochs.c.epoch).where(epochs.c.job == job).order_by(epochs.c.epoch)).scalars().all()
    assert kept == list(range(1, 3001))


def test_a_dataset_erased_under_a_training_takes_its_model_with_it(post: Post, tenant: str, dataset: str) -> None:
    job = working.submit(post, tenant, dataset, params=ENDLESS, budget={"compute_seconds": 3.0})
    under_way = Working(post)
    working.wait_for_epochs(post, job)

    with post.database.transaction() as sql:
        datasets.erase(sql, tenant, dataset)
    under_way.join()

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, "dataset_erased")
    assert working.made(post, job) == []


def test_an_attempt_that_lost_its_claim_finishes_nothing(post: Post, tenant: str, dataset: str) -> None:
    job = working.submit(post, tenant, dataset, params=ENDLESS)
    under_way = Working(post)
    working.wait_for_epochs(post, job)

    with post.database.of(tenant).transaction() as sql:
        recovery.lose(sql, post.worker)
        sql.execute(update(job_table).where(job_table.c.id == job).values(params=SHORT, checkpoint=None))
    under_way.join()
    runner.run(post, "train", only_tenant=None)

    assert working.outcomes(post, job) == ["lost", "succeeded"]
    assert len(working.made(post, job)) == 1
    with post.database.reading() as sql:
        assert sql.execute(select(epochs.c.epoch).where(epochs.c.job == job)).scalars().all() == [1, 2, 3]


def test_divergence_is_told_with_its_step_and_what_to_do(post: Post, tenant: str, dataset: str) -> None:
    wild = {**SHORT, "optimizer": "sgd", "learning_rate": 10.0, "hidden": [{"units": 8}], "epochs": 50}
    job = working.submit(post, tenant, dataset, kind="regression", params={**wild, "preprocess": "none"})
    with post.database.of(tenant).transaction() as sql:
        profile = {**_profile(post, dataset), "roles": {**_profile(post, dataset)["roles"], "target": ["loudness"]}}
        profile["roles"]["drop"] = ["genre", "key", "energy"]
        sql.execute(factories.datasets.update().where(factories.datasets.c.id == dataset).values(profile=profile))

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, "training_diverged"), row.error
    assert "step" in row.error["detail"]
    assert "learning_rate" in row.error["detail"]


def test_a_stored_file_that_was_changed_fails_the_job(post: Post, tenant: str, dataset: str) -> None:
    job = working.submit(post, tenant, dataset)
    with post.database.reading() as sql:
        part = datasets.find(sql, tenant, dataset).parts[0]
    post.storage.put(part["key"], [b"something else"])

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, "integrity")


@pytest.mark.parametrize("what", ["flipped", "cut", "another's", "no key"])
def test_a_stored_file_that_was_tampered_with_fails_the_job_and_nothing_of_it_is_used(
    post: Post, tenant: str, dataset: str, other: str, tmp_path: Path, what: str
) -> None:
    job = working.submit(post, tenant, dataset)
    with post.database.reading() as sql:
        key = datasets.find(sql, tenant, dataset).parts[0]["key"]
    path = Path(post.settings.storage_url.removeprefix("file://")) / key
    sealed = path.read_bytes()
    theirs = f"t/{other}/datasets/ds_1/parts/1/a"
    post.storage.put(theirs, [post.storage.get(key)])
    changed = {
        "flipped": sealed[:-1] + bytes([sealed[-1] ^ 1]), "cut": sealed[:-1], "no key": post.storage.get(key),
        "another's": (path.parents[6] / theirs).read_bytes(),
    }  # fmt: skip
    path.write_bytes(changed[what])

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, "integrity"), row.error
    assert working.made(post, job) == []


def test_what_nobody_foresaw_fails_the_job_without_its_insides(post: Post, tenant: str, dataset: str) -> None:
    # A row that no door would let in.
    job = working.submit(post, tenant, dataset, params={"epochs": "many"})
    next_one = working.submit(post, tenant, dataset)

    runner.run(post, "train", only_tenant=None)
    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, "internal")
    assert "Traceback" not in str(row.error)
    assert "many" not in str(row.error)
    assert working.find(post, next_one).state == jobs.SUCCEEDED


def _profile(post: Post, dataset: str) -> working.Json:
    with post.database.reading() as sql:
        found: working.Json = sql.execute(
            select(factories.datasets.c.profile).where(factories.datasets.c.id == dataset)
        ).scalar_one()
    return found
