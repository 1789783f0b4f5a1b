"""Fault 39: ten thousand jobs wait for one worker, and Redis hears of few of them."""

from sqlalchemy import insert, select, update

from shared import history, ids
from shared.database import now
from shared.jobs import CANCELLED, QUEUED
from shared.queue import RINGS_AT_ONCE
from shared.tables import events
from shared.tables import jobs as table
from tests.faults.house import House

MANY, ENOUGH = 10_000, 100


def submit_many(house: House) -> None:
    """The same job many times over: one is submitted, the others are copies of its row and of its first event."""
    first = house.submit(is_rung=False, steps=1, checkpoint_every=2)
    with house.database.transaction() as sql:
        row = sql.execute(select(table).where(table.c.id == first)).mappings().one()
        told = sql.execute(select(events).where(events.c.job == first)).mappings().one()
        copies = [ids.new("job") for _ in range(MANY - 1)]
        sql.execute(insert(table), [{**row, "id": copy} for copy in copies])
        # Each has a place of its own among all events.
        bare = {name: value for name, value in told.items() if name != "position"}
        sql.execute(insert(events), [{**bare, "job": copy} for copy in copies])


def cancel_what_waits(house: House) -> None:
    """As jobs.cancel does it, of all at once: one by one it would take longer than all the rest."""
    with house.database.transaction() as sql:
        cancelled = update(table).where(table.c.state == QUEUED).values(state=CANCELLED, ended_at=now())
        left = sql.execute(cancelled.returning(table.c.tenant, table.c.id)).all()
        for job in left:
            history.note(sql, job.tenant, job.id, "state", {"state": CANCELLED})


def test_39_ten_thousand_waiting_jobs_cost_at_most_two_rings_each(house: House) -> None:
    submit_many(house)
    house.scheduler()
    worker = house.worker()

    house.wait(lambda: house.count("succeeded") >= ENOUGH)
    ended, rings = house.count("succeeded"), house.count_rings()
    worker.terminate()
    house.wait_for_exit(worker)
    cancel_what_waits(house)

    assert rings <= 2 * ended + RINGS_AT_ONCE
    house.check()
