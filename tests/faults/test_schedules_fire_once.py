"""A moment of a schedule makes one job, however many schedulers see it come, and whatever becomes of them."""

import math
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select, update

from shared import fires, schedules
from shared.database import Database, now
from shared.tables import fires as fire_table
from shared.tables import jobs
from shared.tables import schedules as table
from shared.tenancy import EVERYONE
from tests.factories import SONGS, make_dataset
from tests.faults.house import House

HOUR_S, WEEK_S = 3600.0, 604_800.0
JOB = {"action": "train", "kind": "classification", "dataset": "songs"}


def make(house: House, count: int, *, since: float, **said: Any) -> list[str]:
    """So many schedules of which moments have come since then; nobody sees one of them before all are there."""
    values = {
        "cron": "* * * * *", "timezone": "UTC", "job": JOB, "overlap": "replace", "misfire": "all",
        "misfire_grace_s": WEEK_S, **said,
    }  # fmt: skip
    with house.database.transaction() as sql:
        make_dataset(sql, house.tenant, name="songs", profile=SONGS)
        made = [
            schedules.create(sql, house.tenant, {**values, "name": f"schedule {number}"}, house.settings).id
            for number in range(count)
        ]
        sql.execute(update(table).values(next_at=since))
    return made


def is_all_decided(house: House) -> bool:
    with house.database.reading() as sql:
        late = select(func.count()).select_from(table).where(table.c.next_at <= now())
        return bool(sql.execute(late).scalar_one() == 0)


def told(house: House, schedule: str) -> list[tuple[float, str]]:
    with house.database.reading() as sql:
        runs = schedules.list_runs(sql, schedule, limit=1000, before=None)
    return [(run.due_at, run.outcome) for run in reversed(runs)]


def check(house: House) -> None:
    """Every job of a schedule is that of one moment, and every moment that made a job made one."""
    with house.database.reading() as sql:
        made = Counter(sql.execute(select(jobs.c.id).where(jobs.c.schedule.is_not(None))).scalars())
        told = Counter(sql.execute(select(fire_table.c.job).where(fire_table.c.job.is_not(None))).scalars())
    assert made == told


def minutes_ago(count: int) -> float:
    return math.floor(time.time() / 60 - count) * 60.0


@pytest.mark.parametrize("schedulers", [2, 5])
def test_26_schedulers_that_run_at_once_fire_every_moment_once(house: House, schedulers: int) -> None:
    since = minutes_ago(6)
    for _ in range(schedulers):
        house.scheduler()

    every = make(house, 40, since=since)
    house.wait(lambda: is_all_decided(house))
    # The runs of another policy, which wait for the last of these to end.
    with house.database.transaction() as sql:
        sql.execute(update(table).values(overlap="queue"))
        sql.execute(update(table).values(next_at=since - 120))
    house.wait(lambda: is_all_decided(house))
    with house.database.transaction() as sql:
        sql.execute(update(jobs).where(jobs.c.state == "queued").values(state="succeeded"))
    house.wait(lambda: house.count("queued") == len(every))

    check(house)
    for schedule in every:
        moments = told(house, schedule)
        assert [due_at for due_at, _ in moments[:8]] == [since - 120 + 60 * number for number in range(8)]
        assert {outcome for _, outcome in moments[2:8]} == {"submitted"}
        # Two more had been left out, and the older of them no longer waits.
        assert [outcome for _, outcome in moments[:2]] == ["submitted", "waiting"]


@pytest.mark.parametrize("schedulers", [2, 5])
def test_of_those_who_saw_it_at_the_same_moment_one_fires(house: House, schedulers: int) -> None:
    (schedule,) = make(house, 1, since=minutes_ago(1))
    with house.database.reading() as sql:
        (seen,) = fires.list_due(sql)
    databases = [Database(house.settings, whose=EVERYONE) for _ in range(schedulers)]
    together = Barrier(schedulers)

    def fire(database: Database) -> bool:
        together.wait(30)
        with database.transaction() as sql:
            return fires.fire(sql, seen, house.settings)

    with ThreadPoolExecutor(schedulers) as pool:
        fired = list(pool.map(fire, databases))
    for database in databases:
        database.close()

    assert sorted(fired) == [False] * (schedulers - 1) + [True]
    check(house)
    assert {outcome for _, outcome in told(house, schedule)} == {"submitted"}


def test_a_scheduler_that_is_killed_while_it_fires_loses_no_moment_and_doubles_none(house: House) -> None:
    since = minutes_ago(6)
    every = make(house, 150, since=since)

    for _ in range(3):
        before = count_fired(house)
        killed = house.scheduler()
        house.wait(lambda before=before: count_fired(house) > before)
        killed.kill()
        killed.wait()
    house.scheduler()
    house.wait(lambda: is_all_decided(house))

    check(house)
    for schedule in every:
        assert told(house, schedule)[:6] == [(since + 60 * number, "submitted") for number in range(6)]


def count_fired(house: House) -> int:
    with house.database.reading() as sql:
        return int(sql.execute(select(func.count()).select_from(fire_table)).scalar_one())


@pytest.mark.parametrize(
    ("misfire", "grace_s", "overlap", "outcomes"),
    [
        ("skip", WEEK_S, "skip", ["missed", "missed", "missed"]),
        ("once", WEEK_S, "skip", ["missed", "missed", "submitted"]),
        ("once", 60.0, "skip", ["missed", "missed", "missed"]),
        ("all", WEEK_S, "skip", ["submitted", "skipped", "skipped"]),
        ("all", WEEK_S, "queue", ["submitted", "waiting", "waiting"]),
        ("all", WEEK_S, "replace", ["submitted", "submitted", "submitted"]),
        ("all", 1.5 * HOUR_S, "replace", ["missed", "submitted", "submitted"]),
    ],
)
def test_a_scheduler_that_was_away_for_three_moments_does_what_the_schedule_says(
    house: House, misfire: str, grace_s: float, overlap: str, outcomes: list[str]
) -> None:
    # The last one was twenty minutes ago, whenever the test runs.
    last = minutes_ago(20)
    cron = f"{round(last / 60) % 60} * * * *"
    said = {"misfire": misfire, "misfire_grace_s": grace_s, "overlap": overlap}
    (schedule,) = make(house, 1, since=last - 2 * HOUR_S, cron=cron, **said)

    for _ in range(2):
        house.scheduler()
    house.wait(lambda: is_all_decided(house))

    check(house)
    assert told(house, schedule) == [(last + (place - 2) * HOUR_S, said) for place, said in enumerate(outcomes)]


def test_a_schedule_that_breaks_is_stopped_and_stops_no_other(house: House) -> None:
    broken, well = make(house, 2, since=minutes_ago(6), misfire="once")
    with house.database.transaction() as sql:
        sql.execute(update(table).where(table.c.id == broken).values(timezone="Nowhere/City"))

    scheduler = house.scheduler()
    house.wait(lambda: is_all_decided(house))

    assert scheduler.poll() is None
    with house.database.reading() as sql:
        row = schedules.find(sql, house.tenant, broken)
    assert (row.state, row.next_at, row.error["code"]) == ("paused", None, "internal")
    assert told(house, well)[-1][1] == "submitted"


def test_a_moment_is_met_though_the_tick_is_long(house: House) -> None:
    """The scheduler sleeps until the next moment, not until its next tick, which is after the test's limit."""
    (schedule,) = make(house, 1, since=9e9, misfire="skip")
    with house.database.transaction() as sql:
        # A minute's end may be as far as a minute away; a moment of a schedule is any that its row says.
        sql.execute(update(table).values(next_at=now() + 4))

    house.start("worker.tick", ETUDE_TICK_S="300")
    house.wait(lambda: is_all_decided(house))

    with house.database.reading() as sql:
        assert schedules.find(sql, house.tenant, schedule).next_at < time.time() + 61
