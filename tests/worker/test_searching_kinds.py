"""A search of every kind that trains, with little of each: what wins is published like any version of the kind."""

from pathlib import Path
from typing import Any

import pytest

from shared import jobs, studies, tuning
from shared.kinds import KINDS
from shared.tuning_params import TUNE
from tests.worker import chorales, recommended, recorded, scores, working
from tests.worker import plays as made_plays
from worker import runner
from worker.runner import Post

Json = dict[str, Any]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough: what is written here goes the way that every search goes."""
    return sqlite_url


def search(post: Post, tenant: str, dataset: str, kind: str, **params: Any) -> Any:
    """The search, once it has ended, and its trials."""
    job = working.submit(post, tenant, dataset, action=TUNE, kind=kind, model="songs", params=params)
    while runner.run(post, "train", only_tenant=None) is not None:
        pass
    with post.database.reading() as sql:
        return working.find(post, job), list(studies.list_trials(sql, job))


@pytest.mark.parametrize("kind", [name for name, contract in KINDS.items() if "train" in contract.ACTIONS])
def test_a_kind_can_be_searched_for_without_a_word(kind: str) -> None:
    contract = KINDS[kind]

    asked = contract.ACTIONS[TUNE].model_validate({})

    tuning.check(asked, contract, lambda params: None)
    assert tuning.metric(asked, contract) == next(iter(contract.METRICS))


def test_networks_of_sequences_are_searched_for(post: Post, tenant: str, tmp_path: Path) -> None:
    pieces = {f"songs/{seed}.mid": chorales.chorale(seed, name=f"songs/{seed}.mid") for seed in range(10)}
    dataset = scores.store(post, tenant, tmp_path, pieces)
    space = {"learning_rate": {"type": "choice", "values": [0.001, 0.01]}}

    row, tried = search(
        post, tenant, dataset, "generation", train=scores.SMALL, space=space, trials=2, sampler="random"
    )

    assert row.state == jobs.SUCCEEDED, row.error
    [version] = working.made(post, row.id)
    values = [trial.result["value"] for trial in tried]
    told = version.lineage["search"]
    assert (told["metric"], told["better"], told["winner"]) == ("nll_per_token", "lower", values.index(min(values)))
    assert version.metrics["validation"]["nll_per_token"]["value"] == pytest.approx(min(values))
    assert "music" in version.metrics or len(version.metrics) > 1


def test_recommenders_are_searched_for_by_the_metric_of_the_search(post: Post, tenant: str, tmp_path: Path) -> None:
    plays = made_plays.interactions(made_plays.make(120, 100, seed=3))
    dataset = recommended.store(post, tenant, tmp_path / "plays", plays, name="plays")
    fixed = {"model": "neighbours", "weighting": "log", "content": None}
    space = {
        "neighbours.neighbours": {"type": "int", "low": 5, "high": 50, "log": True},
        "neighbours.shrink": {"type": "float", "low": 0.0, "high": 50.0},
    }

    row, tried = search(post, tenant, dataset, "recommendation", train=fixed, space=space, trials=3, metric="recall@20")

    assert row.state == jobs.SUCCEEDED, row.error
    [version] = working.made(post, row.id)
    values = [trial.result["value"] for trial in tried]
    assert version.lineage["search"]["winner"] == values.index(max(values))
    assert version.metrics["validation"] == {"recall@20": {"value": max(values), "interval": None}}
    assert version.lineage["params"]["neighbours"] == {
        name.removeprefix("neighbours."): value
        for name, value in tried[version.lineage["search"]["winner"]].params["axes"].items()
    }


def test_recordings_are_searched_for_with_whole_tracks_held_out(post: Post, tenant: str, tmp_path: Path) -> None:
    folder = tmp_path / "songs"
    folder.mkdir()
    songs = {
        f"{number}.wav": recorded.write(folder / f"{number}.wav", 1760.0 if number % 2 else 110.0, seed=number)
        for number in range(16)
    }
    rows = [(name, "high" if int(name.partition(".")[0]) % 2 else "low", name) for name in songs]
    dataset, job = recorded.ingest(post, tenant, {**songs, "list.csv": recorded.manifest(rows)})
    assert job.state == jobs.SUCCEEDED, job.error
    space = {"learning_rate": {"type": "float", "low": 0.001, "high": 0.02, "log": True}}

    row, tried = search(
        post, tenant, str(dataset.id), "classification", train={"epochs": 10}, space=space, trials=2, sampler="random"
    )

    assert row.state == jobs.SUCCEEDED, row.error
    assert [trial.state for trial in tried] == ["succeeded"] * 2
    [version] = working.made(post, row.id)
    tracks = version.lineage["split"]["tracks"]
    assert tracks["test"] >= 2 and sum(tracks.values()) == 16
    assert version.metrics["test"]["accuracy"]["value"] >= 0.5
