"""Schedules: what becomes of each moment, at moments that the tests choose."""

import dataclasses
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, Row, insert, literal, select, update

from shared import cron, fires, jobs, schedules, webhooks
from shared.database import Database
from shared.errors import EtudeError, InvalidRequest, NotAllowedNow, NotFound
from shared.settings import Settings
from shared.tables import datasets as dataset_table
from shared.tables import deliveries
from shared.tables import fires as fire_table
from shared.tables import jobs as job_table
from shared.tables import schedules as table
from tests.factories import SONGS, claim, make_dataset, make_job

DAY_S, HOUR_S = 86_400.0, 3600.0
# A Friday, 03:00 in UTC.
NIGHT = datetime(2027, 1, 15, 3, tzinfo=UTC).timestamp()

JOB = {"action": "train", "kind": "classification", "dataset": "songs@latest"}

Json = dict[str, Any]


def make(sql: Connection, tenant: str, settings: Settings, *, next_at: float = NIGHT, **said: Any) -> str:
    """A schedule at three each night that trains on the newest songs, due next at `next_at`."""
    if not sql.execute(select(dataset_table).where(dataset_table.c.tenant == tenant)).first():
        make_dataset(sql, tenant, name="songs", profile=SONGS)
    values = {
        "name": "nightly", "cron": "0 3 * * *", "timezone": "UTC", "overlap": "skip", "misfire": "once",
        "misfire_grace_s": HOUR_S, "job": JOB, **said,
    }  # fmt: skip
    row = schedules.create(sql, tenant, values, settings)
    sql.execute(update(table).where(table.c.id == row.id).values(next_at=next_at))
    return str(row.id)


def seen(sql: Connection, schedule: str, at: float) -> Row[Any]:
    """The schedule as a scheduler sees it at a moment."""
    return sql.execute(select(table, literal(at).label("at")).where(table.c.id == schedule)).one()


def fire(database: Database, schedule: str, at: float, settings: Settings) -> bool:
    with database.transaction() as sql:
        return fires.fire(sql, seen(sql, schedule, at), settings)


def find(database: Database, schedule: str) -> Row[Any]:
    with database.reading() as sql:
        return sql.execute(select(table).where(table.c.id == schedule)).one()


def runs(database: Database, schedule: str) -> list[Row[Any]]:
    """In the order of their moments."""
    with database.reading() as sql:
        return schedules.list_runs(sql, schedule, limit=1000, before=None)[::-1]


def outcomes(database: Database, schedule: str) -> list[str]:
    return [run.outcome for run in runs(database, schedule)]


def job_states(database: Database, schedule: str) -> list[str]:
    with database.reading() as sql:
        chosen = select(job_table.c.state).where(job_table.c.schedule == schedule).order_by(job_table.c.id)
        return list(sql.execute(chosen).scalars())


def end(database: Database, job: str, state: str = "succeeded") -> None:
    with database.transaction() as sql:
        sql.execute(update(job_table).where(job_table.c.id == job).values(state=state, lease_until=None))


def test_a_moment_that_has_come_makes_one_job_and_the_next_is_awaited(
    database: Database, tenant: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings)

    assert fire(database, schedule, NIGHT + 1.5, settings)

    (run,) = runs(database, schedule)
    assert (run.due_at, run.fired_at, run.outcome, run.by_hand) == (NIGHT, NIGHT + 1.5, "submitted", False)
    assert (run.job_state, run.error) == ("queued", None)
    assert find(database, schedule).next_at == NIGHT + DAY_S
    with database.reading() as sql:
        job = sql.execute(select(job_table).where(job_table.c.id == run.job)).one()
    assert (job.schedule, job.tenant, job.action, job.model) == (schedule, tenant, "train", "songs")


def test_whoever_saw_it_before_it_was_taken_makes_nothing(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings)
        early = seen(sql, schedule, NIGHT)

    assert fire(database, schedule, NIGHT, settings)
    with database.transaction() as sql:
        assert not fires.fire(sql, early, settings)

    assert outcomes(database, schedule) == ["submitted"]


def test_what_was_changed_meanwhile_is_not_fired_as_it_was(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings)
        early = seen(sql, schedule, NIGHT)
        schedules.change(sql, tenant, schedule, {"overlap": "queue"}, settings)

        assert not fires.fire(sql, early, settings)

    assert runs(database, schedule) == []


def test_only_what_has_come_is_listed_as_due(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        due = make(sql, tenant, settings, name="due", next_at=60.0)
        paused = make(sql, tenant, settings, name="paused", next_at=60.0)
        make(sql, tenant, settings, name="later", next_at=9e9)
        schedules.pause(sql, tenant, paused)

        assert [row.id for row in fires.list_due(sql)] == [due]
        assert fires.seconds_to_next(sql) < 0


def test_the_newest_dataset_is_looked_for_at_every_moment(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings, overlap="replace")
    fire(database, schedule, NIGHT, settings)
    with database.transaction() as sql:
        newest = make_dataset(sql, tenant, name="songs", version=2, profile=SONGS)

    fire(database, schedule, NIGHT + DAY_S, settings)

    with database.reading() as sql:
        used = sql.execute(select(job_table.c.datasets).order_by(job_table.c.id)).scalars().all()
    assert used[1] == [newest] != used[0]


# Three nights missed; the scheduler comes ten minutes after the third, with an hour or a week of grace.
@pytest.mark.parametrize(
    ("misfire", "grace_s", "overlap", "told"),
    [
        ("skip", HOUR_S, "skip", ["missed", "missed", "missed"]),
        ("once", HOUR_S, "skip", ["missed", "missed", "submitted"]),
        ("all", HOUR_S, "skip", ["missed", "missed", "submitted"]),
        ("once", 60.0, "skip", ["missed", "missed", "missed"]),
        ("skip", 7 * DAY_S, "skip", ["missed", "missed", "missed"]),
        ("once", 7 * DAY_S, "skip", ["missed", "missed", "submitted"]),
        ("all", 7 * DAY_S, "skip", ["submitted", "skipped", "skipped"]),
        ("all", 7 * DAY_S, "queue", ["submitted", "waiting", "waiting"]),
        ("all", 7 * DAY_S, "replace", ["submitted", "submitted", "submitted"]),
    ],
)
def test_who_comes_late_makes_up_for_what_the_schedule_says(
    database: Database, tenant: str, settings: Settings, misfire: str, grace_s: float, overlap: str, told: list[str]
) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings, misfire=misfire, misfire_grace_s=grace_s, overlap=overlap)

    fire(database, schedule, NIGHT + 2 * DAY_S + 600, settings)

    assert outcomes(database, schedule) == told
    assert [run.due_at for run in runs(database, schedule)] == [NIGHT, NIGHT + DAY_S, NIGHT + 2 * DAY_S]
    assert find(database, schedule).next_at == NIGHT + 3 * DAY_S
    assert job_states(database, schedule).count("queued") == min(told.count("submitted"), 1)


def test_a_minute_late_is_on_time_whatever_the_misfire(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings, misfire="skip", misfire_grace_s=0.0)

    fire(database, schedule, NIGHT + 60, settings)
    fire(database, schedule, NIGHT + DAY_S + 61, settings)

    assert outcomes(database, schedule) == ["submitted", "missed"]


def test_a_moment_that_is_on_time_stands_for_those_that_were_missed(
    database: Database, tenant: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings, cron="* * * * *", misfire="once")

    fire(database, schedule, NIGHT + 300, settings)

    assert outcomes(database, schedule) == ["missed"] * 5 + ["submitted"]


def test_years_without_a_scheduler_leave_a_hundred_rows(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings, cron="* * * * *", misfire="all", overlap="queue", misfire_grace_s=7200.0)

    fire(database, schedule, NIGHT + 3 * 365 * DAY_S + 30, settings)

    # The last one is on time: something waits already.
    assert outcomes(database, schedule) == ["submitted", *["waiting"] * (fires.MOMENTS_AT_MOST - 2), "skipped"]
    assert runs(database, schedule)[-1].due_at == NIGHT + 3 * 365 * DAY_S


def test_a_clock_that_was_put_back_makes_no_second_job(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings)
    fire(database, schedule, NIGHT, settings)
    with database.transaction() as sql:
        sql.execute(update(table).values(next_at=NIGHT))

    assert fire(database, schedule, NIGHT, settings)

    assert outcomes(database, schedule) == ["submitted"]
    assert find(database, schedule).next_at == NIGHT + DAY_S


def test_skip_lets_a_moment_go_by_while_a_run_is_queued_or_running(
    database: Database, tenant: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings, overlap="skip")
    fire(database, schedule, NIGHT, settings)
    fire(database, schedule, NIGHT + DAY_S, settings)
    with database.transaction() as sql:
        running = claim(sql)
    fire(database, schedule, NIGHT + 2 * DAY_S, settings)
    end(database, running.job_id)
    fire(database, schedule, NIGHT + 3 * DAY_S, settings)

    assert outcomes(database, schedule) == ["submitted", "skipped", "skipped", "submitted"]


def test_another_schedules_job_is_in_nobodys_way(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        first, second = make(sql, tenant, settings), make(sql, tenant, settings, name="other")
        make_job(sql, tenant)
    fire(database, first, NIGHT, settings)
    fire(database, second, NIGHT, settings)

    assert outcomes(database, second) == ["submitted"]


def test_queue_submits_the_one_that_waits_when_the_run_before_has_ended(
    database: Database, tenant: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings, overlap="queue")
    for night in range(3):
        fire(database, schedule, NIGHT + night * DAY_S, settings)
    with database.reading() as sql:
        blocked = fires.list_waiting(sql)
    end(database, runs(database, schedule)[0].job, "failed")
    with database.transaction() as sql:
        (free,) = fires.list_waiting(sql)
        assert fires.submit_waiting(sql, free, settings)
        assert not fires.submit_waiting(sql, free, settings)

    assert blocked == []
    assert outcomes(database, schedule) == ["submitted", "submitted", "skipped"]
    assert [run.job_state for run in runs(database, schedule)] == ["failed", "queued", None]
    assert runs(database, schedule)[1].fired_at == free.at
    assert find(database, schedule).next_at == NIGHT + 3 * DAY_S


def test_what_waits_is_submitted_once_by_whoever_looks_first(
    database: Database, tenant: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings, overlap="queue")
    for night in range(2):
        fire(database, schedule, NIGHT + night * DAY_S, settings)
    end(database, runs(database, schedule)[0].job)
    with database.reading() as sql:
        (early,) = fires.list_waiting(sql)
    with database.transaction() as sql:
        schedules.change(sql, tenant, schedule, {"misfire": "skip"}, settings)
        assert not fires.submit_waiting(sql, early, settings)
        (late,) = fires.list_waiting(sql)
        assert fires.submit_waiting(sql, late, settings)

    assert job_states(database, schedule) == ["succeeded", "queued"]


def test_what_waits_of_another_schedule_goes_on_waiting(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        first = make(sql, tenant, settings, overlap="queue")
        second = make(sql, tenant, settings, overlap="queue", name="other", job={**JOB, "dataset": "songs"})
    for schedule in (first, second):
        for night in range(2):
            fire(database, schedule, NIGHT + night * DAY_S, settings)
    end(database, runs(database, first)[0].job)
    with database.transaction() as sql:
        (free,) = fires.list_waiting(sql)
        fires.submit_waiting(sql, free, settings)
    submitted = [outcomes(database, schedule) for schedule in (first, second)]
    erase(database)
    fire(database, first, NIGHT + 2 * DAY_S, settings)
    end(database, runs(database, first)[1].job)
    with database.transaction() as sql:
        fires.submit_waiting(sql, fires.list_waiting(sql)[0], settings)

    assert free.id == first
    assert submitted == [["submitted", "submitted"], ["submitted", "waiting"]]
    # The first has paused itself, and the other neither stands still nor gives anything up.
    assert outcomes(database, first) == ["submitted", "submitted", "refused"]
    assert outcomes(database, second) == ["submitted", "waiting"]
    assert (find(database, first).state, find(database, second).state) == ("paused", "active")


def test_of_several_that_wait_the_oldest_is_submitted_first(
    database: Database, tenant: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings, overlap="queue", misfire="all", misfire_grace_s=7 * DAY_S)
    fire(database, schedule, NIGHT + 2 * DAY_S + 600, settings)
    told = [outcomes(database, schedule)]
    for number in range(2):
        end(database, runs(database, schedule)[number].job)
        with database.transaction() as sql:
            fires.submit_waiting(sql, fires.list_waiting(sql)[0], settings)
        told.append(outcomes(database, schedule))

    assert told == [
        ["submitted", "waiting", "waiting"],
        ["submitted", "submitted", "waiting"],
        ["submitted", "submitted", "submitted"],
    ]


def test_replace_asks_the_run_before_to_end_and_submits_the_new_one(
    database: Database, tenant: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings, overlap="replace")
    fire(database, schedule, NIGHT, settings)
    with database.transaction() as sql:
        claim(sql)
    fire(database, schedule, NIGHT + DAY_S, settings)
    fire(database, schedule, NIGHT + 2 * DAY_S, settings)

    assert outcomes(database, schedule) == ["submitted"] * 3
    assert job_states(database, schedule) == ["running", "cancelled", "queued"]
    with database.reading() as sql:
        asked = sql.execute(select(job_table.c.cancel_requested_at).order_by(job_table.c.id)).scalars().all()
    assert asked[0] is not None and asked[2] is None


def test_a_replacement_that_is_refused_ends_nothing(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings, overlap="replace")
    fire(database, schedule, NIGHT, settings)
    erase(database)

    fire(database, schedule, NIGHT + DAY_S, settings)

    assert outcomes(database, schedule) == ["submitted", "refused"]
    assert job_states(database, schedule) == ["queued"]


def test_replace_gives_up_what_waited_under_another_policy(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings, overlap="queue")
    for night in range(2):
        fire(database, schedule, NIGHT + night * DAY_S, settings)
    with database.transaction() as sql:
        schedules.change(sql, tenant, schedule, {"overlap": "replace"}, settings)

    fire(database, schedule, NIGHT + 2 * DAY_S, settings)

    assert outcomes(database, schedule) == ["submitted", "skipped", "submitted"]
    assert job_states(database, schedule) == ["cancelled", "queued"]


def erase(database: Database, state: str = "erased") -> None:
    with database.transaction() as sql:
        sql.execute(update(dataset_table).values(state=state))


def test_a_refusal_that_does_not_pass_pauses_the_schedule_and_says_why(
    database: Database, tenant: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings)
        webhooks.create(sql, tenant, url="https://example.com", events=["*"], description=None)
    erase(database)

    fire(database, schedule, NIGHT, settings)

    with database.reading() as sql:
        told = [json.loads(body) for body in sql.execute(select(deliveries.c.body)).scalars()]
    assert {each["type"] for each in told} == {"schedule.refused", "schedule.paused"}
    assert all(each["data"] == {"schedule": schedule, "error": "unknown_reference"} for each in told)
    row, (run,) = find(database, schedule), runs(database, schedule)
    assert (row.state, row.next_at, row.error["code"]) == ("paused", None, "unknown_reference")
    assert (run.outcome, run.job, run.error) == ("refused", None, row.error)
    assert row.revision == 1
    assert job_states(database, schedule) == []


def test_once_refused_the_other_moments_are_missed(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings, misfire="all", misfire_grace_s=7 * DAY_S)
    erase(database)

    fire(database, schedule, NIGHT + 2 * DAY_S, settings)

    assert outcomes(database, schedule) == ["refused", "missed", "missed"]


def test_a_dataset_that_is_not_ready_refuses_one_run_and_no_more(
    database: Database, tenant: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        job = {"action": "train", "kind": "classification", "dataset": "songs@1"}
        schedule = make(sql, tenant, settings, job=job)
    erase(database, "ingesting")
    fire(database, schedule, NIGHT, settings)
    erase(database, "ready")
    fire(database, schedule, NIGHT + DAY_S, settings)

    assert outcomes(database, schedule) == ["refused", "submitted"]
    assert runs(database, schedule)[0].error["code"] == "dataset_not_ready"
    assert (find(database, schedule).state, find(database, schedule).error) == ("active", None)


def test_a_full_queue_refuses_one_run_and_no_more(database: Database, tenant: str, settings: Settings) -> None:
    narrow = dataclasses.replace(settings, tenant_queued=1)
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings)
        waiting = make_job(sql, tenant)
    fire(database, schedule, NIGHT, narrow)
    end(database, waiting)
    fire(database, schedule, NIGHT + DAY_S, narrow)

    assert outcomes(database, schedule) == ["refused", "submitted"]
    assert runs(database, schedule)[0].error["code"] == "too_many_jobs"


def test_what_waited_and_is_refused_in_the_end_says_so(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings, overlap="queue")
    for night in range(2):
        fire(database, schedule, NIGHT + night * DAY_S, settings)
    end(database, runs(database, schedule)[0].job)
    erase(database)

    with database.transaction() as sql:
        fires.submit_waiting(sql, fires.list_waiting(sql)[0], settings)

    assert outcomes(database, schedule) == ["submitted", "refused"]
    assert find(database, schedule).state == "paused"


def test_a_job_that_an_older_release_took_is_refused_by_its_fields(
    database: Database, tenant: str, settings: Settings
) -> None:
    with database.of(tenant).transaction() as sql:
        schedule = make(sql, tenant, settings)
        sql.execute(update(table).values(job={"action": "train", "dataset": "songs", "speed": 3}))

    fire(database, schedule, NIGHT, settings)

    error = find(database, schedule).error
    assert (error["code"], error["errors"][0]["pointer"]) == ("invalid_request", "/job/speed")


def test_a_schedule_that_cannot_be_fired_is_stopped_once(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings)
        early = seen(sql, schedule, NIGHT)
        fires.stop(sql, early, EtudeError("It broke."))
        schedules.resume(sql, tenant, schedule)
        fires.stop(sql, early, EtudeError("It broke again."))

    assert (find(database, schedule).state, find(database, schedule).error) == ("active", None)


def test_pausing_gives_up_what_waits_and_resuming_goes_on_from_now(
    database: Database, tenant: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings, overlap="queue")
    for night in range(2):
        fire(database, schedule, NIGHT + night * DAY_S, settings)
    with database.transaction() as sql:
        paused = schedules.pause(sql, tenant, schedule)
        assert fires.list_due(sql) == [] and fires.seconds_to_next(sql) is None
        resumed = schedules.resume(sql, tenant, schedule)
        expected = cron.next_after("0 3 * * *", "UTC", schedules.read_clock(sql))
        again = schedules.resume(sql, tenant, schedule)

    assert (paused.state, paused.next_at, paused.revision) == ("paused", None, 1)
    assert (resumed.state, resumed.next_at, resumed.revision) == ("active", expected, 2)
    assert again == resumed
    assert outcomes(database, schedule) == ["submitted", "skipped"]


def test_resuming_forgets_why_it_paused_itself(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings)
    erase(database)
    fire(database, schedule, NIGHT, settings)

    with database.transaction() as sql:
        assert schedules.pause(sql, tenant, schedule).error["code"] == "unknown_reference"
        assert schedules.resume(sql, tenant, schedule).error is None


def test_a_new_expression_counts_from_now_and_another_field_moves_nothing(
    database: Database, tenant: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings)
        renamed = schedules.change(sql, tenant, schedule, {"name": "renamed", "misfire": "all"}, settings)
        moved = schedules.change(sql, tenant, schedule, {"cron": "30 4 * * *"}, settings)
        abroad = schedules.change(sql, tenant, schedule, {"timezone": "Asia/Kathmandu"}, settings)
        now = schedules.read_clock(sql)
        schedules.pause(sql, tenant, schedule)
        still = schedules.change(sql, tenant, schedule, {"cron": "0 5 * * *"}, settings)

    assert (renamed.next_at, renamed.name, renamed.misfire, renamed.revision) == (NIGHT, "renamed", "all", 1)
    assert moved.next_at == cron.next_after("30 4 * * *", "UTC", now)
    assert abroad.next_at == cron.next_after("30 4 * * *", "Asia/Kathmandu", now)
    assert (still.next_at, still.cron) == (None, "0 5 * * *")


def test_two_schedules_of_a_tenant_have_two_names(
    database: Database, tenant: str, other: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        make(sql, tenant, settings, name="one")
        make(sql, tenant, settings, name="two")
        make(sql, other, settings, name="one")

    with pytest.raises(NotAllowedNow, match="already") as refused, database.transaction() as sql:
        make(sql, tenant, settings, name="one")
    assert refused.value.code == "schedule_exists"
    with pytest.raises(NotAllowedNow) as refused, database.transaction() as sql:
        schedules.change(sql, tenant, "two", {"name": "one"}, settings)
    assert refused.value.code == "schedule_exists"


def test_what_is_wrong_with_the_job_is_told_by_its_place_in_the_schedule(
    database: Database, tenant: str, settings: Settings
) -> None:
    job = {"action": "train", "kind": "classification", "dataset": "nothing@9"}

    with pytest.raises(InvalidRequest) as refused, database.transaction() as sql:
        make(sql, tenant, settings, job=job)

    assert (refused.value.code, refused.value.faults[0].pointer) == ("unknown_reference", "/job/dataset")


def test_a_run_by_hand_is_made_whatever_the_state_and_the_overlap(
    database: Database, tenant: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings)
    fire(database, schedule, NIGHT, settings)
    with database.transaction() as sql:
        first = schedules.run(sql, tenant, "nightly", settings)
        schedules.pause(sql, tenant, schedule)
        # Within one millisecond, perhaps.
        second = schedules.run(sql, tenant, schedule, settings)

    by_hand = [run for run in runs(database, schedule) if run.by_hand]
    assert [run.job for run in by_hand] == [first.id, second.id]
    assert by_hand[0].due_at < by_hand[1].due_at
    assert all(run.due_at % 1 for run in by_hand)
    assert (first.schedule, find(database, schedule).next_at) == (schedule, None)


def test_a_run_by_hand_has_the_moment_at_which_it_was_asked_for(
    database: Database, tenant: str, settings: Settings
) -> None:
    far = 9e9
    with database.transaction() as sql:
        schedule, elsewhere = make(sql, tenant, settings), make(sql, tenant, settings, name="other")
        schedules.run(sql, tenant, elsewhere, settings)
        sql.execute(update(fire_table).values(due_at=far + 0.0005))
    fire(database, schedule, far, settings)
    with database.transaction() as sql:
        schedules.run(sql, tenant, schedule, settings)

    (run,) = [run for run in runs(database, schedule) if run.by_hand]
    assert run.due_at == pytest.approx(run.fired_at, abs=0.001)


def test_a_run_by_hand_is_in_the_way_of_the_next_moment(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings)
        schedules.run(sql, tenant, schedule, settings)

    fire(database, schedule, NIGHT, settings)

    assert [run.outcome for run in runs(database, schedule) if not run.by_hand] == ["skipped"]


def test_a_run_by_hand_that_is_refused_leaves_nothing(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings)
    erase(database)

    with pytest.raises(InvalidRequest) as refused, database.transaction() as sql:
        schedules.run(sql, tenant, schedule, settings)

    assert refused.value.faults[0].pointer == "/job/dataset"
    assert (find(database, schedule).state, runs(database, schedule)) == ("active", [])


def test_what_is_deleted_leaves_its_jobs(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule, stays = make(sql, tenant, settings), make(sql, tenant, settings, name="stays")
    fire(database, schedule, NIGHT, settings)
    fire(database, stays, NIGHT, settings)

    with database.transaction() as sql:
        schedules.remove(sql, tenant, schedule)

    with database.reading() as sql:
        assert list(sql.execute(select(table.c.id)).scalars()) == [stays]
        assert list(sql.execute(select(fire_table.c.schedule)).scalars()) == [stays]
    assert job_states(database, schedule) == ["queued"]


def test_what_was_deleted_meanwhile_is_fired_by_nobody(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings)
        early = seen(sql, schedule, NIGHT)
        schedules.remove(sql, tenant, schedule)

        assert not fires.fire(sql, early, settings)
        assert not fires.submit_waiting(sql, early, settings)


def test_pages_of_runs_go_on_where_the_last_one_ended(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings)
        for _ in range(3):
            schedules.run(sql, tenant, schedule, settings)
    fire(database, schedule, NIGHT, settings)
    whole = [run.due_at for run in runs(database, schedule)][::-1]

    paged: list[float] = []
    cursor: int | None = None
    while len(paged) < 4:
        with database.reading() as sql:
            (run,) = schedules.list_runs(sql, schedule, limit=1, before=cursor)
        paged.append(run.due_at)
        cursor = int(schedules.cursor_of(run))

    assert paged == whole
    with database.reading() as sql:
        assert schedules.list_runs(sql, schedule, limit=1, before=cursor) == []


def test_another_tenants_schedule_does_not_exist(
    database: Database, tenant: str, other: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings)
        for act in (schedules.find, schedules.pause, schedules.resume, schedules.remove):
            with pytest.raises(NotFound):
                act(sql, other, schedule)
        for act in (lambda: schedules.run(sql, other, schedule, settings),
                    lambda: schedules.change(sql, other, schedule, {}, settings)):  # fmt: skip
            with pytest.raises(NotFound):
                act()
        assert schedules.page(sql, other, limit=9, before=None) == []
        assert schedules.read_id(sql, other, "nightly") == "nightly"


def test_an_id_goes_before_a_name_that_looks_like_one(database: Database, tenant: str, settings: Settings) -> None:
    with database.transaction() as sql:
        first = make(sql, tenant, settings)
        sly = make(sql, tenant, settings, name=first)

        assert schedules.find(sql, tenant, first).id == first
        assert schedules.read_id(sql, tenant, sly) == sly


def test_a_job_that_ends_while_it_is_replaced_is_no_fault(
    database: Database, tenant: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings, overlap="replace")
    fire(database, schedule, NIGHT, settings)
    cancel = jobs.cancel

    def end_first(sql: Connection, tenant: str, job: str) -> None:
        sql.execute(update(job_table).where(job_table.c.id == job).values(state="succeeded"))
        cancel(sql, tenant, job)

    monkeypatch.setattr(fires.jobs, "cancel", end_first)
    fire(database, schedule, NIGHT + DAY_S, settings)

    assert job_states(database, schedule) == ["succeeded", "queued"]


def test_a_tenant_has_so_many_schedules_and_no_more(
    database: Database, tenant: str, other: str, settings: Settings
) -> None:
    narrow = dataclasses.replace(settings, tenant_schedules=2)
    with database.transaction() as sql:
        first = make(sql, tenant, narrow, name="first")
        make(sql, tenant, narrow, name="second")
        schedules.pause(sql, tenant, first)
        with pytest.raises(NotAllowedNow, match="There are 2 schedules, and 2 is the limit") as refused:
            make(sql, tenant, narrow, name="third")

        make(sql, other, narrow, name="another tenant's")
        make(sql, tenant, dataclasses.replace(settings, tenant_schedules=0), name="without a limit")
        schedules.remove(sql, tenant, first)
        schedules.remove(sql, tenant, "without a limit")
        make(sql, tenant, narrow, name="third")

    assert refused.value.code == "too_many_schedules"


def test_two_that_come_at_once_do_not_both_take_the_last_place(
    database: Database, tenant: str, settings: Settings
) -> None:
    narrow = dataclasses.replace(settings, tenant_schedules=1)
    with database.transaction() as sql:
        make_dataset(sql, tenant, name="songs", profile=SONGS)
    together = Barrier(2)

    def create(name: str) -> str | None:
        together.wait(30)
        try:
            with database.transaction() as sql:
                make(sql, tenant, narrow, name=name)
        except NotAllowedNow as refused:
            return refused.code
        return None

    with ThreadPoolExecutor(2) as pool:
        said = set(pool.map(create, ("first", "second")))

    assert said == {None, "too_many_schedules"}


def tell_runs(sql: Connection, schedule: str, moments: Iterable[float], *, outcome: str = "missed") -> None:
    """Runs of a schedule as they were noted long ago."""
    whose = sql.execute(select(table.c.tenant).where(table.c.id == schedule)).scalar_one()
    mine = {"tenant": whose, "schedule": schedule, "outcome": outcome, "by_hand": False}
    sql.execute(insert(fire_table), [{**mine, "due_at": at, "fired_at": at} for at in moments])


def test_old_runs_are_forgotten_and_the_last_hundred_of_each_schedule_are_not(
    database: Database, tenant: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        at = schedules.read_clock(sql)
        daily, monthly, waiting = (make(sql, tenant, settings, name=name) for name in ("daily", "monthly", "waiting"))
        tell_runs(sql, daily, (at - day * DAY_S for day in range(500)))
        tell_runs(sql, monthly, (at - 30 * month * DAY_S for month in range(120)))
        tell_runs(sql, waiting, (at - 2 * day * DAY_S for day in range(300)))
        tell_runs(sql, waiting, [at - 1000 * DAY_S], outcome="waiting")

    with database.transaction() as sql:
        forgotten = [fires.forget_old(sql, after_s=400 * DAY_S, at_most=10) for _ in range(2)]

    # To the second: the clock has gone on.
    days = [round((at - run.due_at) / DAY_S) for run in runs(database, daily)]
    assert days == list(range(399, -1, -1))
    assert len(runs(database, monthly)) == fires.RUNS_KEPT
    assert (len(runs(database, waiting)), outcomes(database, waiting)[0]) == (201, "waiting")
    assert forgotten == [100 + 20 + 100, 0]


def test_very_many_old_runs_are_forgotten_a_thousand_at_a_time_the_oldest_first(
    database: Database, tenant: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fires, "FORGOTTEN_AT_ONCE", 30)
    with database.transaction() as sql:
        schedule = make(sql, tenant, settings)
        tell_runs(sql, schedule, (60.0 * minute for minute in range(1, 151)))

    with database.transaction() as sql:
        forgotten = [fires.forget_old(sql, after_s=400 * DAY_S, at_most=10) for _ in range(3)]

    assert forgotten == [30, 20, 0]
    assert [run.due_at for run in runs(database, schedule)] == [60.0 * minute for minute in range(51, 151)]


@pytest.mark.parametrize(
    ("zone", "expression", "first", "days", "count"),
    [
        # The clock goes forward in these nights: a fixed time comes late and once, any other not at all.
        ("Europe/Berlin", "30 2 * * *", "2027-03-27T12:00", 3, 3),
        ("Europe/Berlin", "*/30 2 * * *", "2027-03-27T12:00", 1, 0),
        ("America/New_York", "30 2 * * *", "2027-03-13T12:00", 3, 3),
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00", 3, 3),
        # And in these back: a fixed time comes once, any other as often as it is shown.
        ("Europe/Berlin", "30 2 * * *", "2027-10-30T12:00", 3, 3),
        ("Europe/Berlin", "*/30 2 * * *", "2027-10-30T12:00", 1, 4),
        ("America/New_York", "30 1 * * *", "2027-11-06T12:00", 3, 3),
        ("Australia/Lord_Howe", "45 1 * * *", "2027-04-03T12:00", 3, 3),
    ],
)
def test_in_the_nights_in_which_the_clock_is_changed_each_moment_makes_one_job(
    database: Database, tenant: str, settings: Settings, zone: str, expression: str, first: str, days: int, count: int
) -> None:
    began = datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(zone)).timestamp()
    next_at = cron.next_after(expression, zone, began)
    with database.transaction() as sql:
        timing = {"cron": expression, "timezone": zone, "next_at": next_at, "overlap": "replace"}
        schedule = make(sql, tenant, settings, **timing)

    # A day of such a night has 25 hours at the most, and the clock never stands at noon when it is changed.
    until = began + days * DAY_S + HOUR_S
    while (at := find(database, schedule).next_at) < until:
        assert fire(database, schedule, at, settings)

    assert outcomes(database, schedule) == ["submitted"] * count
    assert len(job_states(database, schedule)) == count
