"""A search from its claim to its published winner: trials as jobs, given up, failed, killed, told to end; on both databases."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from shared import jobs, models, studies
from shared.claims import PARKED
from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import jobs as job_table
from shared.tables import outputs
from tests.worker import working
from worker import runner
from worker.runner import Post

Json = dict[str, Any]

SPACE = {
    "hidden": {"type": "layers", "count": {"type": "int", "low": 1, "high": 2}, "alike": True,
               "each": {"units": {"type": "choice", "values": [4, 8]}}},
    "learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
}  # fmt: skip
SEARCH: Json = {"train": {"epochs": 9}, "space": SPACE, "trials": 3, "halving": None, "min_gain_per_hour": None}


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(settings, database, storage)


@pytest.fixture
def dataset(post: Post, tenant: str, tmp_path: Path) -> str:
    return working.store_dataset(post, tenant, tmp_path)


def search(post: Post, tenant: str, dataset: str, **params: Any) -> str:
    return working.submit(post, tenant, dataset, action="tune", params={**SEARCH, **params})


def do_all(post: Post) -> int:
    """Do what is due until nothing is; returns how many jobs that were."""
    done = 0
    while runner.run(post, "train", only_tenant=None) is not None:
        done += 1
        assert done < 100
    return done


def trials(post: Post, job: str) -> list[Any]:
    with post.database.reading() as sql:
        return list(studies.list_trials(sql, job))


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
