"""An erasure whose worker is killed at every step that others can see: it is carried out once, and told once."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row

from shared import claims, jobs, receipts
from shared.database import Database
from shared.errors import ClaimLost
from shared.settings import Settings
from shared.storage import Storage
from shared.up import environment_of
from tests.worker import erased, losing, reading, working
from tests.worker.erased import decide, find, learn, log, marks, readable, score
from tests.worker.interactions import uploading
from worker.runner import Post

PLAYS = b"user,item,time\nalice,x,1\nalice,only hers,2\nbob,x,3\ncarol,y,4\n"
SONGS = b"id,tempo\ns1,100\ncanary,90\n"
LIMIT_S = 300.0
ROOT = Path(__file__).parents[2]


def carry_out(settings: Settings, post: Post, decided: Row[Any], what: str) -> Row[Any]:
    """Have it carried out by workers that die at every point of it; returns it as it is then."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.faults.erasing_worker", what], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, **environment_of(settings)}, timeout=LIMIT_S,
    )  # fmt: skip

    died = sorted(path.name for path in settings.home.glob("died-*"))
    row = find(post, decided)
    assert (ran.returncode, row.state) == (0, "done"), (ran.stderr, died, row.job_error)
    assert len(died) >= 12
    assert set(working.outcomes(post, row.job)) == {"lost", jobs.SUCCEEDED}
    return row


# Commits of the database, and of the key store: these are on either side of each file that is destroyed.
@pytest.mark.parametrize("what", ["commit", "key"])
def test_an_erasure_that_dies_everywhere_is_carried_out_once(
    settings: Settings, database: Database, storage: Storage, tenant: str, what: str
) -> None:
    post = working.make_post(settings, database, storage, worker="light-1")
    plays, _ = uploading.ingest(post, tenant, {"a.csv": PLAYS})
    taste = learn(post, tenant, plays.id, model="taste", canary="alice")
    scored = score(post, tenant, plays.id, canary="alice")
    decided = decide(post, tenant, "plays", listener="alice", policy="delete")

    row = carry_out(settings, post, decided, what)

    receipt = row.receipt
    assert receipts.is_signed(receipts.public_key(storage.open_keys().store), receipt, row.signature)
    assert [(each["reference"], each["events"]) for each in receipt["datasets"]] == [("plays@1", 2)]
    assert {each["kind"] for each in receipt["artefacts"]} == {"dataset_part", "output", "kept_rows", "model_file"}
    assert (receipt["predictions_deleted"], marks(post, taste)) == ([scored], ["deleted"])
    assert [name for name, _ in log(post, row.pseudonym)] == [
        "erasures.decide", "erasures.rewrite", "erasures.delete_outputs", "erasures.delete_model", "erasures.done"
    ]  # fmt: skip
    assert readable(post, "alice") == []
    assert uploading.find(post, tenant, plays.id).rows == 2
    assert receipt["requested_by"] == erased.KEY


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_row_is_erased_once_wherever_its_worker_dies(
    settings: Settings, database: Database, storage: Storage, tenant: str
) -> None:
    post = working.make_post(settings, database, storage, worker="light-1")
    songs, _ = losing.ingest(post, tenant, {"a.csv": SONGS}, id="id")
    learn(post, tenant, songs.id, model="genre", canary="canary")
    decided = decide(post, tenant, "songs", track="canary", policy="delete")

    row = carry_out(settings, post, decided, "commit")

    assert [(each["reference"], each["rows"]) for each in row.receipt["datasets"]] == [("songs@1", 1)]
    kinds = {each["kind"] for each in row.receipt["artefacts"]}
    assert kinds == {"dataset_part", "upload", "kept_rows", "model_file"}
    now = losing.find(post, tenant, songs.id)
    assert ([each["id"] for each in losing.rows(post, now)], losing.files(post, now)) == (["s1"], ["remaining.parquet"])
    assert readable(post, "canary") == []


# Both of the looks for what has read are commits of their own.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_training_begins_anew_once_wherever_the_erasure_dies(
    settings: Settings, database: Database, storage: Storage, tenant: str
) -> None:
    post = working.make_post(settings, database, storage, worker="light-1")
    songs, _ = losing.ingest(post, tenant, {"a.csv": SONGS}, id="id")
    claim = reading.begin(post, tenant, songs.id)
    reading.close(post)
    decided = decide(post, tenant, "songs", track="canary")

    row = carry_out(settings, post, decided, "commit")

    job = working.find(post, claim.job_id)
    assert row.receipt["jobs_restarted"] == [claim.job_id]
    assert (job.state, job.checkpoint, job.fence) == (jobs.QUEUED, None, claim.fence + 1)
    assert (reading.restarts_of(post, claim.job_id), working.outcomes(post, claim.job_id)) == (1, ["restarted"])
    assert readable(post, "canary") == []
    with pytest.raises(ClaimLost), database.transaction() as sql:
        claims.succeed(sql, claim, result={}, cost={})
