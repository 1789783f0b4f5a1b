"""A training keeps what explains its model, a scoring tells it row by row, and with the dataset the kept rows go."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select, update

from shared import datasets, jobs, submission
from shared.database import Database
from shared.errors import InvalidRequest
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import datasets as dataset_table
from shared.tables import outputs, versions
from shared.wanted import NewJob
from tests.worker import canonical, working
from worker import runner
from worker.runner import Post

Json = dict[str, Any]

ROWS = 60
NOTHING_KEPT = {**working.SHORT, "keep_examples": False, "importance": False}


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(dataclasses.replace(settings, chunk_rows=25), database, storage)


@pytest.fixture
def dataset(post: Post, tenant: str, tmp_path: Path) -> str:
    return working.store_dataset(post, tenant, tmp_path, rows=ROWS)


def train(post: Post, tenant: str, dataset: str, **values: Any) -> Row[Any]:
    job = working.submit(post, tenant, dataset, **values)
    runner.run(post, "train", only_tenant=None)
    assert working.find(post, job).state == jobs.SUCCEEDED, working.find(post, job).error
    (version,) = working.made(post, job)
    return version


def score(post: Post, tenant: str, dataset: str, version: Row[Any], explain: Any) -> str:
    """A scoring in the queue."""
    params = {"explain": explain}
    return working.submit(post, tenant, dataset, action="score", version=version.id, params=params)


def explained(post: Post, job: str) -> list[Json]:
    assert working.find(post, job).state == jobs.SUCCEEDED, working.find(post, job).error
    with post.database.reading() as sql:
        chosen = select(outputs.c.key).where(outputs.c.job == job, outputs.c.name == "predictions.jsonl")
        key = sql.execute(chosen).scalar_one()
    return [json.loads(line) for line in post.storage.get(key).splitlines()]


def names(version: Row[Any]) -> set[str]:
    return {file["name"] for file in version.files}


@pytest.fixture
def refusal(post: Post, tenant: str, dataset: str) -> Callable[..., tuple[str, list[str | None]] | None]:
    """How the door answers a scoring that explains: the code, and the places at fault."""

    def ask(explain: Any) -> tuple[str, list[str | None]] | None:
        wanted = NewJob(action="score", model="songs@1", dataset=dataset, params={"explain": explain})
        try:
            with post.database.reading() as sql:
                submission.check(sql, tenant, wanted, post.settings)
        except InvalidRequest as refused:
            return refused.code, [fault.pointer for fault in refused.faults]
        return None

    return ask


def test_a_model_tells_what_it_needs_and_explains_what_it_says_until_its_dataset_is_erased(
    post: Post, tenant: str, dataset: str, tmp_path: Path, refusal: Callable[..., Any]
) -> None:
    version = train(post, tenant, dataset)
    assert {"inputs.safetensors", "examples.arrow"} <= names(version)
    importance = version.metrics["importance"]
    assert {each["column"] for each in importance} == {"tempo", "energy", "noise", "key", "loudness"}
    assert importance == sorted(importance, key=lambda each: -each["drop"])

    asked = {"top": 2, "counterfactual": {"fixed": ["loudness"]}, "nearest": 2}
    assert refusal(asked) is None
    job = score(post, tenant, dataset, version, asked)
    runner.run(post, "train", only_tenant=None)

    rows = explained(post, job)
    assert [row["key"] for row in rows] == [f"p{row}" for row in range(ROWS)]
    said = [row["explanation"] for row in rows]
    assert all(len(each["attributions"]) == 2 and each["completeness_error"] <= 0.005 for each in said)
    for row, each in zip(rows, said, strict=True):
        assert each["prediction"] == pytest.approx(row["probabilities"][row["prediction"]], abs=1e-5)
        changed = each["counterfactual"]
        if changed is not None:
            assert changed["prediction"] != row["prediction"] and len(changed["changes"]) <= 3
            assert "loudness" not in [change["column"] for change in changed["changes"]]
    assert any(each["counterfactual"] is not None for each in said)
    genres = dict(zip(*(canonical.music(ROWS)[name] for name in ("piece", "genre")), strict=True))
    neighbours = [near for each in said for near in each["nearest"]]
    assert all(genres[near["key"]] == near["label"] for near in neighbours)
    # Of the rows that were learned from, each is its own nearest.
    selves = [row["key"] == row["explanation"]["nearest"][0]["key"] for row in rows]
    assert sum(selves) >= ROWS * 0.75

    (tmp_path / "other").mkdir()
    other = working.store_dataset(post, tenant, tmp_path / "other", rows=10)
    waiting = score(post, tenant, other, version, {"nearest": 1})
    with post.database.transaction() as sql:
        _, keys = datasets.erase(sql, tenant, dataset)
    runner.run(post, "train", only_tenant=None)

    kept = next(file["key"] for file in version.files if file["name"] == "examples.arrow")
    assert kept in keys
    with post.database.reading() as sql:
        left = sql.execute(select(versions)).one()
    assert names(left) == names(version) - {"examples.arrow"}
    failed = working.find(post, waiting)
    assert (failed.state, failed.error["code"]) == (jobs.FAILED, "explanation_unkept")
    again = score(post, tenant, other, left, True)
    runner.run(post, "train", only_tenant=None)
    assert len(explained(post, again)) == 10 and explained(post, again)[0]["explanation"]["attributions"]


def test_what_a_version_cannot_tell_is_refused_at_the_door(
    post: Post, tenant: str, dataset: str, refusal: Callable[..., Any]
) -> None:
    version = train(post, tenant, dataset, params=NOTHING_KEPT)

    assert "examples.arrow" not in names(version) and "importance" not in version.metrics
    assert refusal(True) is None and refusal(False) is None and refusal({"counterfactual": True}) is None
    assert refusal({"nearest": 3}) == ("explanation_unkept", ["/params/explain/nearest"])
    assert refusal({"tracks": 3}) == ("invalid_request", ["/params/explain/tracks"])
    assert refusal({"counterfactual": {"fixed": ["tempo", "colour"]}}) == (
        "column_unknown", ["/params/explain/counterfactual/fixed"],
    )  # fmt: skip

    # As it was before inputs were kept.
    with post.database.transaction() as sql:
        files = [file for file in version.files if file["name"] != "inputs.safetensors"]
        sql.execute(update(versions).where(versions.c.id == version.id).values(files=files))
    assert refusal(True) is None
    assert refusal({"counterfactual": True, "nearest": 1}) == (
        "explanation_unkept", ["/params/explain/counterfactual", "/params/explain/nearest"],
    )  # fmt: skip


def test_an_explained_scoring_is_expected_to_take_longer(post: Post, tenant: str, dataset: str) -> None:
    train(post, tenant, dataset, params=NOTHING_KEPT)

    def expected_s(params: Json) -> float:
        wanted = NewJob(action="score", model="songs@1", dataset=dataset, params=params)
        with post.database.reading() as sql:
            return float(submission.check(sql, tenant, wanted, post.settings).expected_s or 0)

    plain, told, changed = (expected_s(each) for each in ({}, {"explain": True}, {"explain": {"counterfactual": True}}))
    assert plain < told < changed


def test_a_dataset_that_goes_in_the_last_moment_leaves_no_version_with_its_rows(
    post: Post, tenant: str, dataset: str
) -> None:
    job = working.submit(post, tenant, dataset)
    # As the erasure writes it, but for the state: by that the job would end before.
    with post.database.transaction() as sql:
        sql.execute(update(dataset_table).where(dataset_table.c.id == dataset).values(erased_at=1.0))

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, "dataset_erased")
    assert working.made(post, job) == []
