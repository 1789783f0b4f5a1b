"""How late a schedule fires with a thousand of them active, on the service as its users start it."""

import time
from statistics import median

from sqlalchemy import func, select, update

from bench import textbook
from bench.measurement import Measurement, compare
from bench.service import running, wait_until
from shared import settings
from shared.database import Database, now
from shared.tables import fires, jobs, schedules
from shared.tenancy import EVERYONE

ACTIVE, AT_ONCE = 1_000, 100
# What is promised.
LATE_S = 2.0
MOMENTS = 2
SOON_S, MINUTE_S, LIMIT_S = 3.0, 60, 180.0


def measure(rounds: int) -> list[Measurement]:
    with running(ETUDE_WORKERS="0") as service:
        database = Database(settings.read({"ETUDE_HOME": str(service.home), "ETUDE_PEPPER": "x" * 32}), whose=EVERYONE)
        dataset = service.upload("textbook", textbook.table(), target="genre")
        job = textbook.job(dataset)
        for place in range(ACTIVE):
            # Once a year: no moment of its own comes while this runs.
            said = {"name": f"s{place}", "cron": "0 0 1 1 *", "timezone": "Etc/UTC", "job": job}
            service.call("POST", "/v1/schedules", said)
        one = [max(_late_s(database, 1) for _ in range(MOMENTS)) for _ in range(rounds)]
        some = [_late_s(database, AT_ONCE) for _ in range(rounds)]
        every = [_late_s(database, ACTIVE) for _ in range(rounds)]
        database.close()
    note = f"{ACTIVE:,} active, SQLite, one scheduler"
    each = f"{note}; {median(every) / ACTIVE * 1000:.1f} ms each"
    return [
        _row(f"the latest of {MOMENTS} moments of one schedule", one, note),
        _row(f"the last of {AT_ONCE} schedules of one moment", some, note),
        _row(f"the last of all {ACTIVE:,} of one moment", every, each),
    ]


def _row(name: str, seconds: list[float], note: str) -> Measurement:
    return compare(f"{name}, against its limit", [(each, LATE_S) for each in seconds], unit="s", bar="≤ 1", note=note)


def _late_s(database: Database, count: int) -> float:
    """How long after their common moment the last of so many schedules has fired."""
    chosen = select(schedules.c.id).order_by(schedules.c.id).limit(count).scalar_subquery()
    due_at = (time.time() + SOON_S) // MINUTE_S * MINUTE_S + MINUTE_S
    # Of the year's minutes only this one, so that none of them comes again.
    cron = time.strftime("%M %H %d %m *", time.gmtime(due_at))
    with database.transaction() as sql:
        sql.execute(update(schedules).where(schedules.c.id.in_(chosen)).values(cron=cron, next_at=due_at))

    def fired() -> float | None:
        with database.reading() as sql:
            made = fires.join(jobs, jobs.c.id == fires.c.job)
            found = select(func.count(), func.max(jobs.c.created_at)).select_from(made).where(fires.c.due_at == due_at)
            done, last = sql.execute(found).one()
        return float(last) if done == count else None

    wait_until(lambda: fired() is not None, limit_s=LIMIT_S)
    last = fired()
    assert last is not None
    _clear(database)
    return last - due_at


def _clear(database: Database) -> None:
    """End what was submitted: behind a run that is under way the next one would be skipped, which costs less."""
    with database.transaction() as sql:
        ended = sql.execute(update(jobs).where(jobs.c.state == "queued").values(state="cancelled", ended_at=now()))
        assert ended.rowcount
