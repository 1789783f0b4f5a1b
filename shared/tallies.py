"""What has happened to jobs, counted for /metrics: numbers that only grow, whatever is deleted afterwards.

The scheduler folds the events into them, each event once: no job's own transaction pays for it, and none waits for
another. `outcome` in an event says that an attempt ended, and how.
"""

from bisect import bisect_left
from collections import defaultdict
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select, text, update

from shared import feed
from shared.database import Database
from shared.errors import Damaged
from shared.log import logger
from shared.tables import events, jobs, tallies

# Of a job, from its first start to its end: a tiny training takes seconds, a search a day. The last is without bound.
EDGES_S = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, float("inf"))
SUBMITTED, RETRIED, REQUEUED, ENDING, TOOK = "submitted", "retried", "requeued", "ended", "took"
BEGUN, ATTEMPT, DEAF, NO_RING = "begun", "attempt", "deaf", "no_ring"
# A fold of so many takes some 50 ms of SQLite's lock; those that are left are the next fold's.
FOLDED_AT_ONCE, FOLDS_A_TICK = 1000, 10
_READ_TO = "read_to"

# Which event was counted last; nothing is there until somebody counts, for a new database is an empty one.
_BEGIN = text("""
INSERT INTO tallies (series, action, label, bucket, count, seconds) VALUES ('read_to', '', '', 0, 0, 0)
ON CONFLICT (series, action, label, bucket) DO NOTHING
""")
_FIND = select(tallies.c.count).where(tallies.c.series == _READ_TO)
_CURSOR = select(tallies.c.count).where(tallies.c.series == _READ_TO).with_for_update(skip_locked=True)
_ADVANCE = update(tallies).where(tallies.c.series == _READ_TO).values(count=bindparam("upto"))
_ADD = text("""
INSERT INTO tallies (series, action, label, bucket, count, seconds)
VALUES (:series, :action, :label, :bucket, :count, :seconds)
ON CONFLICT (series, action, label, bucket)
DO UPDATE SET count = tallies.count + excluded.count, seconds = tallies.seconds + excluded.seconds
""")
_NEXT = (
    select(events.c.position, events.c.seq, events.c.at, events.c.type, events.c.data, jobs.c.action, jobs.c.started_at)
    .join(jobs, jobs.c.id == events.c.job)
    .where(events.c.position > bindparam("after"), events.c.position <= bindparam("upto"))
    .order_by(events.c.position)
    .limit(FOLDED_AT_ONCE)
)


log = logger("tallies")


class Tally(NamedTuple):
    """What is counted: of `took`, `label` is a state and `bucket` the place of the edge; else `bucket` is 0."""

    series: str
    action: str
    label: str = ""
    bucket: int = 0


class Counted(NamedTuple):
    """How often, and for how many seconds in all."""

    tally: Tally
    times: int
    seconds: float


def fold(database: Database) -> None:
    """Count what has happened since the last time. Any number of schedulers may say it: one does it."""
    upto = feed.horizon(database)
    with database.reading() as sql:
        seen = sql.execute(_FIND).scalar()
    if seen == upto:
        return
    if seen is None:
        with database.transaction() as sql:
            sql.execute(_BEGIN)
    for _ in range(FOLDS_A_TICK):
        with database.transaction() as sql:
            if not _fold_some(sql, upto):
                return


def add(sql: Connection, tally: Tally, *, count: int = 1, seconds: float = 0.0) -> None:
    """Count something; the row is held until the transaction ends, so nothing that is frequent may be counted so."""
    sql.execute(_ADD, {**tally._asdict(), "count": count, "seconds": seconds})


def every(sql: Connection) -> list[Counted]:
    """All that has been counted."""
    rows = sql.execute(select(tallies).where(tallies.c.series != _READ_TO)).mappings()
    return [
        Counted(Tally(row["series"], row["action"], row["label"], row["bucket"]), int(row["count"]), row["seconds"])
        for row in rows
    ]


def _fold_some(sql: Connection, upto: int) -> bool:
    """Whether there may be more."""
    after = sql.execute(_CURSOR).scalar()
    if after is None:
        return False  # another scheduler is at it
    found = sql.execute(_NEXT, {"after": after, "upto": upto}).all()
    counts: dict[Tally, list[float]] = defaultdict(lambda: [0, 0.0])
    for event in found:
        for tally, seconds in _read_if_it_can_be(event):
            counts[tally][0] += 1
            counts[tally][1] += seconds
    # In one order, for presence adds to these rows as well.
    for tally in sorted(counts):
        count, seconds = counts[tally]
        add(sql, tally, count=int(count), seconds=seconds)
    has_more = len(found) == FOLDED_AT_ONCE
    sql.execute(_ADVANCE, {"upto": found[-1].position if has_more else max(after, upto)})
    return has_more


def _read_if_it_can_be(event: Any) -> list[tuple[Tally, float]]:
    try:
        return _read(event)
    except Damaged as damaged:
        # It will be unreadable tomorrow, too, and nothing else would ever be counted.
        log.error("damaged", position=event.position, detail=damaged.detail)
        return []


def _read(event: Any) -> list[tuple[Tally, float]]:
    """What is counted of an event, a row of _NEXT, each with seconds."""
    if event.type not in ("state", "stage"):
        return []
    said = event.data
    found = [(Tally(ATTEMPT, event.action, said["outcome"]), 0.0)] if "outcome" in said else []
    if event.type == "stage":
        return found
    match said["state"]:
        case "queued" if "reason" in said:
            found.append((Tally(REQUEUED, event.action, said["reason"]), 0.0))
        case "queued":
            found.append((Tally(SUBMITTED if event.seq == 1 else RETRIED, event.action), 0.0))
        case "running":
            found.append((Tally(BEGUN, event.action), 0.0))
        case state:
            found += [(Tally(ENDING, event.action, state), 0.0), *_took(event, state)]
    return found


def _took(event: Any, state: str) -> list[tuple[Tally, float]]:
    if event.started_at is None:
        return []  # it ended in the queue
    seconds = max(0.0, event.at - event.started_at)
    return [(Tally(TOOK, event.action, state, bisect_left(EDGES_S, seconds)), seconds)]
