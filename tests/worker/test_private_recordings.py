"""A private training of a head on recordings, from the uploads to what its version tells of them."""

from pathlib import Path
from typing import Any

import pytest

from shared import jobs
from tests.worker import recorded, working
from worker import runner
from worker.private import accounting, statement
from worker.runner import Post

HIGH_HZ, LOW_HZ = 1760.0, 110.0
STEPS = {"validation": {"fraction": 0.34}, "epochs": 3, "batch_size": 4, "hidden": [{"units": 4}]}
PRIVACY = {"noise_multiplier": 1.1, "labels": ["high", "low"]}

Json = dict[str, Any]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is written ends a job as any other does, which is tried on both databases in test_runner."""
    return sqlite_url


@pytest.fixture
def dataset(post: Post, tenant: str, tmp_path: Path) -> str:
    """Twelve recordings, every other of them high; two by each artist."""
    names = [f"{number}.wav" for number in range(12)]
    sounds = {
        name: recorded.write(tmp_path / name, HIGH_HZ if number % 2 else LOW_HZ, seed=number)
        for number, name in enumerate(names)
    }
    rows = [(name, "high" if number % 2 else "low", f"artist {number // 2}") for number, name in enumerate(names)]
    row, job = recorded.ingest(post, tenant, {**sounds, "list.csv": recorded.manifest(rows)}, group="artist")
    assert job.state == jobs.SUCCEEDED, job.error
    return str(row.id)


def privacy_of(post: Post, tenant: str, dataset: str, **asked: Any) -> tuple[Json, Json]:
    """What the version of a private training says of privacy, and of its division."""
    job = working.submit(post, tenant, dataset, params={**STEPS, "privacy": {**PRIVACY, **asked}})
    runner.run(post, "train", only_tenant=None)
    row = working.find(post, job)
    assert row.state == jobs.SUCCEEDED, row.error
    [version] = working.made(post, job)
    return version.lineage["privacy"], version.lineage["split"]


def test_a_head_on_recordings_tells_what_bounds_a_recording_or_an_artist(post: Post, tenant: str, dataset: str) -> None:
    single, split = privacy_of(post, tenant, dataset, unit="row")
    grouped, _ = privacy_of(post, tenant, dataset, unit="group")

    dp, count = single["dp"], split["tracks"]["train"]
    assert (dp["unit"], dp["units"], dp["adjacency"]) == (
        "recording", count, "one recording more or less among those that train",
    )  # fmt: skip
    steps = 3 * -(-count // 4)
    assert dp["epsilon"] == accounting.epsilon(1.1, sampling=4 / count, steps=steps, delta=0.1 / count)
    assert (dp["delta"], dp["steps"]) == (0.1 / count, steps)
    assert dp["preprocessing"] == statement.HEARD
    assert (grouped["dp"]["unit"], grouped["dp"]["units"]) == ("group", count // 2)
    for said in (single, grouped):
        report = said["membership"]
        assert (report["measured"], report["verdict"]) == (True, "inconclusive")
        # Of so few there is a figure, and nothing that bounds it.
        assert report["members"] > report["others"] > 0 and report["auc"]["interval"] is None
