"""Jobs that have read of a dataset, and kept something of it, when an erasure comes."""

from typing import Any

from sqlalchemy import func, insert, select, update

from shared import claims
from shared.claims import Claim
from shared.tables import attempts, chunks, events
from tests import factories
from tests.worker import erased
from worker import runner
from worker.runner import Post

CHECKPOINT = {"at": {"epoch": 3}, "key": "k", "sha256": "0" * 64, "before": None}


def begin(post: Post, tenant: str, dataset: str, **values: Any) -> Claim:
    """A job that is claimed, and has kept something of what it has read."""
    with post.database.transaction() as sql:
        job = factories.make_job(sql, tenant, **{"datasets": [dataset], "priority": 9, **values})
        claim = claims.claim_next(sql, "train", worker="gone", skills=runner.skills(), lease_s=1e6)
        assert claim is not None
        assert claim.job_id == job
        claims.record_checkpoint(sql, claim, CHECKPOINT)
        claims.record_epochs(sql, claim, [{"epoch": 1, "loss": 1.0}])
        sql.execute(insert(chunks), {"tenant": tenant, "job": job, "first": 0, "rows": 1, "state": "open", "fence": 0,
                                     "losses": 0})  # fmt: skip
    erased.put(post, f"t/{tenant}/jobs/{job}/{claim.fence}/checkpoints/1", "1", "canary-key")
    return claim


def close(post: Post) -> None:
    """Whoever has claimed it is not heard of any more."""
    with post.database.transaction() as sql:
        sql.execute(update(attempts).where(attempts.c.worker == "gone").values(beat_at=0.0))


def count(post: Post, table: Any, job: str) -> int:
    with post.database.reading() as sql:
        return int(sql.execute(select(func.count()).select_from(table).where(table.c.job == job)).scalar_one())


def restarts_of(post: Post, job: str) -> int:
    with post.database.reading() as sql:
        said = sql.execute(select(events.c.data).where(events.c.job == job, events.c.type == "state")).scalars()
        return sum(data.get("reason") == "data_erased" for data in said)
