"""Scorings of recordings by a trained head: tracks that cannot be heard beside those that can, and drift of them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from shared import jobs
from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from tests.worker import recorded, working
from tests.worker.recorded import manifest
from worker import runner
from worker.post import Post

TRAINING = {"epochs": 3, "baselines": False, "validation": {"fraction": 0.3}}


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(dataclasses.replace(settings, chunk_tracks=4), database, storage)


def ingest(post: Post, tenant: str, songs: dict[str, bytes]) -> str:
    rows = [(name, "high" if int(name[0]) % 2 else "low", name) for name in songs]
    dataset, job = recorded.ingest(post, tenant, {**songs, "list.csv": manifest(rows)})
    assert job.state == jobs.SUCCEEDED, job.error
    return str(dataset.id)


def run(post: Post, tenant: str, dataset: str, **values: Any) -> Any:
    job = working.submit(post, tenant, dataset, **values)
    runner.run(post, "train", only_tenant=None)
    row = working.find(post, job)
    assert row.state == jobs.SUCCEEDED, row.error
    return row


def test_a_chunk_of_tracks_that_cannot_be_heard_is_told_by_their_own_reason(
    post: Post, tenant: str, tmp_path: Path
) -> None:
    songs = {
        f"{number}.wav": recorded.write(tmp_path / f"{number}.wav", 1760.0 if number % 2 else 110.0, seed=number)
        for number in range(8)
    }
    trained = run(post, tenant, ingest(post, tenant, songs), params=TRAINING)
    version = working.made(post, trained.id)[0].id
    # The fifth is in a chunk of its own.
    spoiled = {**dict(list(songs.items())[:4]), "8.wav": b"RIFFnothing at all" * 10}
    params = {"formats": ["jsonl"]}
    scored = run(post, tenant, ingest(post, tenant, spoiled), action="score", version=version, params=params)

    (error,) = (json.loads(line) for line in recorded.output(post, scored.id, "errors.jsonl").splitlines())
    assert (error["key"], error["code"]) == ("8.wav", "unsupported_format")
    assert (scored.result["rows"], scored.result["errors"], scored.result["drift"]["rows"]) == (5, 1, 4)
