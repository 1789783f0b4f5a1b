"""A model of recordings that takes over an alias: its rival hears the same tracks in its own way."""

from pathlib import Path
from typing import Any

import pytest

from shared import jobs, models
from tests.worker import recorded, working
from tests.worker.recorded import manifest
from worker import runner
from worker.runner import Post

WELL = {"epochs": 30, "baselines": False, "validation": {"fraction": 0.3}, "learning_rate": 0.01}
BADLY = {**WELL, "epochs": 1, "learning_rate": 1e-6}
PROMOTE = {"alias": "champion", "require": {"metric": "log_loss", "not_worse_than": "champion"}}
LOW_HZ, HIGH_HZ = 110.0, 1760.0

Json = dict[str, Any]


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Twelve recordings, every other of them high."""
    folder = tmp_path_factory.mktemp("songs")
    return {
        f"{number}.wav": recorded.write(folder / f"{number}.wav", HIGH_HZ if number % 2 else LOW_HZ, seed=number)
        for number in range(12)
    }


def store(post: Post, tenant: str, songs: dict[str, bytes], *, base: str | None = None) -> str:
    rows = [(name, "high" if int(name.partition(".")[0]) % 2 else "low", name) for name in songs]
    row, job = recorded.ingest(post, tenant, {**songs, "list.csv": manifest(rows)}, base=base)
    assert job.state == jobs.SUCCEEDED, job.error
    return str(row.id)


def train(post: Post, tenant: str, dataset: str, params: Json) -> Json:
    """The result of a training that ends well."""
    job = working.submit(post, tenant, dataset, params=params, promote=PROMOTE)
    runner.run(post, "train", only_tenant=None)
    row = working.find(post, job)
    assert row.state == jobs.SUCCEEDED, row.error
    result: Json = row.result
    return result


def evaluate(post: Post, tenant: str, trained: Json, *, against: str) -> Json:
    """The result of judging the version that a training made on the dataset that it was trained on."""
    with post.database.reading() as sql:
        version = models.find_version(sql, tenant, "songs", trained["version"])
    dataset = version.lineage["dataset"]["id"]
    job = working.submit(post, tenant, dataset, action="evaluate", version=version.id, params={"against": against})
    runner.run(post, "train", only_tenant=None)
    row = working.find(post, job)
    assert row.state == jobs.SUCCEEDED, row.error
    result: Json = row.result
    return result


@pytest.mark.parametrize(
    "listening", [{"windows_per_segment": 1}, {"segments_per_track": 1}], ids=["as the new one", "otherwise"]
)
def test_a_rival_is_judged_on_the_tracks_of_a_catalogue_that_has_grown(
    post: Post, tenant: str, songs: dict[str, bytes], listening: Json
) -> None:
    first = store(post, tenant, dict(list(songs.items())[:8]))
    train(post, tenant, first, {**BADLY, "listening": listening})

    result = train(post, tenant, store(post, tenant, dict(list(songs.items())[8:]), base=first), WELL)

    promotion = result["promotion"]
    assert (promotion["moved"], promotion["from"]) == (True, 1), promotion
    assert promotion["compared"]["rows"] == sum(
        each["rows"] for each in result["metrics"]["validation"]["per_class"].values()
    )
    assert promotion["compared"]["candidate"] < promotion["compared"]["rival"]
    # Both judged on the whole catalogue, which the newer one was trained on and the older one in part.
    judged = evaluate(post, tenant, result, against="songs@1")
    assert (judged["rows"], judged["left_out"]) == (12, {"unlabelled": 0, "unreadable": 0})
    assert [warning["code"] for warning in judged["warnings"]] == ["leakage_suspected"] * 2
    assert judged["against"]["differences"]["log_loss"]["difference"] < 0


def test_a_rival_that_was_trained_on_a_table_is_no_judge_of_recordings(
    post: Post, tenant: str, songs: dict[str, bytes], tmp_path: Path
) -> None:
    working.submit(post, tenant, working.store_dataset(post, tenant, tmp_path), promote=PROMOTE)
    runner.run(post, "train", only_tenant=None)

    result = train(post, tenant, store(post, tenant, songs), WELL)

    assert "trained on another format" in result["promotion"]["reason"]["detail"]
    with post.database.reading() as sql:
        found = models.at_alias(sql, tenant, "songs", "champion")
    assert found is not None and found.number == 1
