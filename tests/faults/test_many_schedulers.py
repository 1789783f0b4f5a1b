"""Any number of schedulers does what one does: fault 26; moments of schedules are in test_schedules_fire_once.py."""

import pytest
from sqlalchemy import select, update

from shared.database import now
from shared.tables import events, jobs
from tests.faults.house import House, child_of


def reasons(house: House, job: str) -> list[str]:
    with house.database.reading() as sql:
        told = select(events.c.data).where(events.c.job == job, events.c.type == "state").order_by(events.c.seq)
        return [data["reason"] for data in sql.execute(told).scalars() if "reason" in data]


@pytest.mark.parametrize("schedulers", [2, 5])
def test_26_schedulers_that_run_at_once_give_back_expire_and_cancel_once(house: House, schedulers: int) -> None:
    for _ in range(schedulers):
        house.scheduler()
    busy = house.worker("1")
    free = house.settings.home / "free"
    lost = house.submit(steps=6, held_at=3, free=str(free))
    house.wait_for_steps(lost, 3)
    child = child_of(busy)
    late, unwanted, waiting = house.submit(), house.submit(), house.submit(steps=3)
    with house.database.transaction() as sql:
        sql.execute(update(jobs).where(jobs.c.id == late).values(deadline_at=now() - 1))
        sql.execute(update(jobs).where(jobs.c.id == unwanted).values(cancel_requested_at=now()))

    busy.kill()
    child.kill()
    house.wait(lambda: house.outcomes(lost) == ["lost"])
    house.wait_for_end(late, unwanted)
    free.touch()
    house.worker("2")
    house.wait_for_end(lost, waiting)

    house.check(lost, waiting)
    assert reasons(house, lost) == ["worker_lost"]
    assert reasons(house, late) == ["deadline_passed"]
    assert (house.find(late).error["code"], house.find(unwanted).state) == ("deadline_passed", "cancelled")
    assert house.outcomes(lost) == ["lost", "succeeded"]
