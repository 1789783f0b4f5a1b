"""What ends a job whose budget is spent, and what it keeps."""

from pathlib import Path

import pytest
from sqlalchemy import update

from shared import jobs
from shared.tables import jobs as job_table
from tests.worker import working
from tests.worker.working import ENDLESS, SHORT
from worker import runner
from worker.runner import Post


@pytest.fixture
def dataset(post: Post, tenant: str, tmp_path: Path) -> str:
    return working.store_dataset(post, tenant, tmp_path)


def test_a_budget_of_energy_ends_a_training_with_its_best_epoch(post: Post, tenant: str, dataset: str) -> None:
    working.submit(post, tenant, dataset)
    # What TensorFlow takes to load is paid for by whose job it is loaded for.
    runner.run(post, "train", only_tenant=None)
    params = {**ENDLESS, "validation_split": 0.2}
    job = working.submit(post, tenant, dataset, model="other", params=params, budget={"energy_wh": 0.005})

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.result["stopped_by"]) == (jobs.SUCCEEDED, "budget")
    assert 1 <= row.result["best_epoch"] <= row.result["epochs"] < 100_000
    assert len(working.made(post, job)) == 1
    assert row.cost["energy_wh"] >= 0.005 and row.cost["cpu_s"] > 0 and row.cost["money"] is None


def test_a_budget_that_earlier_attempts_have_spent_fails_before_the_first_epoch(
    post: Post, tenant: str, dataset: str
) -> None:
    job = working.submit(post, tenant, dataset, params=SHORT, budget={"compute_seconds": 5.0})
    spent = {"compute_s": 6.0, "helped_s": 0.0, "cpu_s": 4.0, "energy_wh": 1.0, "peak_memory_bytes": 7}
    with post.database.transaction() as sql:
        sql.execute(update(job_table).where(job_table.c.id == job).values(cost=spent))

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, "budget_spent")
    assert "grant more" in row.error["detail"]
    assert row.cost["compute_s"] > 6.0 and row.cost["cpu_s"] > 4.0 and row.cost["energy_wh"] > 1.0
    assert working.made(post, job) == []


def test_a_scoring_that_spends_its_budget_ends_with_what_it_has_and_is_gone_on_from(
    post: Post, tenant: str, dataset: str
) -> None:
    training = working.submit(post, tenant, dataset, params=SHORT)
    runner.run(post, "train", only_tenant=None)
    version = working.made(post, training)[0].id
    asked = {"action": "score", "version": version, "model": "songs"}
    poor = working.submit(post, tenant, dataset, params={}, budget={"compute_seconds": 1e-6}, **asked)
    rich = working.submit(post, tenant, dataset, params={"resume_of": poor}, **asked)

    for _ in range(2):
        runner.run(post, "train", only_tenant=None)

    ended, resumed = working.find(post, poor), working.find(post, rich)
    assert (ended.state, ended.result["stopped_by"], ended.result["rows"]) == (jobs.CANCELLED, "budget", 0)
    assert ended.result["rows_total"] == 60
    assert (resumed.state, resumed.result["rows"]) == (jobs.SUCCEEDED, 60)


@pytest.mark.parametrize("action", ["evaluate", "export", "reproduce"])
def test_what_is_whole_or_nothing_fails_with_its_budget_and_says_so(
    post: Post, tenant: str, dataset: str, action: str
) -> None:
    training = working.submit(post, tenant, dataset, params=SHORT)
    runner.run(post, "train", only_tenant=None)
    version = working.made(post, training)[0].id
    asked = {"action": action, "version": version, "model": "songs", "params": {}}
    poor = working.submit(post, tenant, dataset, budget={"compute_seconds": 1e-6}, **asked)
    rich = working.submit(post, tenant, dataset, budget={"compute_seconds": 1e6}, **asked)

    for _ in range(2):
        runner.run(post, "train", only_tenant=None)

    ended = working.find(post, poor)
    assert (ended.state, ended.error["code"]) == (jobs.FAILED, "budget_spent")
    assert "grant more" in ended.error["detail"] and ended.cost["compute_s"] > 0
    assert working.find(post, rich).state == jobs.SUCCEEDED


def test_an_audit_fails_with_its_budget(post: Post, tenant: str, dataset: str) -> None:
    job = working.submit(post, tenant, dataset, action="audit", params={}, budget={"compute_seconds": 1e-6})

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, "budget_spent")
