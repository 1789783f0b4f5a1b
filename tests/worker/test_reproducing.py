"""A version's training once more: the same bytes where nothing has changed, and what is told where something has."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save
from sqlalchemy import Row, update

from shared import jobs, models
from shared import storage as places
from shared.tables import attempts, datasets, versions
from tests.worker import canonical, plays, recommended, working
from worker import lineage, runner, sameness, sweep
from worker.runner import Post

SMALL = {"epochs": 12, "hidden": [{"units": 6, "dropout": 0.2, "batch_normalization": True}]}

Json = dict[str, Any]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is written ends a job as any other does, which is tried on both databases in test_runner."""
    return sqlite_url


@pytest.fixture
def dataset(post: Post, tenant: str, tmp_path: Path) -> str:
    return working.store_dataset(post, tenant, tmp_path)


def do_all(post: Post) -> None:
    while runner.run(post, "train", only_tenant=None) is not None:
        pass


def train(post: Post, tenant: str, dataset: str, **values: Any) -> Row[Any]:
    job = working.submit(post, tenant, dataset, **{"params": SMALL, **values})
    do_all(post)
    [version] = working.made(post, job)
    return version


def reproduce(post: Post, tenant: str, version: Row[Any]) -> Row[Any]:
    job = ask(post, tenant, version)
    do_all(post)
    return working.find(post, job)


def ask(post: Post, tenant: str, version: Row[Any]) -> str:
    found = version.lineage["dataset"]["id"]
    with post.database.reading() as sql:
        kind = models.find_by_id(sql, version.id).kind
    return working.submit(post, tenant, found, action="reproduce", version=version.id, kind=kind, params={})


def change(post: Post, version: Row[Any], **values: Any) -> None:
    with post.database.of(version.tenant).transaction() as sql:
        sql.execute(update(versions).where(versions.c.id == version.id).values(values))


def stored(post: Post, version: Row[Any], name: str = "weights.safetensors") -> Json:
    return next(file for file in version.files if file["name"] == name)


def demand_identical(row: Row[Any]) -> None:
    assert row.state == jobs.SUCCEEDED, row.error
    said = row.result
    assert said["identical"], json.dumps([said["files"], said["metrics"], said["differences"]], indent=1)
    assert any(name.endswith(".safetensors") for name in said["files"])
    assert said["metrics"]["compared"] > 10
    assert said["differences"] == []


def test_a_classification_comes_out_byte_for_byte_and_nothing_is_published(
    post: Post, tenant: str, dataset: str
) -> None:
    version = train(post, tenant, dataset)

    row = reproduce(post, tenant, version)

    demand_identical(row)
    weights = row.result["files"]["weights.safetensors"]
    assert weights["then_sha256"] == weights["now_sha256"] == stored(post, version)["sha256"]
    assert row.result["epochs"] == 12
    assert working.made(post, row.id) == []
    with post.database.transaction() as sql:
        model = models.find(sql, tenant, "songs")
        assert [each.number for each in models.list_versions(sql, model)] == [1]
        assert models.list_aliases(sql, model.id) == {}
        # The sweep waits until an attempt has ended long ago.
        sql.execute(update(attempts).values(ended_at=attempts.c.ended_at - 2 * sweep.QUIET_S))
    sweep.run(post.database, post.storage)
    assert post.storage.keys(places.attempt_folder(tenant, row.id, 1)) == []
    assert post.storage.exists(stored(post, version)["key"])


def test_a_regression_with_folds_a_test_and_groups_comes_out_the_same(post: Post, tenant: str, tmp_path: Path) -> None:
    columns = canonical.music(90)
    columns["band"] = [f"band {row // 3}" for row in range(90)]
    grouped = working.store_table(post, tenant, tmp_path, columns, target=["tempo"], group="band", id="piece")
    params = {**SMALL, "epochs": 6, "validation": {"folds": 2}, "test": 0.2}
    version = train(post, tenant, grouped, kind="regression", params=params)

    demand_identical(reproduce(post, tenant, version))


def test_the_winner_of_a_search_comes_out_the_same(post: Post, tenant: str, dataset: str) -> None:
    space = {"learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True}}
    asked = {"train": {**SMALL, "epochs": 9}, "space": space, "trials": 3, "min_gain_per_hour": None,
             "halving": {"factor": 2, "least_epochs": 3}}  # fmt: skip
    version = train(post, tenant, dataset, action="tune", params=asked)

    row = reproduce(post, tenant, version)

    assert version.lineage["search"]["trials_run"] == 3
    demand_identical(row)


def test_a_recommender_comes_out_the_same(post: Post, tenant: str, tmp_path: Path) -> None:
    events = plays.interactions(plays.make(240, 200, seed=3))
    dataset = recommended.store(post, tenant, tmp_path / "plays", events, name="plays")
    params = {"candidates": ["popularity", "als"]}
    version = train(post, tenant, dataset, kind="recommendation", params=params)

    demand_identical(reproduce(post, tenant, version))


def test_a_training_that_was_cut_short_is_cut_short_at_the_same_epoch(post: Post, tenant: str, dataset: str) -> None:
    job = working.submit(post, tenant, dataset, params=working.ENDLESS)
    under_way = working.Working(post)
    working.wait_for_epochs(post, job)
    working.cancel(post, tenant, job, keep="best")
    under_way.join()
    [version] = working.made(post, job)

    row = reproduce(post, tenant, version)

    assert row.state == jobs.SUCCEEDED, row.error
    assert row.result["files"]["weights.safetensors"]["identical"]
    first = working.find(post, job).result
    assert [row.result[name] == first[name] for name in ("epochs", "best_epoch", "stopped_by")] == [True] * 3
    assert row.result["identical"] and row.result["differences"] == []


def test_weights_that_were_exchanged_are_told(post: Post, tenant: str, dataset: str) -> None:
    version = train(post, tenant, dataset)
    file = stored(post, version)
    arrays = load(post.storage.get(file["key"]))
    bias = arrays["output.bias"].copy()
    bias[0] += 0.25
    exchanged = post.storage.put(file["key"], [save({**arrays, "output.bias": bias})])
    files = [{**each, "sha256": exchanged.sha256} if each == file else each for each in version.files]
    change(post, version, files=files)

    row = reproduce(post, tenant, version)

    assert row.state == jobs.SUCCEEDED, row.error
    said = row.result["files"]["weights.safetensors"]
    assert not row.result["identical"]
    assert said["then_sha256"] != said["now_sha256"]
    assert said["different_numbers"] == 1
    assert said["largest_difference"] == pytest.approx(0.25)
    assert row.result["files"]["spec.json"]["identical"]


def test_another_release_and_machine_are_told_beside_the_outcome(
    post: Post, tenant: str, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = train(post, tenant, dataset)
    change(post, version, lineage={**version.lineage, "machine": {"cpu": "a faster one", "threads": 64}})
    with post.database.transaction() as sql:
        # As the erasure of a listener leaves a dataset.
        sql.execute(update(datasets).where(datasets.c.id == dataset).values(sha256="f" * 64))
    monkeypatch.setattr(lineage, "CODE_VERSION", "9.9.9")

    row = reproduce(post, tenant, version)

    assert row.state == jobs.SUCCEEDED, row.error
    told = {each["what"]: (each["then"], each["now"]) for each in row.result["differences"]}
    assert set(told) == {"code.etude", "machine.cpu", "machine.threads", "dataset.sha256.0"}
    assert told["code.etude"] == (version.lineage["code"]["etude"], "9.9.9")
    assert told["machine.threads"] == (64, version.lineage["machine"]["threads"])
    assert row.result["identical"]


def test_files_that_are_damaged_are_told_before_anything_is_trained(post: Post, tenant: str, dataset: str) -> None:
    version = train(post, tenant, dataset)
    post.storage.put(stored(post, version)["key"], [b"rust"])

    row = reproduce(post, tenant, version)

    assert (row.state, row.error["code"]) == (jobs.FAILED, "integrity")
    assert "training" not in working.stages(post, row.id)


def test_a_dataset_that_is_erased_while_it_waits_ends_it(post: Post, tenant: str, dataset: str) -> None:
    job = ask(post, tenant, train(post, tenant, dataset))
    with post.database.transaction() as sql:
        sql.execute(update(datasets).where(datasets.c.id == dataset).values(state="erased"))

    do_all(post)

    assert working.find(post, job).error["code"] == "dataset_erased"


def test_params_that_this_release_does_not_read_are_named(post: Post, tenant: str, dataset: str) -> None:
    version = train(post, tenant, dataset)
    params = {**version.lineage["params"], "temperament": "well"}
    change(post, version, lineage={**version.lineage, "params": params})

    row = reproduce(post, tenant, version)

    assert (row.state, row.error["code"]) == (jobs.FAILED, "not_reproducible")
    assert "temperament" in row.error["detail"]


def test_figures_are_compared_one_by_one() -> None:
    then = {"validation": {"f1": {"value": 0.5, "interval": [0.4, 0.6]}, "rows": 3}, "gone": 1}
    now = {"validation": {"f1": {"value": 0.75, "interval": [0.4, 0.6]}, "rows": 3}, "new": None}

    told = sameness.of_values(then, now)

    assert (told["compared"], told["different"]) == (6, 3)
    assert {each["name"] for each in told["largest"]} == {"validation.f1.value", "gone", "new"}
    assert sameness.of_values(then, then)["different"] == 0
    # What was stored has lists where what was just made has tuples.
    assert sameness.of_values({"interval": [1.0, 2.0]}, {"interval": (1.0, 2.0)})["different"] == 0


def test_arrays_of_other_shapes_are_another_network() -> None:
    then, now = (save({"output.bias": np.zeros(size, np.float32)}) for size in (2, 3))

    assert sameness.of_arrays(then, now) == {"numbers": 2, "is_another_network": True}
    assert sameness.of_arrays(b"{}", then) == {}
