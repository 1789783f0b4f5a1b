"""What a scrape asks of a database with very many jobs: nothing that reads through those that have ended."""

from typing import Any

import pytest
from sqlalchemy import create_engine, event, update

from shared import census, feed, tallies
from shared.database import Database, now
from shared.feed import Wanted
from shared.settings import Settings
from shared.tables import jobs
from tests.factories import make_job


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """PostgreSQL plans by how much there is; SQLite tells for any size which index it would take."""
    return sqlite_url


def plans(url: str, ask: Any) -> list[str]:
    """The steps of every statement of `ask`, which is given a connection."""
    asked: list[tuple[str, Any]] = []
    engine = create_engine(url)
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
    with engine.connect() as sql:
        ask(sql)
        steps = [
            row[-1]
            for statement, values in list(asked)
            for row in sql.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    engine.dispose()
    return steps


def test_every_statement_of_a_scrape_goes_by_an_index(settings: Settings, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)

    steps = plans(settings.database_url, lambda sql: census.take(sql, settings))

    assert [step for step in steps if step.startswith("SEARCH jobs USING")]
    assert not [step for step in steps if step.startswith(("SCAN jobs", "SCAN deliveries", "SCAN events"))]


def test_the_feed_and_the_counting_go_by_an_index(settings: Settings, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)

    def ask(sql: Any) -> None:
        feed.page(sql, Wanted(tenant, types=("state",)), after=0, upto=10, limit=5)
        sql.execute(tallies._NEXT, {"after": 0, "upto": 10})

    steps = plans(settings.database_url, ask)

    assert not [step for step in steps if step.startswith(("SCAN", "USE TEMP"))]


def test_how_things_stand(settings: Settings, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
        make_job(sql, tenant, queue="light")

    with database.reading() as sql:
        found = census.take(sql, settings)

    assert {each.name: each.waiting for each in found.queues} == {"train": 1, "light": 1}
    assert all(0 <= each.oldest_s < 60 for each in found.queues)
    assert (found.running, found.silent, found.workers) == ({}, 0, {})
    assert found.deliveries == {"waiting": 0, "failed": 0}


def test_a_queue_is_as_old_as_what_could_have_begun_first(settings: Settings, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        oldest = make_job(sql, tenant)
        make_job(sql, tenant)
        sql.execute(update(jobs).where(jobs.c.id == oldest).values(run_after=now() - 100))

    with database.reading() as sql:
        (train,) = [each for each in census.take(sql, settings).queues if each.name == "train"]

    assert 100 <= train.oldest_s < 200
