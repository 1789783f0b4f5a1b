"""What becomes of a delivery: claimed by who sends it, tried again ever later for a day, forgotten after a month.

Claiming raises `attempts`; what a try came to is written only by the one whose number still stands there.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, or_, select, update

from shared import webhooks as hooks
from shared.database import now
from shared.errors import NotFound
from shared.tables import deliveries, webhooks
from shared.webhooks import ACTIVE, DELIVERED, FAILED, WAITING

# As Standard Webhooks has it, to the end of a day: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 6 h; 23 h 35 min in all.
GAPS_S = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 21_600.0)
# Earlier by up to a fifth: what failed together is not tried again together.
JITTER = 0.2
# A try takes ten seconds at most.
LEASE_S = 30.0
# A receiver from which nothing has been heard for so long is not there any more.
PATIENCE_S = 5 * 24 * 3600.0
KEPT_S = 30 * 24 * 3600.0
FORGOTTEN_AT_ONCE = 1000
# Redelivered by hand ever again, a row would grow without end.
TRIES_KEPT = 20
LOOKED_AT = 256
GONE = 410

Json = dict[str, Any]


@dataclass(frozen=True)
class Due:
    """A delivery that may be tried."""

    id: str
    tenant: str


@dataclass(frozen=True)
class Claim:
    """The right to try a delivery once, and what that takes. Its secrets are shown by no repr, and so in no log."""

    id: str
    attempts: int
    webhook: str
    tenant: str
    url: str
    body: str
    log: list[Json]
    at: float
    secrets: list[str] = field(repr=False)


@dataclass(frozen=True)
class Tried:
    """What a try came to: a status, or what went wrong before there was one."""

    took_s: float
    status: int | None = None
    error: str | None = None

    @property
    def has_arrived(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def list_due(sql: Connection, *, but_of: Collection[str]) -> list[Due]:
    """What may be tried now, the longest waiting first, of all tenants but these."""
    chosen = (
        select(deliveries.c.id, webhooks.c.tenant)
        .join(webhooks, webhooks.c.id == deliveries.c.webhook)
        .where(_is_due(), webhooks.c.state == ACTIVE, webhooks.c.tenant.not_in(list(but_of)))
        .order_by(deliveries.c.next_at)
        .limit(LOOKED_AT)
    )
    return [Due(row.id, row.tenant) for row in sql.execute(chosen)]


def claim(sql: Connection, wanted: Sequence[str]) -> list[Claim]:
    """Claim those of these deliveries that nobody else has by now."""
    free = select(deliveries.c.id).where(deliveries.c.id.in_(wanted), _is_due()).with_for_update(skip_locked=True)
    taken = update(deliveries).where(deliveries.c.id.in_(free)).values(
        lease_until=now() + LEASE_S, attempts=deliveries.c.attempts + 1
    ).returning(deliveries.c.id)  # fmt: skip
    ids = sql.execute(taken).scalars().all()
    columns = (
        deliveries.c.id, deliveries.c.attempts, deliveries.c.webhook, deliveries.c.body, deliveries.c.log,
        webhooks.c.tenant, webhooks.c.url, webhooks.c.secret, webhooks.c.old_secret,
        (webhooks.c.old_secret_until > now()).label("is_old_good"), now().label("at"),
    )  # fmt: skip
    joined = select(*columns).join(webhooks, webhooks.c.id == deliveries.c.webhook)
    rows = sql.execute(joined.where(deliveries.c.id.in_(ids), webhooks.c.state == ACTIVE)).all()
    return [_as_claim(row) for row in rows]


def _as_claim(row: Row[Any]) -> Claim:
    secrets = [row.secret, row.old_secret] if row.is_old_good else [row.secret]
    return Claim(
        id=row.id, attempts=row.attempts, webhook=row.webhook, tenant=row.tenant, url=row.url, body=row.body,
        log=row.log, at=row.at, secrets=secrets,
    )  # fmt: skip


def record(sql: Connection, claim: Claim, tried: Tried) -> None:
    """Write down what a try came to, and what follows from it: done, another try, or the webhook switched off."""
    said = {"at": claim.at, "took_s": round(tried.took_s, 3), "status": tried.status, "error": tried.error}
    this = (deliveries.c.tenant == claim.tenant) & (deliveries.c.id == claim.id)
    mine = this & (deliveries.c.attempts == claim.attempts) & (deliveries.c.state == WAITING)
    values = {"log": [*claim.log, said][-TRIES_KEPT:], "lease_until": None, **_next(claim, tried)}
    if sql.execute(update(deliveries).where(mine).values(values)).rowcount == 0:
        # Switched off or deleted meanwhile, or in the hands of another: it is not for this try to say.
        return
    if tried.has_arrived:
        failing = (webhooks.c.id == claim.webhook) & webhooks.c.failing_since.is_not(None)
        sql.execute(update(webhooks).where(failing).values(failing_since=None))
    else:
        _note_failure(sql, claim, tried)


def _next(claim: Claim, tried: Tried) -> dict[str, Any]:
    if tried.has_arrived:
        return {"state": DELIVERED, "next_at": None, "ended_at": now()}
    if claim.attempts > len(GAPS_S):
        return {"state": FAILED, "next_at": None, "ended_at": now()}
    gap_s = GAPS_S[claim.attempts - 1] * random.uniform(1 - JITTER, 1)  # noqa: S311 — spreads, hides nothing
    return {"next_at": now() + gap_s}


def _note_failure(sql: Connection, claim: Claim, tried: Tried) -> None:
    mine = webhooks.c.id == claim.webhook
    sql.execute(update(webhooks).where(mine, webhooks.c.failing_since.is_(None)).values(failing_since=now()))
    if tried.status == GONE:
        said = "The receiver answered 410 Gone."
        return hooks.disable(sql, claim.tenant, claim.webhook, {"code": "webhook_gone", "detail": said})
    is_dead = mine & (webhooks.c.failing_since < now() - PATIENCE_S)
    if sql.execute(select(webhooks.c.id).where(is_dead)).first() is not None:
        said = f"Nothing has arrived for {PATIENCE_S / 86_400:g} days."
        hooks.disable(sql, claim.tenant, claim.webhook, {"code": "webhook_failing", "detail": said})
    return None


def count_neglected(sql: Connection, *, for_s: float) -> int:
    """How many tenants have a delivery that has been due for so many seconds, and none that is being tried."""
    other = deliveries.alias()
    theirs = webhooks.alias()
    tried = (
        select(theirs.c.tenant)
        .join(other, other.c.webhook == theirs.c.id)
        .where(other.c.state == WAITING, other.c.lease_until > now())
    )
    chosen = (
        select(func.count(webhooks.c.tenant.distinct()))
        .join(deliveries, deliveries.c.webhook == webhooks.c.id)
        .where(_is_due(), deliveries.c.next_at < now() - for_s)
        .where(webhooks.c.state == ACTIVE, webhooks.c.tenant.not_in(tried))
    )
    return int(sql.execute(chosen).scalar_one())


def forget(sql: Connection) -> int:
    """Delete a bounded number of deliveries that ended long ago."""
    old = select(deliveries.c.id).where(deliveries.c.ended_at < now() - KEPT_S).limit(FORGOTTEN_AT_ONCE)
    return sql.execute(delete(deliveries).where(deliveries.c.id.in_(old))).rowcount


def page(
    sql: Connection, webhook_id: str, *, limit: int, before: str | None, state: str | None
) -> list[Row[Any]]:  # fmt: skip
    """The newest deliveries of a webhook first."""
    chosen = select(deliveries).where(deliveries.c.webhook == webhook_id)
    if before is not None:
        chosen = chosen.where(deliveries.c.id < before)
    if state is not None:
        chosen = chosen.where(deliveries.c.state == state)
    return list(sql.execute(chosen.order_by(deliveries.c.id.desc()).limit(limit)).all())


def find(sql: Connection, webhook_id: str, delivery_id: str) -> Row[Any]:
    """One delivery of a webhook. Raises NotFound."""
    mine = (deliveries.c.id == delivery_id) & (deliveries.c.webhook == webhook_id)
    row = sql.execute(select(deliveries).where(mine)).one_or_none()
    if row is None:
        raise NotFound("There is no such delivery.")
    return row


def redeliver(sql: Connection, webhook_id: str, delivery_id: str) -> Row[Any]:
    """Have a delivery tried now, under the same id, however it ended; one that is being tried keeps its lease."""
    mine = (deliveries.c.id == delivery_id) & (deliveries.c.webhook == webhook_id)
    sql.execute(update(deliveries).where(mine).values(state=WAITING, next_at=now(), ended_at=None))
    return find(sql, webhook_id, delivery_id)


def _is_due() -> ColumnElement[bool]:
    return (deliveries.c.state == WAITING) & (deliveries.c.next_at <= now()) & _is_free()


def _is_free() -> ColumnElement[bool]:
    return or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until < now())
