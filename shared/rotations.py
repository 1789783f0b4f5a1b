"""A tenant's own wish for a new key: one job, which wraps the keys of its files and cells with a key made for it."""

from typing import Any

from sqlalchemy import Connection, Row, select

from shared import jobs, quotas
from shared.errors import NotAllowedNow
from shared.jobs import QUEUED, RUNNING
from shared.queue import LIGHT
from shared.tables import jobs as table

ACTION = "rotate"


def submit(sql: Connection, tenant: str) -> Row[Any]:
    """Submit the job. Raises NotAllowedNow while one is under way: it would make no newer key."""
    # Two who ask at once come one after the other, and the second is told of the first.
    quotas.hold(sql, tenant)
    is_open = (table.c.action == ACTION) & table.c.state.in_((QUEUED, RUNNING))
    under_way = sql.execute(select(table.c.id).where(table.c.tenant == tenant, is_open)).scalar()
    if under_way is not None:
        raise NotAllowedNow(f"The key is being replaced by {under_way}: wait for it.", code="rotation_under_way")
    return jobs.submit(sql, jobs.NewJob(tenant=tenant, action=ACTION, queue=LIGHT))
