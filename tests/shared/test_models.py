"""Models: what two trainings under one name make of it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import select

from shared import claims, models
from shared.claims import Claim
from shared.database import Database
from shared.models import NewVersion
from shared.tables import versions
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


def count_waiting(database: Database) -> int:
    """How many connections to this database wait for a lock that another one holds."""
    with database.reading() as sql:
        said = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return int(sql.exec_driver_sql(said).scalar_one())
