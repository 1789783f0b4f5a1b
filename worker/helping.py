"""A worker without a job helps with the chunks of one that another worker has claimed."""

import shutil
import time
from typing import Any

from sqlalchemy import Connection

from shared import chunks, claims, tariff, workers
from shared.chunks import Chunk
from shared.claims import Claim, Wish
from shared.errors import ClaimLost, Drained, EtudeError, JobCancelled, Stalled
from shared.log import logger
from worker import disk, pipeline, scoring
from worker.desk import Desk
from worker.expense import Expense
from worker.heart import Heart
from worker.post import Post, skills

Json = dict[str, Any]
# After a failure of its own, a full disk of this host perhaps: it would fail again at once, and be rung for at once.
REST_S = 5.0
# What a guest leaves for without having failed.
CALLED_AWAY = (ClaimLost, JobCancelled, Drained, Stalled)

log = logger("helping")


class GuestPulse:
    """Of a worker that helps: it beats for its chunk, and has nothing to say of the job."""

    def __init__(self, claim: Claim, chunk: Chunk) -> None:
        self.claim = claim
        self.chunk: Chunk | None = chunk

    def beat(self, sql: Connection, *, progress: Json | None, cost: Json | None) -> Wish:
        if self.chunk is None:
            return Wish(cancel=False, keep=None, drain=False)
        return chunks.beat(sql, self.claim, self.chunk)

    def leave(self, sql: Connection, reason: Exception, *, cost: Json) -> None:
        if self.chunk is not None:
            chunks.give_back(sql, self.chunk)


def help_out(post: Post, claim: Claim, chunk: Chunk) -> None:
    """Do this chunk and those after it, until none is open or a job waits."""
    pulse = GuestPulse(claim, chunk)
    mine = post.database.of(claim.tenant)
    heart = Heart(mine, claim, beat_s=post.settings.beat_s, stall_s=post.settings.stall_s, pulse=pulse)
    scratch = post.scratch / f"help-{claim.job_id}-{chunk.first}-{chunk.fence}"
    desk = Desk(post.settings, mine, post.storage, claim, heart, scratch)
    is_failing, expense = False, Expense(claim, tariff.of(post.settings))
    heart.start()
    try:
        desk.make_scratch()
        opened = pipeline.open_scoring(desk)
        while pulse.chunk is not None:
            scoring.help_with(desk, opened, pulse.chunk, expense)
            pulse.chunk, expense = None, Expense(claim, tariff.of(post.settings))
            pulse.chunk = _next(post, claim)
    except Exception as reason:
        # Whatever it is, the job goes on: the chunk goes back unharmed, and is done or told of elsewhere.
        tell = log.info if isinstance(reason, EtudeError) or disk.is_full(reason) else log.exception
        tell("left", job=claim.job_id, reason=type(reason).__name__)
        is_failing = not isinstance(reason, CALLED_AWAY)
    finally:
        heart.stop()
        shutil.rmtree(scratch, ignore_errors=True)
        if pulse.chunk is not None:
            with post.database.transaction() as sql:
                chunks.give_back(sql, pulse.chunk)
    if is_failing:
        time.sleep(REST_S)


def _next(post: Post, claim: Claim) -> Chunk | None:
    """Another chunk of the same job; none where a job waits: it has nobody else."""
    with post.database.transaction() as sql:
        at_most = post.settings.tenant_running
        if workers.is_draining(sql, post.worker) or claims.count_due(
            sql, pipeline.QUEUE, skills=skills(), running_at_most=at_most
        ):
            return None
        try:
            return chunks.take(sql, claim, lease_s=claim.lease_s)
        except ClaimLost:
            return None
