"""/v1/usage: what the tenant's jobs have cost, summed by day, model, label, kind or job."""

from datetime import UTC, datetime
from typing import Any

from shared import consumption, tariff
from shared.errors import InvalidRequest
from shared.keys import READ
from web import answer_schemas
from web.api import Answer, Call, route
from web.requests import UsageQuery

# Sums that a tenant without any such figure has as nought; energy and money are then not known.
SECONDS = ("compute_s", "helped_s", "cpu_s", "gpu_s")


@route("GET", "/v1/usage", scope=READ, query=UsageQuery, answer=answer_schemas.Usage)
def usage(call: Call) -> Answer:
    """Sums over the jobs that have ended, whatever became of them."""
    query: UsageQuery = call.query
    since, until = read_time(query.since, name="from"), read_time(query.until, name="to")
    if since is not None and until is not None and since >= until:
        raise InvalidRequest("from: expected a time before to; give the earlier one first", code="invalid_parameter")
    found = consumption.page(
        call.sql, call.caller.tenant, by=query.by, since=since, until=until,
        limit=query.limit + 1, offset=query.cursor,
    )  # fmt: skip
    rows = [_row(row, by=query.by) for row in found[: query.limit]]
    more = str(query.cursor + query.limit) if len(found) > query.limit else None
    prices = tariff.of(call.services.settings)
    currency = prices.currency if prices.has_prices else None
    return Answer({"data": rows, "by": query.by, "currency": currency, "next_cursor": more})


def _row(row: dict[str, Any], *, by: str) -> dict[str, Any]:
    key = row["key"]
    if by == "day":
        key = datetime.fromtimestamp(key * consumption.DAY_S, UTC).date().isoformat()
    return {**row, "key": key, **{name: row[name] or 0.0 for name in SECONDS}}


def read_time(text: str | None, *, name: str) -> float | None:
    """Seconds since 1970 of a day, which begins in UTC, or of an RFC 3339 moment."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None and len(text) > len("2026-01-31"):
            raise ValueError("no zone")
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as cause:
        said = f"{name}: expected a day such as 2026-01-31, or a moment such as 2026-01-31T12:00:00Z"
        raise InvalidRequest(said, code="invalid_parameter") from cause
