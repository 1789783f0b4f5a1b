"""A search from its claim to its winner: trials that fail, are given up, killed, told to end; on both databases."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from shared import jobs, recovery, studies, tuning
from shared.database import now
from shared.jobs import PARKED
from shared.kinds import KINDS
from shared.tables import attempts, outputs
from shared.tables import jobs as job_table
from tests import factories
from tests.worker import working
from worker import kinds, notebook, runner, sweep
from worker.runner import Post

Json = dict[str, Any]

SPACE = {
    "hidden": {"type": "layers", "count": {"type": "int", "low": 1, "high": 2}, "alike": True,
               "each": {"units": {"type": "choice", "values": [4, 8]}}},
    "learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
}  # fmt: skip
SEARCH: Json = {"train": {"epochs": 9}, "space": SPACE, "trials": 3, "halving": None, "min_gain_per_hour": None}
ONE_NETWORK = {"epochs": 27, "hidden": [{"units": 4}], "early_stopping": False}
RATES = {"learning_rate": {"type": "float", "low": 0.0001, "high": 0.1, "log": True}}


@pytest.fixture
def dataset(post: Post, tenant: str, tmp_path: Path) -> str:
    return working.store_dataset(post, tenant, tmp_path)


def search(post: Post, tenant: str, dataset: str, *, budget: Json | None = None, **params: Any) -> str:
    asked = {**SEARCH, **params}
    return working.submit(post, tenant, dataset, action="tune", params=asked, budget=budget or {})


def do_all(post: Post) -> int:
    """Do what is due until nothing is; returns how many jobs that were."""
    done = 0
    while runner.run(post, "train", only_tenant=None) is not None:
        done += 1
        assert done < 100
    return done


def do_one(post: Post) -> None:
    assert runner.run(post, "train", only_tenant=None) is not None


def trials(post: Post, job: str) -> list[Any]:
    with post.database.reading() as sql:
        return list(studies.list_trials(sql, job))


def steer(post: Post) -> None:
    with post.database.transaction() as sql:
        recovery.cancel_left_over(sql)
        studies.steer(sql)


def test_a_search_tries_its_points_and_publishes_the_best(post: Post, tenant: str, dataset: str) -> None:
    job = search(post, tenant, dataset)

    assert do_all(post) == 1 + 3 + 1

    row, tried = working.find(post, job), trials(post, job)
    assert row.state == jobs.SUCCEEDED, row.error
    assert working.outcomes(post, job) == ["parked", "succeeded"]
    assert [trial.state for trial in tried] == ["succeeded"] * 3
    values = [trial.result["value"] for trial in tried]
    [version] = working.made(post, job)
    told = version.lineage["search"]
    assert told["winner"] == values.index(max(values))
    assert [line["value"] for line in told["trials"]] == values
    # The winner's own weights: judged again, they come to the same.
    assert version.metrics["validation"]["accuracy"]["value"] == max(values)
    assert row.result["search"]["trials_run"] == 3
    assert version.lineage["params"]["learning_rate"] == tried[told["winner"]].params["axes"]["learning_rate"]
    assert set(version.baselines["test"]) > {"majority_class"}
    # By rows that no trial has seen, nor chosen by.
    assert version.metrics["test"]["accuracy"]["interval"] is not None
    assert version.lineage["split"]["test"]["rows"] == 12
    assert all(trial.result["metrics"]["test"] for trial in tried)


def test_the_matrices_of_a_table_are_made_once_for_all_trials_of_a_search(
    post: Post, tenant: str, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, made = kinds.find("classification").data, list[str]()
    prepare = data.prepare

    def count(*given: Any) -> Any:
        made.append("")
        return prepare(*given)

    monkeypatch.setattr(data, "prepare", count)
    first = search(post, tenant, dataset)
    do_all(post)
    once = len(made)
    second = search(post, tenant, dataset)
    do_all(post)

    # Trials and winner; another search begins anew, and comes to the same.
    assert (once, len(made)) == (1, 2)
    values = [[trial.result["value"] for trial in trials(post, job)] for job in (first, second)]
    assert values[0] == values[1]


def test_trials_that_divide_the_rows_otherwise_have_matrices_of_their_own(
    post: Post, tenant: str, dataset: str
) -> None:
    space = {"seed": {"type": "int", "low": 1, "high": 1000}}
    job = search(post, tenant, dataset, space=space)
    do_all(post)

    alone = working.submit(
        post, tenant, dataset, params={"epochs": 9, "test": 0.2, "seed": trials(post, job)[2].params["axes"]["seed"]}
    )
    do_all(post)

    value = working.made(post, alone)[0].metrics["validation"]["accuracy"]["value"]
    assert trials(post, job)[2].result["value"] == value


def test_the_best_are_judged_once_more_in_folds_beside_the_training_without_the_space(
    post: Post, tenant: str, dataset: str
) -> None:
    job = search(post, tenant, dataset, finalists=2)

    # Planning, trials, coming back for the finals, these and the untuned, the winner.
    assert do_all(post) == 1 + 3 + 1 + 3 + 1

    tried = trials(post, job)
    first, finals = tried[:3], tried[3:]
    ranked = sorted(first, key=lambda trial: (-trial.result["value"], trial.params["number"]))
    assert [trial.params["axes"] for trial in finals] == [*(trial.params["axes"] for trial in ranked[:2]), {}]
    assert all(trial.params["final"] and trial.result["value"] is not None for trial in finals)
    [version] = working.made(post, job)
    said = version.lineage["search"]
    best = max(finals, key=lambda trial: trial.result["value"])
    assert (said["winner"], said["trials_run"]) == (best.params["number"], 3)
    # It learned from all rows but those of the test, and each was answered by a network that had not.
    assert version.lineage["params"]["validation"]["folds"] == tuning.FOLDS
    assert version.metrics["validation"]["accuracy"]["value"] == pytest.approx(best.result["value"], abs=1e-6)
    assert len(version.metrics["folds"]["each"]) == tuning.FOLDS and version.metrics["test"]
    assert working.find(post, job).result["search"]["winner"] == best.params["number"]


def test_a_search_whose_budget_is_spent_has_no_finals(post: Post, tenant: str, dataset: str) -> None:
    job = search(post, tenant, dataset, finalists=2, budget={"compute_seconds": 0.01})
    do_all(post)

    assert not any(trial.params.get("final") for trial in trials(post, job))
    assert working.find(post, job).state == jobs.SUCCEEDED


def test_finals_that_come_to_nothing_leave_the_best_trial_the_winner(
    post: Post, tenant: str, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More folds than there are rows.
    monkeypatch.setattr(tuning, "FOLDS", 100)
    job = search(post, tenant, dataset, finalists=1)
    do_all(post)

    tried = trials(post, job)
    assert {trial.error["code"] for trial in tried[3:]} == {"too_few_rows"}
    values = [trial.result["value"] for trial in tried[:3]]
    assert working.made(post, job)[0].lineage["search"]["winner"] == values.index(max(values))


def test_a_search_that_was_lost_before_its_finals_makes_none_twice(post: Post, tenant: str, dataset: str) -> None:
    job = search(post, tenant, dataset, finalists=1)
    for _ in range(4):
        do_one(post)
    with post.database.transaction() as sql:
        claim = factories.claim(sql)
        assert claim.job_id == job
        points = [trials(post, job)[0].params["axes"], {}]
        assert studies.submit_finals(sql, claim, points, expected_s=1.0) == 2
        assert studies.submit_finals(sql, claim, points, expected_s=1.0) == 0
        recovery.lose(sql, claim.worker)
    do_all(post)

    assert [bool(trial.params.get("final")) for trial in trials(post, job)] == [False] * 3 + [True] * 2
    assert working.find(post, job).state == jobs.SUCCEEDED


def test_a_search_that_is_told_to_keep_its_best_among_its_finals_publishes_it(
    post: Post, tenant: str, dataset: str
) -> None:
    # Long enough that a training which may end early would.
    train = {"epochs": 1200, "early_stopping": False, "batch_size": 16}
    job = search(post, tenant, dataset, finalists=2, trials=2, train=train, winner="retrain")
    for _ in range(1 + 2 + 1 + 1):
        do_one(post)
    with post.database.transaction() as sql:
        jobs.cancel(sql, tenant, job, keep="best")
    steer(post)
    do_all(post)

    # As a training that was told to: cancelled, and with a version.
    assert working.find(post, job).state == jobs.CANCELLED
    [version] = working.made(post, job)
    assert version.lineage["search"]["winner"] == 2
    assert len(version.metrics["folds"]["each"]) == tuning.FOLDS


def test_a_final_that_is_tried_again_is_left_what_the_others_have_not_used(
    post: Post, tenant: str, dataset: str
) -> None:
    job = search(post, tenant, dataset, finalists=1, budget={"compute_seconds": 1000.0})
    for _ in range(1 + 3 + 1):
        do_one(post)
    final = trials(post, job)[3]
    used = {"compute_s": 400.0, "cpu_s": 1.0, "energy_wh": 1.0}
    with post.database.transaction() as sql:
        sql.execute(update(job_table).where(job_table.c.id == final.id).values(cost=used))
    do_one(post)

    ended = trials(post, job)[3]
    assert ended.state == jobs.SUCCEEDED, ended.error
    assert 900 < ended.budget["compute_seconds"] < 1000


def test_a_space_that_says_how_to_validate_has_no_finals(post: Post, tenant: str, dataset: str) -> None:
    space = {"validation_split": {"type": "choice", "values": [0.2, 0.3]}}
    job = search(post, tenant, dataset, finalists=2, space=space)
    do_all(post)

    assert len(trials(post, job)) == 3 and working.find(post, job).state == jobs.SUCCEEDED


def test_a_point_that_was_drawn_twice_is_one_final(post: Post, tenant: str, dataset: str) -> None:
    job = search(post, tenant, dataset, finalists=3, space={"batch_size": {"type": "choice", "values": [16]}})
    do_all(post)

    assert [trial.params["axes"] for trial in trials(post, job)[3:]] == [{"batch_size": 16}, {}]


def test_what_is_not_said_of_a_trial_is_not_written(post: Post, tenant: str, dataset: str) -> None:
    job = search(post, tenant, dataset)
    for _ in range(2):
        do_one(post)

    # An older release knows no finals, and refuses what it does not know.
    assert trials(post, job)[0].params.keys() <= {"number", "axes", "rungs"}


def test_a_search_without_the_untuned_beaten_keeps_the_untuned(post: Post, tenant: str, dataset: str) -> None:
    # Nothing is learned at such a pace, and the training without the space has a better one.
    slow = {"learning_rate": {"type": "float", "low": 1e-7, "high": 2e-7}}
    job = search(post, tenant, dataset, finalists=1, space=slow, train={"epochs": 30, "learning_rate": 0.02})
    do_all(post)

    said = working.made(post, job)[0].lineage["search"]
    assert next(each for each in said["trials"] if each["number"] == said["winner"])["axes"] == {}


def test_a_winner_that_is_trained_again_learns_from_the_validation_rows_as_well(
    post: Post, tenant: str, dataset: str
) -> None:
    train = {"epochs": 9, "validation": {"fraction": 0.25}}
    job = search(post, tenant, dataset, winner="retrain", train=train)
    do_all(post)

    version = working.made(post, job)[0]
    search_said, split = version.lineage["search"], version.lineage["split"]
    best = next(each for each in search_said["trials"] if each["number"] == search_said["winner"])
    assert split["train"] + split["test"]["rows"] == 60 and "validation" not in version.metrics
    assert version.lineage["params"]["validation_split"] == 0.0
    assert version.lineage["params"]["epochs"] <= best["epochs"]
    assert 0 <= version.metrics["test"]["accuracy"]["value"] <= 1
    # What is written down can be trained again.
    assert KINDS["classification"].ACTIONS["train"].model_validate(version.lineage["params"]).validation_split == 0.0


def test_a_search_whose_budget_is_spent_takes_the_winner_as_its_trial_has_left_it(
    post: Post, tenant: str, dataset: str
) -> None:
    train = {"epochs": 9, "validation": {"fraction": 0.25}}
    job = search(post, tenant, dataset, winner="retrain", train=train, budget={"compute_seconds": 0.001})
    do_all(post)

    assert working.find(post, job).state == jobs.SUCCEEDED
    version, tried = working.made(post, job)[0], trials(post, job)
    best = tried[version.lineage["search"]["winner"]]
    assert version.metrics["validation"]["accuracy"]["value"] == pytest.approx(best.result["value"], abs=1e-6)


def test_a_winner_without_a_test_is_trained_again_as_its_trial_was(post: Post, tenant: str, dataset: str) -> None:
    job = search(post, tenant, dataset, winner="retrain", train={"epochs": 9, "test": None})
    do_all(post)

    version, tried = working.made(post, job)[0], trials(post, job)
    best = tried[version.lineage["search"]["winner"]]
    assert version.metrics["validation"]["accuracy"]["value"] == pytest.approx(best.result["value"], abs=1e-6)


def test_a_search_is_held_by_nobody_while_its_trials_wait(post: Post, tenant: str, dataset: str) -> None:
    job = search(post, tenant, dataset)
    do_one(post)

    row = working.find(post, job)

    assert (row.state, row.stage, row.lease_owner) == (jobs.RUNNING, "searching", PARKED)
    assert row.progress["unit"] == "trials"
    do_one(post)
    progress = working.find(post, job).progress
    assert (progress["done"], progress["total"]) == (1, 3)
    assert progress["metrics"]["best"] == trials(post, job)[0].result["value"]


def test_the_same_search_again_draws_the_same_points(post: Post, tenant: str, dataset: str) -> None:
    first, second = (search(post, tenant, dataset, sampler="random") for _ in range(2))
    do_all(post)

    drawn = [[trial.params["axes"] for trial in trials(post, job)] for job in (first, second)]

    assert drawn[0] == drawn[1]
    assert len({str(axes) for axes in drawn[0]}) == 3


def test_poor_trials_are_given_up_at_a_rung(post: Post, tenant: str, dataset: str) -> None:
    halving = {"factor": 3, "least_epochs": 1}
    job = search(post, tenant, dataset, train=ONE_NETWORK, space=RATES, trials=9, halving=halving, sampler="random")

    do_all(post)

    ended = [trial.result for trial in trials(post, job)]
    given_up = [result for result in ended if result["stopped_by"] == "halving"]
    assert 0 < len(given_up) < 9
    assert all(result["value"] is None and result["epochs"] in (1, 3, 9) for result in given_up)
    assert {result["epochs"] for result in ended if result["stopped_by"] != "halving"} == {27}
    [version] = working.made(post, job)
    assert ended[version.lineage["search"]["winner"]]["epochs"] == 27


def test_a_trial_that_diverges_is_recorded_and_the_search_goes_on(post: Post, tenant: str, dataset: str) -> None:
    space = {"learning_rate": {"type": "choice", "values": [0.01, 10.0]}}
    train = {"epochs": 20, "optimizer": "sgd", "hidden": [{"units": 8, "activation": "exponential"}]}
    job = search(post, tenant, dataset, train=train, space=space, trials=6, sampler="random")

    do_all(post)

    codes = [(trial.error or {}).get("code") for trial in trials(post, job)]
    assert set(codes) == {None, "training_diverged"}
    told = working.made(post, job)[0].lineage["search"]["trials"]
    assert [line["error"] for line in told] == codes


def test_when_no_trial_comes_to_a_value_the_search_fails_with_the_reason(post: Post, tenant: str, dataset: str) -> None:
    train = {"epochs": 20, "optimizer": "sgd", "hidden": [{"units": 8, "activation": "exponential"}]}
    space = {"learning_rate": {"type": "choice", "values": [10.0]}}
    job = search(post, tenant, dataset, train=train, space=space, trials=2)

    do_all(post)

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, "no_trial_succeeded")
    assert "no longer a finite number" in row.error["detail"]
    assert working.made(post, job) == []


def test_a_point_that_is_too_large_is_recorded_and_not_tried(post: Post, tenant: str, dataset: str) -> None:
    small = replace(post, settings=replace(post.settings, training_memory_bytes=1024**2))
    space = {"hidden": {"type": "choice", "values": [[{"units": 4}], [{"units": 1_000_000}]]}}
    job = search(post, tenant, dataset, space=space, trials=6, sampler="random")

    do_all(small)

    ended = trials(post, job)
    assert {(trial.error or {}).get("code") for trial in ended} == {None, "point_invalid"}
    assert working.find(post, job).state == jobs.SUCCEEDED


def test_a_worker_that_dies_in_a_trial_costs_neither_the_trial_nor_the_search(
    post: Post, tenant: str, dataset: str
) -> None:
    job = search(post, tenant, dataset)
    do_one(post)
    with post.database.transaction() as sql:
        lost = runner.claims.claim_next(sql, "train", worker="dead", skills=runner.skills(), lease_s=60)
        assert lost is not None and lost.parent == job
        recovery.lose(sql, "dead")

    do_all(post)

    assert [trial.state for trial in trials(post, job)] == ["succeeded"] * 3
    assert working.outcomes(post, lost.job_id) == ["lost", "succeeded"]
    assert working.find(post, job).state == jobs.SUCCEEDED


def test_a_search_that_was_lost_while_it_planned_makes_no_trial_twice(post: Post, tenant: str, dataset: str) -> None:
    job = search(post, tenant, dataset)
    do_one(post)
    with post.database.transaction() as sql:
        # As a restored backup has it.
        sql.execute(update(job_table).where(job_table.c.id == job).values(lease_until=now() - 1))
        recovery.reap(sql)

    do_all(post)

    assert len(trials(post, job)) == 3
    assert working.find(post, job).state == jobs.SUCCEEDED


def test_a_trial_that_kills_its_worker_again_and_again_does_not_end_the_search(
    post: Post, tenant: str, dataset: str
) -> None:
    job = search(post, tenant, dataset)
    do_one(post)
    with post.database.transaction() as sql:
        victim = studies.list_trials(sql, job)[0].id
        sql.execute(update(job_table).where(job_table.c.id == victim).values(priority=1))
    for _ in range(3):
        with post.database.transaction() as sql:
            lost = runner.claims.claim_next(sql, "train", worker="dead", skills=runner.skills(), lease_s=60)
            assert lost is not None and lost.job_id == victim
            recovery.lose(sql, "dead", cause=recovery.OUT_OF_MEMORY)

    do_all(post)

    assert [trial.state for trial in trials(post, job)] == ["failed", "succeeded", "succeeded"]
    assert trials(post, job)[0].error["code"] == "oom"
    assert working.find(post, job).state == jobs.SUCCEEDED


def test_a_budget_ends_the_search_and_says_so(post: Post, tenant: str, dataset: str) -> None:
    job = search(post, tenant, dataset, budget={"compute_seconds": 0.001}, trials=5)

    do_all(post)

    row, ended = working.find(post, job), trials(post, job)
    assert row.state == jobs.SUCCEEDED, row.error
    assert [trial.state for trial in ended] == ["succeeded"] + ["cancelled"] * 4
    assert row.result["search"]["stopped"]["reason"] == "budget"


def test_a_search_that_expects_no_gain_stops_and_says_so(post: Post, tenant: str, dataset: str) -> None:
    job = search(
        post, tenant, dataset, train=ONE_NETWORK, space=RATES, trials=40, sampler="random", min_gain_per_hour=1e6
    )

    do_all(post)

    row = working.find(post, job)
    stopped = row.result["search"]["stopped"]
    assert stopped["reason"] == "no_gain_expected"
    assert "A further hour" in stopped["detail"] and "accuracy" in stopped["detail"]
    assert row.result["search"]["trials_run"] == 10


def test_a_cancelled_search_takes_its_trials_along(post: Post, tenant: str, dataset: str) -> None:
    job = search(post, tenant, dataset)
    do_one(post)
    do_one(post)

    working.cancel(post, tenant, job)
    steer(post)
    steer(post)

    assert do_all(post) == 0
    assert working.find(post, job).state == jobs.CANCELLED
    assert [trial.state for trial in trials(post, job)] == ["succeeded", "cancelled", "cancelled"]
    assert working.made(post, job) == []


def test_a_search_that_is_told_to_keep_its_best_publishes_it(post: Post, tenant: str, dataset: str) -> None:
    job = search(post, tenant, dataset)
    do_one(post)
    do_one(post)

    working.cancel(post, tenant, job, keep="best")
    steer(post)
    steer(post)
    do_all(post)

    row = working.find(post, job)
    assert row.state == jobs.CANCELLED
    assert row.result["version"] == 1
    [version] = working.made(post, job)
    assert version.lineage["search"]["winner"] == 0
    assert [trial.state for trial in trials(post, job)][1:] == ["cancelled", "cancelled"]


def test_a_search_whose_deadline_passes_fails_and_takes_its_trials_along(post: Post, tenant: str, dataset: str) -> None:
    job = search(post, tenant, dataset)
    do_one(post)
    with post.database.transaction() as sql:
        sql.execute(update(job_table).where(job_table.c.id == job).values(deadline_at=now() - 1))

    steer(post)
    with post.database.transaction() as sql:
        recovery.expire(sql)
    steer(post)

    assert (working.find(post, job).state, working.find(post, job).error["code"]) == (jobs.FAILED, "deadline_passed")
    assert {trial.state for trial in trials(post, job)} == {jobs.CANCELLED}


def test_a_parked_search_does_not_count_as_running(post: Post, tenant: str, dataset: str) -> None:
    only_one = replace(post, settings=replace(post.settings, tenant_running=1))
    job = search(post, tenant, dataset)

    do_all(only_one)

    assert working.find(post, job).state == jobs.SUCCEEDED


def test_a_jobs_own_training_goes_before_the_trials_of_a_search(post: Post, tenant: str, dataset: str) -> None:
    search(post, tenant, dataset)
    do_one(post)
    training = working.submit(post, tenant, dataset)

    do_one(post)

    assert working.find(post, training).state == jobs.SUCCEEDED


def test_what_trials_leave_behind_is_swept_once_the_search_has_ended(post: Post, tenant: str, dataset: str) -> None:
    job = search(post, tenant, dataset)
    do_all(post)
    [version] = working.made(post, job)
    ids = [trial.id for trial in trials(post, job)]
    with post.database.transaction() as sql:
        sql.execute(update(attempts).values(ended_at=now() - 3600))
        assert sql.execute(select(func.count()).where(outputs.c.job.in_(ids))).scalar_one() > 0

    sweep.run(post.database, post.storage)

    with post.database.reading() as sql:
        assert sql.execute(select(func.count()).where(outputs.c.job.in_(ids))).scalar_one() == 0
    assert not [key for trial in ids for key in post.storage.keys(f"{tenant}/jobs/{trial}/")]
    assert all(post.storage.get(file["key"]) for file in version.files)


def test_the_studies_stand_in_a_database_of_their_own(post: Post, tenant: str, dataset: str) -> None:
    job = search(post, tenant, dataset)
    do_all(post)

    storage = notebook._storages[post.database.url]
    study = notebook.optuna.load_study(study_name=job, storage=storage)

    assert [trial.user_attrs["trial"] for trial in study.get_trials()] == [0, 1, 2]
    assert study.best_value == max(trial.result["value"] for trial in trials(post, job))
    if post.database.is_sqlite:
        assert (post.settings.home / "studies.db").exists()
    with post.database.reading() as sql:
        # Ours is untouched by theirs.
        heads = sql.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
    assert len(heads) == 1 and heads[0].isdigit()


def test_a_notebook_that_is_away_costs_a_search_nothing(
    post: Post, tenant: str, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (post.settings.home / notebook.FILE).mkdir()
    monkeypatch.setattr(notebook, "SCHEMA", "pg_not_allowed")
    job = search(post, tenant, dataset, trials=1)

    do_all(post)

    assert working.find(post, job).state == jobs.SUCCEEDED


def test_a_regression_is_searched_for_by_what_is_lower(post: Post, tenant: str, tmp_path: Path) -> None:
    rows = [(float(place), float(place % 7)) for place in range(60)]
    columns = {"x": [row[0] for row in rows], "z": [row[1] for row in rows], "y": [2 * row[0] + row[1] for row in rows]}
    folder = tmp_path / "numbers"
    folder.mkdir()
    dataset = working.store_table(post, tenant, folder, columns, target=["y"])
    with post.database.transaction() as sql:
        job = factories.make_job(
            sql, tenant, datasets=[dataset], action="tune", kind="regression", params={**SEARCH, "metric": "mae"}
        )

    do_all(post)

    values = [trial.result["value"] for trial in trials(post, job)]
    assert working.made(post, job)[0].lineage["search"]["winner"] == values.index(min(values))
