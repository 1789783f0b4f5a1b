"""Valid rows by default; each takes only what a test is about."""

from typing import Any

from sqlalchemy import Connection, insert

from shared import claims, ids, jobs
from shared.database import now
from shared.tables import datasets

SKILLS = claims.Skills(actions=["train", "tune", "trial", "score", "ingest"], kinds=["classification", "regression"])

PROFILE = {"rows": 4, "columns": [], "roles": {"target": [], "group": None, "id": None, "mask": [], "drop": []}}

# A table that a training is accepted for.
SONGS = {
    "rows": 100,
    "columns": [
        {"name": "tempo", "type": "number", "missing": 0, "distinct": 100, "constant": False},
        {"name": "genre", "type": "text", "missing": 0, "distinct": 2, "constant": False},
    ],
    "roles": {"target": ["genre"], "group": None, "id": None, "mask": [], "drop": []},
    "classes": {"rock": 50, "pop": 50},
}


def make_job(sql: Connection, tenant: str, **values: Any) -> str:
    """A queued training of classification."""
    chosen = {"action": "train", "kind": "classification", "queue": "train", "model": "songs", **values}
    return str(jobs.submit(sql, jobs.NewJob(tenant=tenant, **chosen)).id)


def claim(sql: Connection, *, queue: str = "train", worker: str = "worker-1", lease_s: float = 30.0) -> claims.Claim:
    """Claim the next job, which must be there."""
    taken = claims.claim_next(sql, queue, worker=worker, skills=SKILLS, lease_s=lease_s)
    assert taken is not None, "there was no job to claim"
    return taken


def make_dataset(sql: Connection, tenant: str, **values: Any) -> str:
    """A ready table of four rows, without files."""
    dataset_id = ids.new("ds")
    row = {
        "id": dataset_id, "tenant": tenant, "name": dataset_id, "version": 1, "format": "table", "columns": {},
        "state": "ready", "profile": PROFILE, "parts": [], "rows": 4, "sha256": "0" * 64, **values,
    }  # fmt: skip
    sql.execute(insert(datasets).values(created_at=now(), **row))
    return dataset_id
