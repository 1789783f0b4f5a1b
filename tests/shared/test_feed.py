"""One order of all events: nobody who follows it misses one that was committed late."""

import random
import threading

from sqlalchemy import BigInteger, cast, func, select, update

from shared import claims, feed, history, jobs, quotas
from shared.database import Database
from shared.errors import InvalidRequest
from shared.feed import Wanted
from shared.settings import Settings
from shared.tables import events
from shared.tenancy import EVERYONE
from tests.factories import claim, make_job


def read(database: Database, wanted: Wanted, after: int = 0, limit: int = 1000) -> feed.Page:
    upto = feed.horizon(database)
    with database.reading() as sql:
        return feed.page(sql, wanted, after=after, upto=upto, limit=limit)


def test_every_event_has_its_tenant_and_a_place_of_its_own(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        mine, theirs = make_job(sql, tenant), make_job(sql, other)
        jobs.cancel(sql, tenant, mine)

    page = read(database, Wanted(tenant))

    assert [(event.job, event.type, event.data["state"]) for event in page.events] == [
        (mine, "state", "queued"), (mine, "state", "cancelled"),
    ]  # fmt: skip
    assert page.events[0].position < page.events[1].position == page.read_to or page.read_to > page.events[1].position
    assert [event.job for event in read(database, Wanted(other)).events] == [theirs]


def test_what_is_committed_late_is_not_skipped(settings: Settings, tenant: str) -> None:
    """Two open transactions: the one that took its number first commits last."""
    late, quick = Database(settings, whose=EVERYONE), Database(settings, whose=EVERYONE)
    if late.is_sqlite:
        return  # it has one writer: the second could not begin
    with late.transaction() as slow:
        first = make_job(slow, tenant)
        with quick.transaction() as sql:
            second = make_job(sql, tenant)
        early = read(quick, Wanted(tenant))
    later = read(quick, Wanted(tenant), after=early.read_to)

    with quick.reading() as sql:
        places = dict(sql.execute(select(events.c.job, events.c.position)).all())
    assert places[first] < places[second]
    assert early.events == []
    assert [event.job for event in later.events] == [first, second]
    late.close()
    quick.close()


def test_a_transaction_that_rolls_back_to_a_savepoint_still_holds_its_place(settings: Settings, tenant: str) -> None:
    late, quick = Database(settings, whose=EVERYONE), Database(settings, whose=EVERYONE)
    if late.is_sqlite:
        return
    with late.transaction() as slow:
        step = slow.begin_nested()
        make_job(slow, tenant)
        step.rollback()
        first = make_job(slow, tenant)
        with quick.transaction() as sql:
            second = make_job(sql, tenant)
        early = read(quick, Wanted(tenant))
    later = read(quick, Wanted(tenant), after=early.read_to)

    assert [event.job for event in (*early.events, *later.events)] == [first, second]
    late.close()
    quick.close()


def test_nobody_elses_lock_is_taken_for_a_place(settings: Settings, tenant: str) -> None:
    holding, reading = Database(settings, whose=EVERYONE), Database(settings, whose=EVERYONE)
    with holding.transaction() as sql:
        job = make_job(sql, tenant)
    with holding.transaction() as sql:
        # Of so many tenants some have a hash whose number is below 0, and some one that is larger than 2^62.
        for number in range(64):
            quotas.hold(sql, f"ten_{number}")
        if not holding.is_sqlite:
            for key in (-(2**63), -1, 0, 2**61):
                sql.execute(select(func.pg_advisory_xact_lock(cast(key, BigInteger))))
        page = read(reading, Wanted(tenant))

    assert [event.job for event in page.events] == [job]
    holding.close()
    reading.close()


def test_a_reader_beside_many_writers_sees_every_event_once_and_in_order(database: Database, tenant: str) -> None:
    writers, each = 6, 25
    done = threading.Event()
    seen: list[int] = []

    def write(seed: int) -> None:
        drawn = random.Random(seed)
        for _ in range(each):
            with database.transaction() as sql:
                for _ in range(drawn.randint(1, 3)):
                    make_job(sql, tenant)

    def follow() -> None:
        after = 0
        while True:
            was_done = done.is_set()
            page = read(database, Wanted(tenant), after=after, limit=7)
            seen.extend(event.position for event in page.events)
            after = page.read_to
            if was_done and not page.events and not page.has_more:
                return

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(writers)]
    reader = threading.Thread(target=follow)
    for thread in (reader, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reader.join(60)

    with database.reading() as sql:
        written = sql.execute(select(events.c.position).order_by(events.c.position)).scalars().all()
    assert len(written) >= writers * each
    assert seen == list(written)


def test_a_filter_goes_on_behind_what_it_left_out(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        for _ in range(5):
            make_job(sql, tenant)
        wanted = make_job(sql, tenant)
        claimed = claim(sql)
        claims.enter(sql, claimed, "training")

    stages = read(database, Wanted(tenant, types=("stage",)))
    of_one = read(database, Wanted(tenant, job=wanted))
    none = read(database, Wanted(tenant, types=("promotion",)))

    assert [event.data["stage"] for event in stages.events] == ["training"]
    assert [event.job for event in of_one.events] == [wanted]
    assert none.events == [] and not none.has_more
    assert read(database, Wanted(tenant), after=none.read_to).events == []


def test_a_number_whose_row_was_deleted_is_not_given_again(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        gone = make_job(sql, tenant)
    after = read(database, Wanted(tenant)).read_to
    with database.transaction() as sql:
        sql.execute(events.delete().where(events.c.job == gone))
    with database.transaction() as sql:
        next_one = make_job(sql, tenant)

    assert [event.job for event in read(database, Wanted(tenant), after=after).events] == [next_one]


def test_a_restored_row_keeps_its_place_and_new_ones_come_after_it(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        restored = make_job(sql, tenant)
        far = 9_000_000_000_000_000
        sql.execute(events.delete().where(events.c.job == restored))
        row = {"job": restored, "seq": 1, "at": 0.0, "type": "state", "data": {"state": "queued"}}
        sql.execute(events.insert().values(**row, tenant=tenant, position=far))
    with database.transaction() as sql:
        newer = make_job(sql, tenant)

    page = read(database, Wanted(tenant))

    assert (page.events[0].job, page.events[0].position) == (restored, far)
    assert page.events[1].job == newer and page.events[1].position > far


def test_a_position_that_is_still_to_come_is_refused(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
    told = read(database, Wanted(tenant)).events[-1].position

    feed.demand_given(database, told, name="after")
    try:
        feed.demand_given(database, 2**60, name="after")
        raise AssertionError("it was taken")
    except InvalidRequest as refused:
        assert refused.code == "event_unknown"


def test_an_event_of_the_version_before_gets_its_place_by_itself(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job = make_job(sql, tenant)
        history.note(sql, tenant, job, "warning", {"code": "leakage_suspected"})
        sql.execute(update(events).where(events.c.seq == 9).values(type="x"))

    with database.reading() as sql:
        assert sql.execute(select(events.c.job).where(events.c.position.is_(None))).all() == []
        assert set(sql.execute(select(events.c.tenant)).scalars()) == {tenant}
