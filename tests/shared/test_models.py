"""Models: what two trainings under one name make of it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, Row, select

from shared import claims, models
from shared.claims import Claim
from shared.database import Database
from shared.errors import NotAllowedNow
from shared.models import NewVersion
from shared.tables import aliases, versions
from tests import factories
from tests.waiting import until

NOTHING = NewVersion(files=[], metrics={}, baselines={}, warnings=[], lineage={}, parameters=0)


def test_two_first_trainings_of_a_name_that_end_at_once_make_its_versions_one_and_two(
    database: Database, tenant: str
) -> None:
    """Neither finds the model, and PostgreSQL lets both make it, one of them in vain."""
    with database.transaction() as sql:
        for _ in range(2):
            factories.make_job(sql, tenant, model="new")
        first, second = factories.claim(sql), factories.claim(sql)

    def finish(claim: Claim) -> dict[str, Any]:
        with database.transaction() as sql:
            claims.hold(sql, claim)
            result = models.record(sql, claim, NOTHING)
            claims.succeed(sql, claim, result=result, cost={"compute_s": 1.0})
            return result

    with ThreadPoolExecutor(1) as other:
        with database.transaction() as sql:
            claims.hold(sql, first)
            made = models.record(sql, first, NOTHING)
            ending = other.submit(finish, second)
            assert database.is_sqlite or until(lambda: count_waiting(database) == 1)
            claims.succeed(sql, first, result=made, cost={"compute_s": 1.0})
        results = [made, ending.result(30)]

    assert [result["version"] for result in results] == [1, 2]
    with database.reading() as sql:
        assert len(set(sql.execute(select(versions.c.model)).scalars())) == 1


def test_two_promotions_that_end_at_once_are_judged_one_after_the_other(database: Database, tenant: str) -> None:
    """The second is compared with the first, which was not there yet when the second began to end."""
    gate = {"metric": "accuracy", "not_worse_than": "champion"}
    with database.transaction() as sql:
        for _ in range(2):
            factories.make_job(sql, tenant, model="new")
        first, second = factories.claim(sql), factories.claim(sql)

    def promote(sql: Connection, claim: Claim, accuracy: float) -> Row[Any]:
        metrics = {"validation": {"accuracy": {"value": accuracy, "interval": None}}}
        claims.hold(sql, claim)
        number = models.record(sql, claim, replace(NOTHING, metrics=metrics))["version"]
        return models.move_alias(sql, tenant, "new", "champion", number=number, require=gate)

    def finish_second() -> Row[Any]:
        with database.transaction() as sql:
            return promote(sql, second, 0.8)

    with ThreadPoolExecutor(1) as other:
        with database.transaction() as sql:
            promote(sql, first, 0.9)
            ending = other.submit(finish_second)
            assert database.is_sqlite or until(lambda: count_waiting(database) == 1)
        with pytest.raises(NotAllowedNow, match="the alias stays where it is"):
            ending.result(30)

    with database.reading() as sql:
        found = models.at_alias(sql, tenant, "new", "champion")
    assert found is not None and found.number == 1


def test_two_moves_of_an_alias_at_once_are_both_remembered(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        for _ in range(2):
            factories.make_job(sql, tenant, model="new")
            models.record(sql, factories.claim(sql), NOTHING)

    def move(number: int) -> None:
        with database.transaction() as sql:
            models.move_alias(sql, tenant, "new", "champion", number=number)

    with ThreadPoolExecutor(1) as other:
        with database.transaction() as sql:
            models.move_alias(sql, tenant, "new", "champion", number=1)
            moving = other.submit(move, 2)
            assert database.is_sqlite or until(lambda: count_waiting(database) == 1)
        moving.result(30)

    with database.reading() as sql:
        moves = sql.execute(select(aliases.c.move, versions.c.number).join(versions).order_by(aliases.c.move)).all()
    assert [tuple(row) for row in moves] == [(1, 1), (2, 2)]


def test_nobody_stands_at_an_alias_of_another_tenant(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        factories.make_job(sql, tenant, model="new")
        models.record(sql, factories.claim(sql), NOTHING)
        models.move_alias(sql, tenant, "new", "champion", number=1)

    with database.reading() as sql:
        assert models.at_alias(sql, other, "new", "champion") is None
        assert models.at_alias(sql, tenant, "new", "challenger") is None
        assert models.at_alias(sql, tenant, "old", "champion") is None


def count_waiting(database: Database) -> int:
    """How many connections to this database wait for a lock that another one holds."""
    with database.reading() as sql:
        said = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return int(sql.exec_driver_sql(said).scalar_one())
