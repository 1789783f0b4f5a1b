"""The events of all jobs of a tenant, in one order that nobody who follows it can miss a part of.

Each event has a `position` by a trigger (migration 0013). SQLite has one writer: positions become visible in their
order. PostgreSQL gives them out before the transactions commit, in whichever order; so each transaction holds, from
before its first event until its end, a lock whose key says which position was the last then. What is at or before the
least of these keys, and the last position given, is all there will ever be: the horizon (docs/decisions/0025).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, bindparam, cast, func, select, text

from shared.database import Database, now
from shared.errors import InvalidRequest
from shared.tables import events

# A filter may leave out all that is read: so many rows at once, and the reader goes on from there.
LOOKED_AT_ONCE = 2000

_LAST = select(func.coalesce(func.max(events.c.position), 0))
# The last one may have been deleted; no position is later than the clock but where that was put back.
_CLOCK = select(cast(now() * 1e6, BigInteger))
_GIVEN = text("SELECT last_value FROM events_position")
# The keys are those from 2^62 to 2^63 (migration 0013); no other advisory lock of ours is of one number that large.
_HELD = text("""
SELECT min(((classid::bigint << 32) | objid::bigint) - (1::bigint << 62)) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1
AND classid::bigint >= (1::bigint << 30) AND classid::bigint < (1::bigint << 31)
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")
_NEXT = (
    select(events)
    .where(
        events.c.tenant == bindparam("of"),
        events.c.position > bindparam("after"),
        events.c.position <= bindparam("upto"),
    )
    .order_by(events.c.position)
    .limit(bindparam("at_most"))
)


@dataclass(frozen=True)
class Wanted:
    """Which events of a tenant somebody follows: None is all of them."""

    tenant: str
    types: Collection[str] | None = None
    job: str | None = None

    def admits(self, event: Row[Any]) -> bool:
        return (self.types is None or event.type in self.types) and self.job in (None, event.job)


@dataclass(frozen=True)
class Page:
    """What was found, from where to go on, and whether there is more at once."""

    events: list[Row[Any]]
    read_to: int
    has_more: bool


def horizon(database: Database) -> int:
    """Up to where no event can appear any more. Read what lies before it in a later statement."""
    with database.reading() as sql:
        if database.is_sqlite:
            return int(sql.execute(_LAST).scalar_one())
        # In this order: whoever takes a lock between the two gives out later numbers than the last one here.
        given = int(sql.execute(_GIVEN).scalar_one())
        held = sql.execute(_HELD).scalar_one()
        return given if held is None else min(given, int(held))


def page(sql: Connection, wanted: Wanted, *, after: int, upto: int, limit: int) -> Page:
    """The next events behind `after` and up to the horizon; `limit` at most, and fewer where a filter leaves out."""
    is_filtered = wanted.types is not None or wanted.job is not None
    at_most = max(limit, LOOKED_AT_ONCE) if is_filtered else limit
    seen = sql.execute(_NEXT, {"of": wanted.tenant, "after": after, "upto": upto, "at_most": at_most}).all()
    found = [event for event in seen if wanted.admits(event)][:limit]
    if len(found) == limit:
        return Page(found, found[-1].position, has_more=True)
    # Never the horizon itself: it tells how much has happened to everybody.
    return Page(found, seen[-1].position if seen else after, has_more=len(seen) == at_most)


def demand_given(database: Database, after: int, *, name: str) -> None:
    """Raise InvalidRequest for a position that is still to come: its reader would miss what happens until then."""
    with database.reading() as sql:
        last = max(
            int(sql.execute(each).scalar_one()) for each in ((_LAST, _CLOCK) if database.is_sqlite else (_GIVEN,))
        )
    if after > last:
        raise unknown(name=name)


def unknown(*, name: str) -> InvalidRequest:
    """What whoever goes on from an event that has not been is told."""
    said = f"{name}: there is no such event. Begin from 0, or from an id that was told here."
    return InvalidRequest(said, code="event_unknown")
