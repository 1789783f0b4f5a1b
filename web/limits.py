"""/v1/limits: what the tenant may have, and what of it is taken."""

from typing import Any

from shared import job_list, quotas
from shared.keys import READ
from web import tenant_schemas
from web.api import Answer, Call, route
from web.rates import Buckets

# Nobody needs to know of more, and counting on would cost every caller.
COUNTED_AT_MOST = 1_000_000


@route("GET", "/v1/limits", scope=READ, answer=tenant_schemas.Limits)
def show(call: Call) -> Answer:
    """Every limit with what is used of it; of the day's compute what is spent or promised to open jobs."""
    sql, tenant = call.sql, call.caller.tenant
    limits = quotas.of_tenant(sql, tenant, call.services.settings)
    used = {
        "stored_bytes": (limits.stored_bytes, quotas.stored_bytes(sql, tenant)),
        "jobs_queued": (limits.queued, job_list.count_queued(sql, tenant, at_most=COUNTED_AT_MOST)),
        "jobs_running": (limits.running, quotas.count_running(sql, tenant)),
        "schedules": (limits.schedules, quotas.count_schedules(sql, tenant)),
        "compute_seconds_today": (limits.compute_s, round(quotas.compute_today(sql, tenant), 3)),
    }
    rates = call.services.rates
    return Answer({
        **{name: {"limit": limit, "used": taken} for name, (limit, taken) in used.items()},
        "rates": {"requests": _rate(rates.keys), "submissions": _rate(rates.submissions)},
    })  # fmt: skip


def _rate(buckets: Buckets) -> dict[str, Any]:
    return {"per_second": buckets.rate or None, "burst": buckets.burst}
