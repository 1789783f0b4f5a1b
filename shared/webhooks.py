"""Webhooks: who is told of what, and the writing down of what is to be told, in the transaction that makes it true.

What becomes of a delivery is in shared/deliveries.py; worker/deliveries.py sends it.
"""

import base64
import secrets
from typing import Any

import orjson
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, null, or_, select, update

from shared import ids, moments
from shared.database import now
from shared.errors import NotAllowedNow, NotFound
from shared.tables import deliveries, jobs, models, tenants, versions, webhooks

ACTIVE, DISABLED = "active", "disabled"
WAITING, DELIVERED, FAILED = "waiting", "delivered", "failed"
ALL, PING = "*", "webhook.ping"
# What a job's end is called, by the state that it ends in.
ENDS = {state: f"job.{state}" for state in ("succeeded", "failed", "cancelled")}

WEBHOOKS_AT_MOST = 20
# A receiver changes over within a day.
OLD_SECRET_S = 24 * 3600.0
PREFIX, SECRET_BYTES = "whsec_", 32

Json = dict[str, Any]

# Built once: putting a statement together costs as much as running it, and each end of a job asks this. One that is
# being deleted at this moment is passed over: waiting for it would hold up the job's end, and its key would be gone.
_TOLD = (
    select(webhooks.c.id, webhooks.c.tenant, webhooks.c.events, now().label("at"))
    .where(webhooks.c.tenant == bindparam("of"), webhooks.c.state == ACTIVE)
    .with_for_update(read=True, key_share=True, skip_locked=True, of=webhooks)
)
_TOLD_OF_JOB = (
    select(webhooks.c.id, webhooks.c.tenant, webhooks.c.events, now().label("at"))
    .join(jobs, jobs.c.tenant == webhooks.c.tenant)
    # Of a search its own end is news, and not that of each trial.
    .where(jobs.c.id == bindparam("job"), jobs.c.parent.is_(None), webhooks.c.state == ACTIVE)
    .with_for_update(read=True, key_share=True, skip_locked=True, of=webhooks)
)
_VERSIONS = (
    select(models.c.name, versions.c.number, versions.c.id, versions.c.job)
    .join(versions, (versions.c.tenant == models.c.tenant) & (versions.c.model == models.c.id))
    .where(models.c.tenant == bindparam("of"))
    .where(or_(versions.c.job == bindparam("job"), versions.c.id == bindparam("used")))
)
_JOB = select(
    jobs.c.id, jobs.c.tenant, jobs.c.state, jobs.c.action, jobs.c.kind, jobs.c.model, jobs.c.version, jobs.c.schedule,
    jobs.c.error,
).where(jobs.c.id == bindparam("job"))  # fmt: skip


def tell(sql: Connection, tenant: str, type_: str, data: Json) -> None:
    """Write down what every webhook of a tenant that asked for it is to be told: ids and states, never content."""
    rows = sql.execute(_TOLD, {"of": tenant}).all()
    _write(sql, rows, type_, data)


def tell_end(sql: Connection, job_id: str, state: str) -> None:
    """Write down that a job has ended; costs one look at an index where the tenant has no webhook."""
    rows = sql.execute(_TOLD_OF_JOB, {"job": job_id}).all()
    if rows:
        _write(sql, rows, ENDS[state], _data(sql, job_id))


def _data(sql: Connection, job_id: str) -> Json:
    row = sql.execute(_JOB, {"job": job_id}).one()
    found = sql.execute(_VERSIONS, {"of": row.tenant, "job": row.id, "used": row.version}).all()
    # What it made goes before what it used.
    named = sorted(found, key=lambda each: each.job != row.id)
    model = f"{named[0].name}@{named[0].number}" if named else row.model
    return {
        "job": row.id, "state": row.state, "action": row.action, "kind": row.kind, "model": model,
        "schedule": row.schedule, "error": (row.error or {}).get("code"),
    }  # fmt: skip


def _write(sql: Connection, rows: Any, type_: str, data: Json) -> None:  # Any: rows of (id, events, at)
    meant = [row for row in rows if type_ in row.events or ALL in row.events]
    if meant:
        sql.execute(insert(deliveries), [_delivery(row, type_, data, at=row.at) for row in meant])


def _delivery(webhook: Row[Any], type_: str, data: Json, *, at: float) -> Json:
    body = orjson.dumps({"type": type_, "timestamp": moments.shown(at), "data": data}).decode()
    return {
        "id": ids.new("dlv"), "tenant": webhook.tenant, "webhook": webhook.id, "type": type_, "body": body,
        "state": WAITING, "attempts": 0, "log": [], "next_at": at, "created_at": at,
    }  # fmt: skip


def create(sql: Connection, tenant: str, *, url: str, events: list[str], description: str | None) -> Row[Any]:
    """Add a webhook, its URL checked before. Raises NotAllowedNow when the tenant has as many as it may."""
    # Held, so that two who come at once count one after the other; not so that the tenant's jobs wait.
    sql.execute(select(tenants.c.id).where(tenants.c.id == tenant).with_for_update(key_share=True))
    if sql.execute(select(func.count()).where(webhooks.c.tenant == tenant)).scalar_one() >= WEBHOOKS_AT_MOST:
        said = f"There are {WEBHOOKS_AT_MOST} webhooks, which is the limit: delete one first."
        raise NotAllowedNow(said, code="too_many_webhooks")
    values = {
        "id": ids.new("whk"), "tenant": tenant, "url": url, "events": events, "description": description,
        "secret": _new_secret(), "state": ACTIVE, "created_at": now(),
    }  # fmt: skip
    return sql.execute(insert(webhooks).values(values).returning(webhooks)).one()


def _new_secret() -> str:
    # Kept sealed, and no digest of it as of an API key: each signature is made with it.
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def find(sql: Connection, tenant: str, webhook_id: str) -> Row[Any]:
    """One webhook. Raises NotFound."""
    row = sql.execute(select(webhooks).where(_is(tenant, webhook_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such webhook.")
    return row


def page(sql: Connection, tenant: str, *, limit: int, before: str | None) -> list[Row[Any]]:
    """The newest first."""
    chosen = select(webhooks).where(webhooks.c.tenant == tenant)
    if before is not None:
        chosen = chosen.where(webhooks.c.id < before)
    return list(sql.execute(chosen.order_by(webhooks.c.id.desc()).limit(limit)).all())


def change(sql: Connection, tenant: str, webhook_id: str, values: Json) -> Row[Any]:
    """Change what is given; whoever switches it on again is taken to have mended it. Raises NotFound."""
    if "state" in values:
        values = {**values, "error": null(), "failing_since": None}
    if values:
        sql.execute(update(webhooks).where(_is(tenant, webhook_id)).values(values))
    row = find(sql, tenant, webhook_id)
    if row.state == DISABLED:
        _give_up(sql, webhook_id)
    return row


def disable(sql: Connection, tenant: str, webhook_id: str, error: Json) -> None:
    """Switch a webhook off because of what its receiver did; what still waits for it is not sent any more."""
    sql.execute(update(webhooks).where(_is(tenant, webhook_id)).values(state=DISABLED, error=error))
    _give_up(sql, webhook_id)


def _give_up(sql: Connection, webhook_id: str) -> None:
    waiting = (deliveries.c.webhook == webhook_id) & (deliveries.c.state == WAITING)
    ended = {"state": FAILED, "ended_at": now(), "next_at": None, "lease_until": None}
    sql.execute(update(deliveries).where(waiting).values(ended))


def remove(sql: Connection, tenant: str, webhook_id: str) -> None:
    """Delete a webhook with its deliveries. Raises NotFound."""
    if sql.execute(delete(webhooks).where(_is(tenant, webhook_id))).rowcount == 0:
        raise NotFound("There is no such webhook.")


def rotate(sql: Connection, tenant: str, webhook_id: str) -> Row[Any]:
    """Make a new secret; the one until now is signed with as well for OLD_SECRET_S. Raises NotFound."""
    values = {"secret": _new_secret(), "old_secret": webhooks.c.secret, "old_secret_until": now() + OLD_SECRET_S}
    row = sql.execute(
        update(webhooks).where(_is(tenant, webhook_id)).values(values).returning(webhooks)
    ).one_or_none()  # fmt: skip
    if row is None:
        raise NotFound("There is no such webhook.")
    return row


def ping(sql: Connection, tenant: str, webhook_id: str) -> str:
    """Write down a delivery that says nothing but that it arrives; returns its id. Raises NotFound, NotAllowedNow."""
    row = find(sql, tenant, webhook_id)
    demand_active(row)
    at = sql.execute(select(now())).scalar_one()
    made = _delivery(row, PING, {"webhook": webhook_id}, at=at)
    sql.execute(insert(deliveries).values(made))
    return str(made["id"])


def demand_active(row: Row[Any]) -> None:
    """Refuse to send through a webhook that is switched off."""
    if row.state != ACTIVE:
        raise NotAllowedNow("The webhook is disabled: set its state to active first.", code="webhook_disabled")


def _is(tenant: str, webhook_id: str) -> Any:  # Any: a condition
    return (webhooks.c.id == webhook_id) & (webhooks.c.tenant == tenant)
